"""The Prefect flow of a scheduled refresh: compute what is new or changed, drop what is gone, keep the rest."""

from functools import partial
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows import text
from flows.artifacts import announce, publish_lines, publish_table
from flows.build_mix import reported, retried
from flows.outcome import concluded, run_name
from pipelines.build import build
from pipelines.diff import changes
from pipelines.recipe import load
from pipelines.versions import Version, latest


@flow(name="refresh-mix", flow_run_name=run_name("refresh"), persist_result=False)
def refresh_mix(mix: str, root: str) -> str:
    """Build a mix on its newest version as base, and report the difference.

    Documents that the base kept stay kept, and its draws stay unless the budget forces them out. Where nothing changed
    no version is written.

    Args:
        mix: The recipe, such as mixes/128k.toml in the folder of the project.
        root: The folder of the tables and datasets, such as data/mixes.
    """
    return concluded(partial(refreshed, mix, root))


def refreshed(mix: str, root: str) -> Version:
    recipe, log = load(mix), get_run_logger()
    base = latest(Path(root), recipe.mix)
    with reported(Path(root)):
        version = build(recipe, Path(root), stage=retried, base=base)
    if base is None:
        log.info("%s", text.first_version())
        announce(version)
    elif not version.is_new:
        log.info("%s", text.unchanged(base.name))
        for note in version.notes:
            log.info("%s", note)
        create_markdown_artifact(text.unchanged(f"`{base.name}`"), key="changes")
    else:
        rows = changes(base, version.folder)
        difference = text.difference(rows, base.name, version.version)
        log.info("%s", difference)
        publish_table("changes-by-domain", rows, f"From {base.name} to {version.version}", by="what")
        publish_lines("changes", difference)
        announce(version)
    return version
