"""The Prefect flow of a set of instruction samples: the stages of build_mix.py, and what was chosen as artifacts."""

from functools import partial
from pathlib import Path

from prefect import flow, get_run_logger

from flows.artifacts import announce
from flows.build_mix import reported, retried
from flows.outcome import concluded, run_name
from pipelines.build import build
from pipelines.encode import notes
from pipelines.recipe import load
from pipelines.sft_recipe import SftRecipe
from pipelines.versions import Version
from schemas.errors import RecipeError


@flow(name="select-influential", flow_run_name=run_name("selection"), persist_result=False)
def select_influential(mix: str, root: str) -> str:
    """Build a set of instruction samples: make what is missing, publish a version.

    A refresh of it is that of every mix, see refresh.py.

    Args:
        mix: The recipe, such as mixes/128k.toml in the folder of the project.
        root: The folder of the tables and datasets, such as data/mixes.
    """
    return concluded(partial(selected, mix, root))


def selected(mix: str, root: str) -> Version:
    recipe = load(mix)
    if not isinstance(recipe, SftRecipe):
        raise RecipeError(f"{mix}: a recipe of documents, not of samples: it has no [samples]; run build-mix on it")
    for note in notes(recipe.encode):
        get_run_logger().info("%s", note)
    with reported(Path(root)):
        version = build(recipe, Path(root), stage=retried)
    announce(version)
    return version
