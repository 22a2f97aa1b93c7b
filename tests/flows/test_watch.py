"""`prefect deployment run --watch`: log lines as they are, and the reason of a failure at the end."""

import asyncio
import io
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.cli import flow_runs_watching as watching
from prefect.client.schemas.objects import Log
from prefect.states import Completed, Crashed, Failed
from prefect.types._datetime import now
from rich.console import Console

from flows import watch


@pytest.fixture
def ended(monkeypatch):
    """Watch a run that ends in a state, with the functions of longmix in place."""

    def ended(state):
        async def follow(*_, **__):
            return SimpleNamespace(state=state)

        monkeypatch.setattr(watching, "watch_flow_run", follow)
        monkeypatch.setattr(watching.FlowRunFormatter, "format_log", watching.FlowRunFormatter.format_log)
        watch.install()
        return asyncio.run(watching.watch_flow_run(uuid4(), Console(), timeout=3))

    return ended


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (Failed(message="longmix: a.toml: no such key"), "longmix: failed: a.toml: no such key"),
        (Crashed(message="longmix: the worker was killed"), "longmix: crashed: the worker was killed"),
        (Failed(message="Flow run encountered\n an exception"), "longmix: failed: Flow run encountered an exception"),
        (Failed(), "longmix: failed: no reason was given; see the log of the run"),
    ],
    ids=repr,
)
def test_it_ends_with_the_reason(ended, capsys, state, line):
    with pytest.raises(SystemExit) as status:
        ended(state)
    assert status.value.code == 1
    assert capsys.readouterr().err == f"{line}\n"


def test_a_success_is_reported_by_prefect(ended, capsys):
    assert ended(Completed()).state.is_completed()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("message", ["set [run] and [/INST]", "two\nlines [bold]", ":smile:", "100 % \\[x]"])
def test_a_log_line_is_shown_as_it_is(ended, message):
    ended(Completed())
    log = Log(name="n", level=20, message=message, timestamp=now("UTC"), flow_run_id=uuid4())
    console = Console(file=io.StringIO(), width=200)
    console.print(watching.FlowRunFormatter().format(log))
    shown = [line.strip() for line in console.file.getvalue().splitlines()]
    assert shown[0].endswith(message.splitlines()[0])
    assert shown[1:] == message.splitlines()[1:]
