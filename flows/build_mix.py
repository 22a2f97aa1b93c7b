"""The Prefect flow around pipelines/build.py: a task a stage, with retries, progress and artifacts."""

import contextvars
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE

from flows import text
from flows.outcome import RecipePath, RootPath, concluded, run_name
from flows.progress import Follower, StageProgress, polling
from flows.summary import catalog, is_of_samples
from pipelines import chosen, findings
from pipelines.build import build
from pipelines.catalog import by_length, rows_of
from pipelines.encode import notes
from pipelines.recipe import load
from pipelines.supply import sentences
from pipelines.versions import Version
from schemas.errors import StageError
from schemas.lengths import BUCKETS

PROGRESS_SECONDS = 3  # between two updates of the progress artifacts


def is_transient(_: Any, __: Any, state: Any) -> bool:
    """Whether a failed stage may succeed on another try: a fault of the machine, not of the recipe or the code."""
    return isinstance(state.result(raise_on_failure=False), StageError | OSError)


def retried(run: Callable) -> Callable:
    """A stage's run as a task. Its result stays in memory: the tables are in the store."""
    name = run.__module__.rpartition(".")[2]
    as_task = task(
        name=name,
        task_run_name=name,
        retries=2,
        retry_delay_seconds=10,
        retry_condition_fn=is_transient,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return as_task(run)


@flow(name="build-mix", flow_run_name=run_name("build"), persist_result=False)
def build_mix(mix: RecipePath, root: RootPath) -> str:
    """Build a mix: make what is missing, publish a version."""
    return concluded(partial(built, mix, root))


def built(mix: str, root: str) -> Version:
    recipe = load(mix)
    for note in notes(recipe.encode):
        get_run_logger().info("%s", note)
    with reported(Path(root)):
        version = build(recipe, Path(root), stage=retried)
    announce(version)
    return version


@contextmanager
def reported(root: Path) -> Iterator[None]:
    """A progress artifact for each stage, fed from the shards that its workers commit; a log line when it ends.

    Progress reporting never fails the build: errors are logged and ignored.
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
                artifacts[stage.stage] = create_progress_artifact(done, key=key, description=stage.summary())
            else:
                update_progress_artifact(artifacts[stage.stage], done, description=stage.summary())
            if stage.ended and stage.stage not in ended:
                ended.add(stage.stage)
                log.info("%s: %s in %.1f s", stage.stage, stage.summary() or "done", stage.seconds)

    def attempt(changed: list[StageProgress]) -> None:
        try:
            here.run(show, changed)
        except Exception as error:  # noqa: BLE001 whatever the server answers
            log.warning("progress could not be shown: %s", error)

    with polling(follower, attempt, PROGRESS_SECONDS):
        yield


def announce(version: Version) -> None:
    """Tokens by domain and length, what was drawn or chosen, and the card as artifacts; the location in the log."""
    name = f"{version.mix} {version.version}"
    with catalog(version) as con:
        domains, tokens = by_length(con, "drawn_tokens")
        rejections, encoding = rows_of(con, "FROM rejections"), rows_of(con, "FROM encoding")
        rows = [
            {"domain": d, **dict(zip(BUCKETS, row, strict=True))}
            for d, row in zip(domains, tokens.tolist(), strict=True)
        ]
        create_table_artifact(rows, key="tokens-by-domain-and-length", description=f"Tokens in {name}")
        lines = announce_choice(con) if is_of_samples(con) else announce_targets(con)
    card = (version.folder / "README.md").read_text().split("---\n", 2)[2]
    create_markdown_artifact(f"{text.location(version)}\n\n{card}", key="mix", description=f"The card of {name}")
    log = get_run_logger()
    rejected = [f"Rejected: {findings.rejected(rejections)}"] if rejections else []
    for line in (*lines, *rejected, *findings.encoding(encoding)):
        log.info("%s", line)
    log.info("%s: %s", name, version.folder)


def announce_targets(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The plan's targets of a mix as an artifact. Returns sentences on them."""
    rate = "CASE WHEN rate IS NULL THEN '-' ELSE printf('%.3f', rate) END"
    targets = rows_of(con, f"SELECT * REPLACE ({rate} AS rate) FROM targets")
    lines = sentences(targets)
    create_table_artifact(targets, key="targets", description="\n\n".join(lines))
    return lines


def announce_choice(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The chosen samples of each domain as an artifact. Returns sentences on what could not be chosen."""
    lines = findings.choice(rows_of(con, chosen.QUOTAS), rows_of(con, chosen.NOT_CHOSEN))
    rows = rows_of(con, chosen.BY_DOMAIN)
    create_table_artifact(rows, key="chosen-by-domain", description="\n\n".join(lines) or "Samples by domain")
    return lines
