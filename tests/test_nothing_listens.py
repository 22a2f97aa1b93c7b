"""No command of longmix listens: nobody can connect to a build, from this machine or from another.

The build is the one that all tests share: `longmix build` with two workers, watched from its first moment to its last.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import DirectOptions

from pipelines.stage import Engine, Runner, over_each
from pipelines.store import Store
from tests.conftest import TINY
from tests.sockets import Watch, watched

LISTEN = """
import socket, sys, time
kind, address = sys.argv[1:]
with socket.socket(type=getattr(socket, kind)) as listener:
    listener.bind((address, 0))
    if kind == "SOCK_STREAM":
        listener.listen()
    time.sleep(1)
"""
CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"
COMMANDS = """
import sys
from flows.cli import app
recipe, root = sys.argv[1:]
for words in (
    ["plan", recipe, "--root", root],
    ["query", root, "SELECT count(*) AS n FROM documents"],
    ["show", root, "0"],
    ["gc", "--root", root, "--dry-run"],
):
    app(words, standalone_mode=False)
"""


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("in_a_child", [False, True])
def test_the_watcher_sees_a_socket_of_a_second(tmp_path, kind, address, in_a_child):
    """Guards the tests below from looking at nothing."""
    command = [sys.executable, "-c", *([CHILD] if in_a_child else []), LISTEN, kind, address]
    result = watched(command, tmp_path / "output")
    assert result["status"] == 0, (tmp_path / "output").read_text()
    assert [name.rpartition(":")[0] for name in result["open"]] == [f"{kind} {address}"]


def test_a_build_with_two_workers_opens_no_socket(tiny_build):
    sockets = tiny_build["sockets"]
    assert sockets["status"] == 0, tiny_build["output"]
    assert sockets["n_looks"] > 50
    assert sockets["open"] == []
    assert "tokens in" in tiny_build["output"]


def test_commands_that_look_open_no_socket(tiny_build, tmp_path):
    command = [sys.executable, "-c", COMMANDS, str(TINY), tiny_build["root"]]
    result = watched(command, tmp_path / "output")
    output = (tmp_path / "output").read_text()
    assert result["status"] == 0, output
    assert result["n_looks"] > 20
    assert result["open"] == []
    for word in ("400,000 tokens", "sequence 0 of tiny", "would be removed"):
        assert word in output.lower(), word


def hold(folder: Path) -> None:
    """Begin, and end when somebody has looked: an action of a pipeline whose ports are open meanwhile."""
    (folder / "begun").touch()
    until((folder / "seen").exists)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_the_runner_of_our_tests_listens_on_loopback_alone(cluster, tmp_path):
    """On a cluster the ports are the runner's; here nobody from outside reaches them."""
    engine = Engine(Store(tmp_path), cluster)

    def look(watch: Watch) -> None:
        until((tmp_path / "begun").exists)
        n_looks = watch.n_looks
        until(lambda: watch.n_looks > n_looks + 1)  # one may have begun before
        (tmp_path / "seen").touch()

    with Watch(os.getpid()) as watch, ThreadPoolExecutor(1) as others, engine.pipeline("x") as p:
        others.submit(look, watch)
        over_each(hold)(p, [tmp_path])
    addresses = {name.split()[1].rpartition(":")[0].removeprefix("::ffff:") for name in watch.open}
    assert addresses == {"127.0.0.1"}
    assert len(watch.open) >= 5, "it saw the ports of the job service and of the workers' process"


@pytest.mark.parametrize("workers", range(5))
def test_beam_runs_in_memory_with_any_number_of_workers(workers):
    """In its other modes the runner opens four gRPC ports on every address without a credential."""
    direct = Runner(workers=workers).pipeline_options().view_as(DirectOptions)
    assert direct.direct_running_mode == "in_memory"
    assert direct.direct_num_workers == (workers or Runner().n_workers)
