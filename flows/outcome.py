"""How a flow's run ends: a busy root is waited for, a failure is one line, and a run that others ended is left alone."""

import logging
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import prefect.runtime
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import Abort
from prefect.states import AwaitingRetry, Failed, State

from flows.orphan import guarded
from pipelines.versions import Version
from schemas.errors import BusyError, LongmixError

RETRY = timedelta(minutes=5)  # between two tries of a run whose root is busy
PATIENCE = timedelta(hours=24)  # from the first try to the last; the longest builds take hours


def run_name(verb: str) -> Callable[[], str]:
    """Names a flow's runs by mix, verb and day, such as "128k build 2026-11-26"."""

    def name() -> str:
        parameters: dict[str, Any] = prefect.runtime.flow_run.parameters or {}
        return f"{mix_of(str(parameters.get('mix', 'mix')))} {verb} {datetime.now(UTC):%Y-%m-%d}"

    return name


def mix_of(recipe: str) -> str:
    """The mix that a recipe names; the file's name without suffix where the recipe can't be read."""
    path = Path(recipe)
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8"))["mix"])
    except (OSError, ValueError, KeyError):
        return path.stem


def concluded(build: Callable[[], Version]) -> Any:
    """Run a flow's body. Returns the folder of the version, or the failed state of the run with the error's one line.

    A run of a deployment whose root is busy is scheduled again: its process ends, and the place in the work pool is free.

    Raises:
        Abort: the run is scheduled again, or was ended by others meanwhile, such as marked as crashed or cancelled.
        LongmixError: called without a flow run.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return str(build())
    run = context.flow_run
    try:
        with guarded(run.id):
            version = build()
    except BusyError as error:
        if run.deployment_id is None or datetime.now(UTC) - (run.start_time or datetime.now(UTC)) > PATIENCE:
            return failed(error)
        raise waiting(run.id, error) from error
    except (LongmixError, OSError) as error:
        return failed(error)
    refuse_ended(run)
    return str(version)


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def failed(error: Exception) -> State:
    return Failed(message=f"longmix: {one_line(error)}", data=error)


def waiting(run_id: UUID, error: BusyError) -> Abort:
    """Schedule the run again. Returns the exception by which its process ends without a further state."""
    message = (
        f"longmix: {one_line(error)}; tried again every {RETRY.seconds // 60} minutes for {PATIENCE.days * 24} hours"
    )
    state: State = AwaitingRetry(scheduled_time=datetime.now(UTC) + RETRY, message=message)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, state)
    get_run_logger().warning("%s", message)
    abort = Abort(message)
    abort.state = state  # type: ignore[attr-defined]  # the engine reads it
    return abort


def refuse_ended(run: FlowRun) -> None:
    """
    Raises:
        Abort: the run is in a final state already. Its version is published, and the next run finds it.
    """
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run.id).state
    if state is not None and state.is_final():
        raise Abort(f"the run was set to {state.name} while it ran")


class OneLine(logging.Filter):
    """Logs of Prefect on an error of longmix: its line in place of a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, LongmixError):
            record.msg, record.args, record.exc_info = "%s", (one_line(error),), None
        return True


for name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(name).addFilter(OneLine())
