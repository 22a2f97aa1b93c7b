"""A run's process whose worker was killed stops, and marks its run as crashed; so does one whose run others ended.

Otherwise it would build on without a parent, hold the root, and turn a run that is marked as crashed into a completed one.
"""

import contextvars
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import psutil
from prefect.client.orchestration import get_client
from prefect.states import Crashed, State

PARENT_SECONDS = 1  # between two looks at the parent process
STATE_SECONDS = 15  # between two looks at the run's state
MESSAGE = "longmix: the worker was killed; run the deployment again, which resumes where this run stopped"


@contextmanager
def guarded(run_id: UUID) -> Iterator[None]:
    """End this process in the block if its worker ends or if its run gets a final state.

    Only in a process that a worker started for the run: another program that calls the flow goes on.
    """
    if os.environ.get("PREFECT__FLOW_RUN_ID") != str(run_id):
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=contextvars.copy_context().run, args=(watch, run_id, os.getppid(), done), daemon=True)  # fmt: skip
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def watch(run_id: UUID, parent: int, done: threading.Event) -> None:
    looked = time.monotonic()
    while not done.wait(PARENT_SECONDS):
        if os.getppid() != parent:
            with suppress(Exception):  # the server may be gone with the worker: it marks the run when it starts again
                mark(run_id, Crashed(message=MESSAGE))
            end_process()
        if time.monotonic() - looked >= STATE_SECONDS:
            looked = time.monotonic()
            if is_ended(run_id):
                end_process()


def mark(run_id: UUID, state: State) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, state, force=True)


def is_ended(run_id: UUID) -> bool:
    """Whether the run has a final state; False where the server does not answer."""
    with suppress(Exception), get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
        return state is not None and state.is_final()
    return False


def end_process() -> None:
    """End this process and its children at once: what is half made is made again by the next build."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(0)  # another status would make the worker report a crash
