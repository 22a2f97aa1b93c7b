"""A recipe of instruction samples: [samples] makes it one; what can't be is refused with its key."""

import pytest

from pipelines.recipe import load
from pipelines.sft_recipe import SftRecipe
from schemas.errors import RecipeError
from tests import sft_mix


def test_the_section_samples_makes_a_recipe_one_of_samples(tmp_path):
    path = sft_mix.recipe(tmp_path)
    loaded = load(path)
    assert isinstance(loaded, SftRecipe)
    assert loaded.dedup.by == "exact"
    assert "path" not in loaded.identity()["sources"][0]
    assert "run" not in loaded.identity()


FAULTS = {
    "a section of documents": ("[choose]", "[plan]\nbudget_tokens = 1\n\n[choose]", "plan: no such key"),
    "two short windows": (
        "context_tokens = 64", 'context_tokens = 64, rope = { rope_type = "linear", factor = 4.0 }',
        "influence.short: name context_tokens, or else weights, rope or both",
    ),
    "no short window": ("short = { context_tokens = 64 }", "", "influence.short: missing"),
    "dynamic NTK": (
        "context_tokens = 64", 'rope = { rope_type = "dynamic", factor = 4.0 }',
        "influence.short.rope.rope_type: 'dynamic' is not one of default, linear, yarn, llama3",
    ),
    "a short source that is none": ('["short"]', '["shorts"]', "choose.short_sources: 'shorts' is no source; name one of long, short"),
    "two sources of one name": ('name = "short"', 'name = "long"', "sources: two are named 'long'; give each a name of its own"),
    "a packer that cuts": ("[pack]", '[pack]\npacker = "negative_extension"', "pack.packer: negative_extension cuts documents, and a set of samples has no [order]"),
    "a share above one": ("top = 0.5", "top = 1.5", "choose.top"),
    "a template that is not there": ('template = "paper"', 'template = "none.json"', "samples.template"),
    "an unknown way to rank": ("top = 0.5", 'top = 0.5\nby = "best"', "choose.by: must be 'influence', 'hmg'"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "clause"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named(tmp_path, old, new, clause):
    path = sft_mix.recipe(tmp_path)
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RecipeError) as error:
        load(path)
    assert clause in str(error.value)
    assert "\n" not in str(error.value)
