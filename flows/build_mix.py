"""The Prefect flow around pipelines/build.py: a task a stage, with retries, progress and artifacts."""

import contextvars
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from flows.artifacts import announce
from flows.outcome import concluded, run_name
from flows.progress import Follower, StageProgress, polling
from pipelines.build import build
from pipelines.encode import notes
from pipelines.recipe import load
from pipelines.versions import Version
from schemas.errors import StageError

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
def build_mix(mix: str, root: str) -> str:
    """Build a mix: make what is missing, publish a version.

    Args:
        mix: The recipe, such as mixes/128k.toml in the folder of the project.
        root: The folder of the tables and datasets, such as data/mixes.
    """
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
