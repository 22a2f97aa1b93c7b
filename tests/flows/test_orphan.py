"""A run's process ends with its worker, and when its run gets a final state; any other process goes on."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from uuid import uuid4

import psutil
import pytest
from prefect.states import Cancelled, Running

from flows import orphan
from flows.server import is_alive

RUN = """
import subprocess, sys, time
from pathlib import Path
from uuid import UUID
from prefect.states import Cancelled
from flows import orphan

run_id, case, file = UUID(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
orphan.PARENT_SECONDS = 0.05
orphan.STATE_SECONDS = 0.1 if case == "cancelled" else 60
orphan.is_ended = lambda _: case == "cancelled"
orphan.mark = lambda run, state: file.write_text(f"{run} {state.name} {state.message}")
with orphan.guarded(run_id):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(600)
"""
WORKER = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", *sys.argv[1:]]).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("case", ["killed", "cancelled"])
def test_a_process_ends_with_its_children_when_its_worker_or_its_run_does(tmp_path, case):
    run_id, file = uuid4(), tmp_path / "marked"
    env = os.environ | {"PREFECT__FLOW_RUN_ID": str(run_id)}
    command = [sys.executable, "-c", WORKER, RUN, str(run_id), case, str(file)]
    worker, family = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True), []
    try:
        family += [psutil.Process(int(worker.stdout.readline())) for _ in range(2)]
        if case == "killed":
            worker.send_signal(signal.SIGKILL)
        until = time.monotonic() + 10
        while any(map(is_alive, family)):  # psutil.wait_procs waits for zombies, too, and nobody reads their status
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        worker.kill()
        worker.wait()
        worker.stdout.close()
    assert file.exists() == (case == "killed")  # a state that others set is left alone
    if case == "killed":
        assert file.read_text() == f"{run_id} Crashed {orphan.MESSAGE}"


@pytest.mark.parametrize("variable", [None, "4e203d06-039e-4eb7-9796-26ad5c788dc8"])
def test_a_program_that_calls_the_flow_itself_is_not_ended(monkeypatch, variable):
    monkeypatch.setattr(orphan, "watch", lambda *_: pytest.fail("watched"))
    if variable:
        monkeypatch.setenv("PREFECT__FLOW_RUN_ID", variable)
    with orphan.guarded(uuid4()):
        pass


@pytest.mark.parametrize(
    ("state", "is_ended"), [(Cancelled(), True), (Running(), False), (None, False), (OSError(), False)]
)
def test_a_run_is_ended_by_a_final_state_alone(monkeypatch, state, is_ended):
    class Client:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read_flow_run(self, _):
            if isinstance(state, OSError):
                raise state
            return type("Run", (), {"state": state})

    monkeypatch.setattr(orphan, "get_client", lambda **_: Client())
    assert orphan.is_ended(uuid4()) == is_ended
