"""The Prefect flow of a scheduled refresh: what is new or changed is computed, what is gone is dropped, the rest stays."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.build_mix import reported, retried, tell
from pipelines.build import build
from pipelines.diff import changes, told
from pipelines.recipe import load
from pipelines.versions import latest


@flow(name="refresh-mix", persist_result=False)
def refresh_mix(mix: str, root: str) -> str:
    """Build a mix again on the newest version as its base, and say what changed.

    What the base kept stays kept, and what it drew stays drawn unless the budget forces it. Where nothing changed no
    version is written.
    """
    recipe = load(mix)
    base = latest(Path(root), recipe.mix)
    with reported(Path(root)):
        version = build(recipe, Path(root), stage=retried, base=base)
    if base is None:
        get_run_logger().info("no version was there: this is the first")
        tell(version, recipe, Path(root))
    elif not version.is_new:
        get_run_logger().info("nothing changed since %s: no version was written", base.name)
        create_markdown_artifact(f"Nothing changed since `{base.name}`.", key="changes")
    else:
        found = changes(base, version.folder)
        get_run_logger().info("%s", told(found, base.name, version.version))
        create_table_artifact(found, key="changes-by-domain", description=f"From {base.name} to {version.version}")
        create_markdown_artifact(f"```\n{told(found, base.name, version.version)}\n```", key="changes")
        tell(version, recipe, Path(root))
    return str(version)
