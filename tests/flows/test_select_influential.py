"""The flow of a set of samples refuses what it cannot build before any stage runs, and names the command that helps."""

import pytest

from flows.select_influential import select_influential
from pipelines.ingest.listing import find_files
from pipelines.ingest.source import Source
from pipelines.recipe import load
from pipelines.sft_recipe import SftRecipe
from schemas.errors import RecipeError
from tests.conftest import TINY


def test_a_recipe_of_documents_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"tiny.toml: a recipe of documents, not of samples: it has no \[samples\]"):
        select_influential.fn(str(TINY), str(tmp_path))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("folder", "command"), [("samples", "`longmix demonstration`"), ("corpus", "`longmix corpus`"), ("mine", None)]
)
def test_a_missing_file_names_the_command_that_makes_it(tmp_path, folder, command):
    source = Source(name="a", domain="a", path=str(tmp_path / "data" / folder / "a.jsonl.zst"))
    with pytest.raises(RecipeError, match="no such file or folder") as error:
        find_files(source)
    assert str(error.value).endswith(f"; {command} makes the default one" if command else "the recipe's folder")


def test_the_recipe_of_the_deployment_names_a_model_samples_and_short_instructions():
    path = TINY.with_name("sft-64k.toml")
    if not (path.parents[1] / "data" / "models").is_dir():
        pytest.skip("needs the scoring model: `longmix model`")
    recipe = load(path)
    assert isinstance(recipe, SftRecipe)
    assert recipe.influence is not None
    assert recipe.influence.short.context_tokens == 256
    assert recipe.choose.short_sources == ("short",)
    assert recipe.pack.sequence_tokens == 65_536
