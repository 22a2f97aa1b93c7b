"""The Prefect flow around pipelines/build.py: a task a stage, with retries, progress and artifacts."""

import contextvars
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE

from flows.progress import Follower, StageProgress, polling
from flows.summary import by_length, catalog
from flows.text import notes, shortfalls
from pipelines.build import build
from pipelines.forecast import from_tables
from pipelines.recipe import Recipe, load
from pipelines.store import Store
from pipelines.versions import Version, shards_of
from schemas.errors import StageError
from schemas.lengths import BUCKETS
from schemas.manifest import Manifest

PROGRESS_SECONDS = 3  # between two updates of the progress artifacts


def is_transient(_: Any, __: Any, state: Any) -> bool:
    """Whether a failed stage is worth another try: the machine's fault, not the recipe's and not ours."""
    return isinstance(state.result(raise_on_failure=False), StageError | OSError)


def retried(run: Callable) -> Callable:
    """A stage's run as a task. What it returns stays in memory: the store holds what counts."""
    name = run.__module__.rpartition(".")[2]
    as_task = task(
        name=name,
        retries=2,
        retry_delay_seconds=10,
        retry_condition_fn=is_transient,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return as_task(run)


@flow(name="build-mix", persist_result=False)
def build_mix(mix: str, root: str) -> str:
    """Build a mix. `mix` is a recipe's path and `root` the store's; both absolute, filled in at the deployment."""
    recipe = load(mix)
    with reported(Path(root)):
        version = build(recipe, Path(root), stage=retried)
    tell(version, recipe, Path(root))
    return str(version)


@contextmanager
def reported(root: Path) -> Iterator[None]:
    """A progress artifact for each stage, fed from the shards that its workers commit; a log line when it ends.

    To show progress is worth no failure: what goes wrong there is said in the log, and the build goes on.
    """
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    follower, log, here = Follower(root), get_run_logger(), contextvars.copy_context()
    artifacts: dict[str, Any] = {}
    ended: set[str] = set()

    def show(changed: list[StageProgress]) -> None:
        for stage in changed:
            done = 100.0 if stage.ended else min(99.0, 100 * stage.made / max(stage.shards, stage.made, 1))
            if stage.stage not in artifacts:
                key = f"progress-{stage.stage.replace('_', '-')}"
                artifacts[stage.stage] = create_progress_artifact(done, key=key, description=stage.told())
            else:
                update_progress_artifact(artifacts[stage.stage], done, description=stage.told())
            if stage.ended and stage.stage not in ended:
                ended.add(stage.stage)
                log.info("%s: %s in %.1f s", stage.stage, stage.told() or "done", stage.seconds)

    def attempt(changed: list[StageProgress]) -> None:
        try:
            here.run(show, changed)
        except Exception as error:  # noqa: BLE001 whatever the server has against it
            log.warning("progress could not be shown: %s", error)

    with polling(follower, attempt, PROGRESS_SECONDS):
        yield


def unmet(version: Version, recipe: Recipe, root: Path) -> list[str]:
    """What the recipe asks for and the corpus can't give, line by line."""
    tables, params = shards_of(Manifest.of(version.folder)), recipe.plan
    found = from_tables(tables, params, Store(root))
    return [*shortfalls(found, params), *notes(found, params)]


def tell(version: Version, recipe: Recipe, root: Path) -> None:
    """The table of tokens by domain and length, and the dataset's card, as artifacts; where it is, in the log."""
    with catalog(version) as con:
        domains, tokens = by_length(con)
    rows = [
        {"domain": d, **dict(zip(BUCKETS, row, strict=True))} for d, row in zip(domains, tokens.tolist(), strict=True)
    ]
    create_table_artifact(
        rows, key="tokens-by-domain-and-length", description=f"Tokens in {version.mix} {version.version}"
    )
    card = (version.folder / "README.md").read_text().split("---\n", 2)[2]
    lacking = unmet(version, recipe, root)
    where = f"**{version.folder}**" + ("" if version.is_new else " was there already: nothing new was made.")
    listed = "\n".join(f"- {line.strip()}" if line.startswith(" ") else f"\n{line}\n" for line in lacking)
    create_markdown_artifact(
        f"{where}\n{listed}\n\n{card}", key="mix", description=f"The card of {version.mix} {version.version}"
    )
    log = get_run_logger()
    for line in lacking:
        log.info("%s", line)
    log.info("%s %s: %s", version.mix, version.version, version.folder)
