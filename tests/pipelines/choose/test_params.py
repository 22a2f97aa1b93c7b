"""Keys of [choose]: which parts a choice needs, and how many samples it asks for."""

import pytest
from pydantic import ValidationError

from pipelines.choose.params import ChooseParams


@pytest.mark.parametrize(
    ("params", "needs"),
    [
        ({}, ("hmg", "cam")),
        ({"alpha": 1}, ("hmg",)),
        ({"alpha": 0}, ("cam",)),
        ({"by": "random", "alpha": 0}, ("cam",)),
        ({"by": "length_matched"}, ("hmg", "cam")),
        ({"by": "cam", "alpha": 1}, ("cam",)),
        *(({"by": by, "alpha": 0}, ("hmg",)) for by in ("hmg", "perplexity", "low_perplexity", "ifd")),
    ],
)
def test_needs(params, needs):
    assert ChooseParams(**params).needs == needs
    assert ChooseParams(**params).needs_scores == (params.get("by") != "random")


@pytest.mark.parametrize(("top", "n"), [(0.07, 7), (0.071, 8), (1.0, 100), (1, 1), (1000, 1000)])
def test_a_share_and_a_number(top, n):
    assert ChooseParams(top=top).n_top(100) == n


@pytest.mark.parametrize("top", [0, 0.0, 1.5, -1])
def test_neither_a_share_nor_a_number(top):
    with pytest.raises(ValidationError):
        ChooseParams(top=top)


@pytest.mark.parametrize(("share", "n"), [(0.0, 0), (0.1, 1), (0.5, 9), (0.9, 81), (0.05, 0)])
def test_short_instructions_are_a_share_of_the_set(share, n):
    assert ChooseParams(short_share=share).n_short(9) == n


def test_a_recipe_turns_the_similarity_pass_off_by_false():
    assert ChooseParams(max_similarity=False).max_similarity is None
    for value in (0, 1.1):
        with pytest.raises(ValidationError):
            ChooseParams(max_similarity=value)
