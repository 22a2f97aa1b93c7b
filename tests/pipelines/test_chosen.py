"""How samples were chosen, in one sentence; the queries are tested with the pages that show them."""

from types import SimpleNamespace

import pytest

from pipelines.chosen import method
from pipelines.sft_recipe import ChooseParams

INFLUENCE = (
    "Chosen by influence (alpha = 0.5, robust normalisation, CAM by difficulty): top = 0.3, a share of the samples that may "
    "be chosen."
)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            {"alpha": 0.5, "top": 0.3},
            INFLUENCE,
        ),
        (
            {"by": "cam", "direction": "alignment", "normalise": "official", "top": 100},
            "Chosen by cam (official normalisation, by alignment): top = 100, a number of the samples that may be chosen.",
        ),
        ({"by": "random", "top": 1.0}, "Chosen by random: top = 1, a share of the samples that may be chosen."),
    ],
)
def test_the_method_names_what_it_depends_on(params, sentence):
    assert method(SimpleNamespace(choose=ChooseParams(**params))) == sentence
