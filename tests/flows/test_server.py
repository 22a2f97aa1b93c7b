"""`make server`, as far as it goes without a server: its port, its settings, and what it stops."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import psutil
import pytest

from flows import server


@pytest.fixture
def port(monkeypatch):
    """A port that somebody listens on, without ever answering."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(server, "PORT", listener.getsockname()[1])
        yield listener


@pytest.mark.usefixtures("port")
def test_a_port_in_use_is_said_so(monkeypatch, capsys):
    monkeypatch.setattr(server, "healthy", lambda: False)
    assert server.main() == 1
    assert f"127.0.0.1:{server.PORT}: in use by another program; stop it, or" in capsys.readouterr().err
    monkeypatch.setattr(server, "healthy", lambda: True)
    assert server.main() == 1
    assert "in use by a Prefect server" in capsys.readouterr().err


def test_the_server_has_settings_of_its_own(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    monkeypatch.setenv("PREFECT_PROFILE", "work")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    monkeypatch.setenv("NO_PROXY", "example.org")
    own = server.environment()
    assert own["PREFECT_API_URL"] == f"http://127.0.0.1:{server.PORT}/api"
    assert "PREFECT_PROFILE" not in own
    assert own["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert own["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert own["DO_NOT_TRACK"] == "1"
    assert own["NO_PROXY"] == own["no_proxy"] == "127.0.0.1,localhost,example.org"


STUBBORN = """
import signal, subprocess, sys, time
if len(sys.argv) > 1:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


def started(*words: str) -> subprocess.Popen:
    """A process with a child; with a word, one that ignores SIGTERM. It runs when this returns."""
    process = subprocess.Popen([sys.executable, "-c", STUBBORN, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    return process


@pytest.fixture
def handlers():
    """Puts the handlers of signals back."""
    before = {sign: signal.getsignal(sign) for sign in server.STOPS}
    yield
    for sign, handler in before.items():
        signal.signal(sign, handler)


@pytest.mark.usefixtures("handlers")
def test_processes_are_stopped_with_their_children_and_killed_if_they_ignore_it(monkeypatch):
    monkeypatch.setattr(server, "STOP_SECONDS", 0.3)
    processes = [started(), started("stubborn")]
    members = [each for p in processes for each in [psutil.Process(p.pid), *psutil.Process(p.pid).children()]]
    assert len(members) == 3
    server.stop(processes)
    assert [each.pid for each in members if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    assert None not in [process.returncode for process in processes]
    assert [signal.getsignal(sign) for sign in server.STOPS] == [signal.SIG_IGN] * len(server.STOPS)
    server.stop(processes)  # they are gone already


class Answer(BaseHTTPRequestHandler):
    """Keeps what it is asked, and answers a path with a status and a value."""

    answers: ClassVar[dict[str, tuple[int, object]]] = {}
    asked: ClassVar[list[tuple[str, dict]]] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        self.do_GET()

    def do_GET(self):
        status, value = self.answers.get(self.path, (404, None))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def api(monkeypatch):
    """A server on loopback: what it answers and what it was asked."""
    monkeypatch.setattr(Answer, "answers", {})
    monkeypatch.setattr(Answer, "asked", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listener:
        monkeypatch.setattr(server, "PORT", listener.server_port)
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        yield Answer
        listener.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (204, False), (500, False), (404, False)])
def test_a_server_is_healthy_when_it_answers_so(api, status, healthy):
    api.answers["/api/health"] = (status, None)
    assert server.healthy() == healthy


def test_where_nobody_listens_nothing_is_healthy(port):
    port.close()
    assert not server.healthy()
    assert not server.in_use()


def test_runs_that_ended_with_the_last_server_are_marked(api, capsys):
    api.answers["/api/flow_runs/filter"] = (200, [{"id": "1f", "name": "blue-whale"}])
    api.answers["/api/flow_runs/1f/set_state"] = (201, {"status": "ACCEPT"})
    server.mark_crashed("the server was stopped")
    (path, question), (target, change) = api.asked
    assert (path, target) == ("/api/flow_runs/filter", "/api/flow_runs/1f/set_state")
    assert set(question["flow_runs"]["state"]["type"]["any_"]) == {"RUNNING", "PENDING", "CANCELLING"}
    assert question["work_pools"] == {"name": {"any_": [server.POOL]}}
    assert (change["state"]["type"], change["force"]) == ("CRASHED", True)
    assert change["state"]["message"].startswith("longmix: the server was stopped; run the deployment again")
    assert capsys.readouterr().out == "longmix: run blue-whale is marked as crashed: the server was stopped\n"


class Process:
    """A process that lives for a number of looks at it."""

    def __init__(self, looks, status):
        self.looks, self.status = looks, status

    def poll(self):
        self.looks -= 1
        return None if self.looks >= 0 else self.status


@pytest.fixture
def supervised(monkeypatch):
    """Supervise a server and workers that live as long as given, in looks; returns what happened."""

    def run(server_looks, *workers, now=lambda: 0.0):
        log, rest = [], iter([Process(looks, -9) for looks in workers])
        monkeypatch.setattr(server.time, "sleep", lambda _: None)
        monkeypatch.setattr(server.time, "monotonic", now)
        monkeypatch.setattr(server, "end_workers", lambda *arguments: log.append(arguments))
        monkeypatch.setattr(server, "mark_crashed", log.append)
        monkeypatch.setattr(server, "worker", lambda: log.append("worker") or next(rest))
        server.supervise([Process(server_looks, 0), next(rest)])
        return log

    return run


def test_a_killed_worker_is_replaced_after_its_run_has_ended(supervised, capsys):
    replaced = [(os.getpid(), server.ORPHAN_SECONDS), "the worker was killed", "worker"]
    assert supervised(5, 2, 99) == replaced
    captured = capsys.readouterr()
    assert "the worker ended with status -9; another one starts" in captured.out
    assert "server ended unexpectedly" in captured.err
    assert supervised(5, 99) == []


def test_workers_that_end_at_once_are_not_started_for_ever(supervised, capsys):
    assert supervised(99, 0, 0, 0, 0, 0, 0).count("worker") == server.MAX_RESTARTS
    assert f"{server.MAX_RESTARTS + 1} workers ended at once" in capsys.readouterr().err
    hours = itertools.count(step=3600)
    assert supervised(9, *[0] * 12, now=lambda: float(next(hours))).count("worker") == 9
    assert "at once" not in capsys.readouterr().err


def test_only_the_processes_of_its_own_workers_are_ended():
    code = "import time; print('up', flush=True); time.sleep(600)"
    family = []
    for number in ("1234567", "7654321"):
        env = os.environ | {server.WORKER: number}
        family.append(subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True))
    try:
        assert [process.stdout.readline() for process in family] == ["up\n"] * 2
        server.end_workers(1234567, 0.1)
        assert [server.is_alive(psutil.Process(process.pid)) for process in family] == [False, True]
        assert family[0].wait() == -signal.SIGKILL
    finally:
        for process in family:
            process.kill()
            process.wait()
            process.stdout.close()


def test_the_process_of_make_server_is_known_while_it_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(server, "RUNNING", tmp_path / ".prefect" / "server.json")
    assert server.running() is None
    server.write_running()
    assert server.running() == psutil.Process()
    record = json.loads(server.RUNNING.read_text())
    server.RUNNING.write_text(json.dumps({**record, "created": record["created"] - 1}))
    assert server.running() is None  # another program has its number
    server.RUNNING.write_text("{")
    assert server.running() is None
