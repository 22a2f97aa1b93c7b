"""Rotary settings: which are allowed, and which window they give. test_influence.py holds their values."""

from types import SimpleNamespace

import pytest

from schemas.errors import RecipeError
from scorers.rope import Rope, check_static


@pytest.mark.parametrize("name", ["dynamic", "longrope", "linaer"])
def test_only_static_types(name):
    with pytest.raises(ValueError, match=f"'{name}' is not one of default, linear, yarn, llama3"):
        Rope(rope_type=name, factor=4.0)


@pytest.mark.parametrize(
    ("rope", "tokens"),
    [
        (Rope(rope_type="linear", factor=2.5), 250),
        (Rope(rope_type="default", rope_theta=1e6), 100),
        (Rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=50), 200),
    ],
)
def test_the_window_is_stretched_by_the_factor(rope, tokens):
    assert rope.window(100) == tokens


@pytest.mark.parametrize("rope", [{"rope_type": "dynamic"}, {"full_attention": {"type": "dynamic"}}])
def test_a_model_with_dynamic_angles_is_refused(rope):
    with pytest.raises(RecipeError, match=r'a/b: its rope_type is "dynamic".*set a static one'):
        check_static(SimpleNamespace(rope_parameters=rope), "a/b")
    check_static(SimpleNamespace(rope_parameters={"rope_type": "yarn"}), "a/b")
    check_static(SimpleNamespace(), "a/b")
