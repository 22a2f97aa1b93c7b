"""How a flow's run ends: what is tried again and when, what a failure says, and which state is left alone."""

import logging
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import prefect.runtime
import pytest
from prefect.exceptions import Abort
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from flows import outcome
from flows.outcome import PATIENCE, RETRY, OneLine, concluded, mix_of, run_name
from pipelines.store.lock import locked
from schemas.errors import BusyError, RecipeError, StageError
from tests.conftest import TINY

BUSY = BusyError("/root: a build of 'm' holds it since noon (process 3 on host); wait for it")


@pytest.fixture
def run(monkeypatch):
    """A run of a deployment; `state` is what the server has, `states` what it was given."""
    run = SimpleNamespace(id=uuid4(), deployment_id=uuid4(), start_time=datetime.now(UTC), state=Running(), states=[])

    class Client:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def set_flow_run_state(self, run_id, state):
            assert run_id == run.id
            run.states.append(state)

        def read_flow_run(self, run_id):
            assert run_id == run.id
            return run

    monkeypatch.setattr(outcome, "get_client", lambda **_: Client())
    monkeypatch.setattr(outcome, "get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(outcome.FlowRunContext, "get", lambda: SimpleNamespace(flow_run=run))
    return run


def raising(error):
    def build():
        raise error

    return build


def test_a_busy_root_is_tried_again_and_says_who_holds_it(run):
    with pytest.raises(Abort) as abort:
        concluded(raising(BUSY))
    (state,) = run.states
    assert state.name == "AwaitingRetry"
    assert state is abort.value.state
    assert state.message == f"longmix: {BUSY}; tried again every 5 minutes for 24 hours"
    seconds = (state.state_details.scheduled_time - datetime.now(UTC)).total_seconds()
    assert seconds == pytest.approx(RETRY.total_seconds(), abs=30)


def test_patience_with_a_busy_root_ends(run):
    run.start_time = datetime.now(UTC) - PATIENCE - timedelta(seconds=1)
    state = concluded(raising(BUSY))
    assert (state.is_failed(), state.message, run.states) == (True, f"longmix: {BUSY}", [])
    run.start_time += timedelta(minutes=1)
    with pytest.raises(Abort):
        concluded(raising(BUSY))


def test_a_run_without_a_deployment_cannot_be_scheduled(run):
    run.deployment_id = None
    assert concluded(raising(BUSY)).is_failed()


@pytest.mark.parametrize(
    "error", [RecipeError("m.toml: plan.x:\n no such key"), StageError("s"), OSError(28, "full", "f")]
)
def test_a_failure_is_the_line_of_its_error(run, error):
    state = concluded(raising(error))
    assert state.type.value == "FAILED"
    assert state.data is error
    assert state.message == f"longmix: {' '.join(str(error).split())}"
    assert run.states == []


def test_a_defect_is_not_hidden(run):
    with pytest.raises(ZeroDivisionError):
        concluded(raising(ZeroDivisionError("ours")))
    assert run.states == []


@pytest.mark.parametrize("state", [Crashed(), Cancelled(), Failed(), Completed()], ids=lambda state: state.name)
def test_a_run_that_others_ended_keeps_its_state(run, state):
    run.state = state
    with pytest.raises(Abort, match=f"set to {state.name} while it ran"):
        concluded(lambda: "version")
    assert run.states == []


def test_a_run_that_nobody_ended_completes(run):
    assert concluded(lambda: Path("/version")) == "/version"
    assert run.states == []


def test_without_a_run_the_error_is_raised(tmp_path):
    with locked(tmp_path, "a build of 'm'", "--root"):

        def build():
            with locked(tmp_path, "a build of 'm'", "--root"):
                pytest.fail("two hold the lock")

        with pytest.raises(BusyError, match="a build of 'm' holds it"):
            concluded(build)


def test_a_run_is_named_by_its_mix(monkeypatch, tmp_path):
    monkeypatch.setattr(prefect.runtime.flow_run, "parameters", {"mix": str(TINY)}, raising=False)
    mix = tomllib.loads(TINY.read_text())["mix"]
    assert run_name("build")() == f"{mix} build {datetime.now(UTC):%Y-%m-%d}"
    other = tmp_path / "file.toml"
    other.write_text('mix = "other"')
    assert mix_of(str(other)) == "other"
    other.write_text("mix =")
    assert mix_of(str(other)) == "file"
    assert mix_of(str(tmp_path / "gone.toml")) == "gone"


@pytest.mark.parametrize(("error", "n_lines"), [(RecipeError("a:\nb"), 1), (ZeroDivisionError("ours"), 3)])
def test_errors_of_longmix_have_no_traceback_in_the_log(caplog, error, n_lines):
    logger = logging.getLogger("test.one_line")
    logger.addFilter(OneLine())
    try:
        raise error
    except type(error):
        logger.exception("Encountered exception during execution: %r", error)
    assert len(caplog.text.splitlines()) >= n_lines
    assert ("Traceback" in caplog.text) == (n_lines > 1)
    if n_lines == 1:
        assert caplog.messages == ["a: b"]
