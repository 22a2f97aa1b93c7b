"""The Prefect flow of a set of instruction samples: the stages of build_mix.py, and what was chosen as artifacts."""

from pathlib import Path

from prefect import flow, get_run_logger

from flows.build_mix import announce, reported, retried
from pipelines.build import build
from pipelines.encode import notes
from pipelines.recipe import load
from pipelines.sft_recipe import SftRecipe
from schemas.errors import RecipeError


@flow(name="select-influential", persist_result=False)
def select_influential(mix: str, root: str) -> str:
    """Build a set of samples. `mix` is a recipe's path and `root` the store's; both absolute, filled in at the deployment.

    A refresh of it is that of every mix, see refresh.py.
    """
    recipe = load(mix)
    if not isinstance(recipe, SftRecipe):
        raise RecipeError(f"{mix}: a recipe of documents, not of samples: it has no [samples]; run build-mix on it")
    for note in notes(recipe.encode):
        get_run_logger().info("%s", note)
    with reported(Path(root)):
        version = build(recipe, Path(root), stage=retried)
    announce(version)
    return str(version)
