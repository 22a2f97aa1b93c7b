"""A real server, a real worker, and the commands just as they are typed.

The project lies in a folder with a space, and its 128k.toml is a small mix. Nothing of the user's Prefect is touched.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest
from prefect import flow
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import deploy
from flows import server as server_module
from flows.build_mix import reported, retried
from flows.server import mark_crashed, post
from pipelines.store.lock import locked
from schemas.errors import RecipeError, SchemaError, StageError
from tests import micro
from tests.conftest import TINY
from tests.sockets import open_to_others

pytestmark = pytest.mark.slow
REPOSITORY = TINY.parents[1]
PREFECT = str(Path(sys.executable).parent / "prefect")
START_SECONDS = 300


def project_in(folder: Path) -> Path:
    """A project of its own, as a clone would be; with a profile that its user has chosen."""
    project = folder / "my project"
    (project / "mixes").mkdir(parents=True)
    (project / "sub" / "folder").mkdir(parents=True)
    for name in ("flows", "examples"):
        (project / name).symlink_to(REPOSITORY / name)
    shutil.copyfile(REPOSITORY / "prefect.yaml", project / "prefect.yaml")
    recipe = micro.write(project / "mixes").read_text().replace('mix = "micro"', 'mix = "128k"')
    (project / "mixes" / "128k.toml").write_text(recipe)
    profiles = folder / "home" / ".prefect" / "profiles.toml"
    profiles.parent.mkdir(parents=True)
    profiles.write_text('active = "work"\n\n[profiles.work]\n')
    return project


def environment(folder: Path, port: int) -> dict[str, str]:
    """Of a shell whose user has the home and the project of project_in."""
    users = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    project = str(folder / "my project")
    return {**users, "HOME": str(folder / "home"), "LONGMIX_HOME": project, "LONGMIX_PORT": str(port)}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def ran(running, command: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, env=running.env, cwd=folder, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )


def started(folder: Path) -> SimpleNamespace:
    """`make server`, on a port that is free; another one where somebody else was quicker to take it."""
    project, log = folder / "my project", folder / "server.log"
    for _ in range(5):
        port = free_port()
        env = environment(folder, port)
        with open(log, "w") as stream:
            command = [sys.executable, "-m", "flows.server"]
            process = subprocess.Popen(command, cwd=project, env=env, stdout=stream, stderr=stream)
        until = time.monotonic() + START_SECONDS
        while "started!" not in log.read_text() and process.poll() is None:  # what the worker says
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        if process.poll() is None:
            return SimpleNamespace(process=process, project=project, env=env, log=log, port=port, folder=folder)
        assert "in use" in log.read_text(), log.read_text()
    raise AssertionError("five free ports were taken by others")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """`make server` and `make deploy`; at the end Ctrl-C, which must stop everything."""
    folder = tmp_path_factory.mktemp("end to end")
    project_in(folder)
    found = started(folder)
    family = []
    try:
        found.deployed = ran(found, [sys.executable, "-m", "flows.deploy"], found.project)
        yield found
        family = psutil.Process(found.process.pid).children(recursive=True)
        assert len(family) >= 2
    finally:
        found.process.send_signal(signal.SIGINT)
        status = found.process.wait(120)
    assert status == 0, found.log.read_text()
    assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    with pytest.raises(OSError):
        build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{found.port}/api/health")


@pytest.fixture(scope="module")
def built(running):
    """`prefect deployment run build-128k-mix` from a subfolder: the name has no flow before it."""
    folder = running.project / "sub" / "folder"
    done = ran(running, [PREFECT, "deployment", "run", "build-128k-mix", "--watch"], folder)
    assert done.returncode == 0, done.stdout + done.stderr + running.log.read_text()
    return done


@pytest.fixture
def server(running, monkeypatch):
    """The test process as a client of the server."""
    monkeypatch.setattr(server_module, "PORT", running.port)
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{running.port}/api"}):
        yield running
        for each in (APILogWorker, EventsWorker):
            each.drain_all(timeout=60)  # of what it has still to send nobody takes any when the server is gone


def artifacts() -> dict[str, dict]:
    return {found["key"]: found for found in post("artifacts/latest/filter", {})}


def runs(*states: str) -> list[dict]:
    """Of deployments: the flows of this process have none."""
    found = post("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": list(states)}}}})
    return [run for run in found if run["deployment_id"]]


def test_deploy_says_what_comes_next(running):
    assert running.deployed.returncode == 0, running.deployed.stderr
    assert "prefect deployment run build-128k-mix --watch" in running.deployed.stdout
    assert 'active = "longmix"' in (running.folder / "home" / ".prefect" / "profiles.toml").read_text()


@pytest.mark.usefixtures("server")
def test_deployments_bear_absolute_paths(running):
    found = {each["name"]: each for each in post("deployments/filter", {})}
    assert sorted(found) == ["build-128k-mix", "refresh-128k-mix", "select-influential"]
    for name, each in found.items():
        home = str(running.project)
        mix, root = ("sft-64k", "sft") if name == "select-influential" else ("128k", "mixes")
        assert each["parameters"] == {"mix": f"{home}/mixes/{mix}.toml", "root": f"{home}/data/{root}"}
        assert each["global_concurrency_limit"]["limit"] == 1
    assert [each["slug"] for each in found["refresh-128k-mix"]["schedules"]] == ["sundays"]


@pytest.mark.usefixtures("server")
def test_the_literal_command_builds_the_mix(running, built):
    assert "finished successfully" in built.stdout
    run = run_of(built)
    assert run["state_name"] == "Completed"
    assert re.fullmatch(r"128k build 20\d\d-\d\d-\d\d", run["name"])
    latest = running.project / "data" / "mixes" / "datasets" / "128k" / "latest"
    assert (latest / "manifest.json").is_file()
    found = artifacts()
    for stage in ("ingest", "dedup", "encode", "screen", "plan", "pack"):
        assert found[f"progress-{stage}"]["data"] == 100.0, stage
        assert re.match(r"[\d,]+ documents", found[f"progress-{stage}"]["description"]), stage
    table = json.loads(found["tokens-by-domain-and-length"]["data"])
    assert [row["domain"] for row in table] == ["book", "web", "wiki", "all"]
    assert table[-1]["all"] == "30,000"
    assert str(latest.resolve()) in found["mix"]["data"]
    tasks = post("task_runs/filter", {"sort": "EXPECTED_START_TIME_ASC", "flow_runs": {"id": {"any_": [run["id"]]}}})
    names = [task["name"] for task in tasks]
    assert names == ["ingest", "dedup", "encode", "screen", "plan", "pack", "publish"]
    assert running.log.read_text().count("documents") >= 5


def run_of(done: subprocess.CompletedProcess) -> dict:
    """The flow run that `prefect deployment run` created."""
    return run_with(re.search(r"UUID: ([0-9a-f-]{36})", done.stdout).group(1))


def run_with(identifier: str) -> dict:
    (run,) = post("flow_runs/filter", {"flow_runs": {"id": {"any_": [identifier]}}})
    return run


def wait_for(is_so: Callable[[], Any], what: str) -> Any:
    """What a function returns as soon as it is true."""
    until = time.monotonic() + START_SECONDS
    while not (value := is_so()):
        assert time.monotonic() < until, what
        time.sleep(0.1)
    return value


@pytest.mark.usefixtures("server", "built")
def test_a_refresh_of_a_busy_root_waits_and_then_writes_no_version_as_nothing_is_new(running):
    """From a folder that has nothing to do with the project."""
    root = running.project / "data" / "mixes"
    folder = root / "datasets" / "128k"
    before = sorted(path.name for path in folder.iterdir())
    assert len(before) == 2
    with locked(root, "a build of 'other'", "--root"):
        done = ran(running, [PREFECT, "deployment", "run", "refresh-128k-mix"], running.folder)
        identifier = run_of(done)["id"]
        wait_for(lambda: run_with(identifier)["state_name"] in ("AwaitingRetry", "Failed", "Crashed"), done.stdout)
        run = run_with(identifier)
        assert run["state_name"] == "AwaitingRetry"
        assert f"longmix: {root}: a build of 'other' holds it since" in run["state"]["message"]
    scheduled = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "now"}  # instead of in 5 minutes
    post(f"flow_runs/{identifier}/set_state", {"state": scheduled, "force": True})
    wait_for(lambda: run_with(identifier)["state_type"] in ("COMPLETED", "FAILED", "CRASHED"), "the second try")
    run = run_with(identifier)
    assert (run["state_name"], run["run_count"]) == ("Completed", 2), run["state"]["message"]
    assert sorted(path.name for path in folder.iterdir()) == before
    latest = (folder / "latest").resolve().name
    assert artifacts()["changes"]["data"] == f"Nothing changed since `{latest}`: no version was written."


@pytest.mark.usefixtures("server", "built")
def test_a_refused_recipe_is_not_tried_again_and_watching_ends_with_its_line(running):
    recipe = running.project / "mixes" / "wrong.toml"
    recipe.write_text("[[sources]\n")
    command = [PREFECT, "deployment", "run", "--watch", "build-128k-mix", "-p", f"mix={recipe}"]
    done = ran(running, command, running.folder)
    run = run_of(done)
    assert (done.returncode, run["state_name"], run["run_count"]) == (1, "Failed", 1)
    assert run["name"].startswith("wrong build ")
    assert run["state"]["message"].startswith(f"longmix: {recipe}: ")
    assert done.stderr.splitlines()[-1] == f"longmix: failed: {run['state']['message'].removeprefix('longmix: ')}"
    assert "Traceback" not in done.stdout + done.stderr


def worker_of(running) -> psutil.Process:
    return next(each for each in psutil.Process(running.process.pid).children() if "worker" in each.cmdline())


@pytest.mark.usefixtures("server", "built")
def test_a_killed_worker_takes_nothing_with_it(running):
    """Its run's process is stopped by SIGSTOP, so that it cannot end by itself as it otherwise does."""
    worker = worker_of(running)
    done = ran(running, [PREFECT, "deployment", "run", "build-128k-mix"], running.folder)
    identifier = run_of(done)["id"]
    (process,) = wait_for(worker.children, "no process of the run")
    wait_for(lambda: run_with(identifier)["state_name"] == "Running", "not begun")
    process.suspend()
    worker.kill()
    wait_for(lambda: run_with(identifier)["state_type"] in ("COMPLETED", "CRASHED"), "the run has no end")
    run = run_with(identifier)
    assert run["state_name"] == "Crashed"
    assert run["state"]["message"].startswith("longmix: the worker was killed; run the deployment again")
    assert not server_module.is_alive(process)
    assert server_module.healthy()
    with locked(running.project / "data" / "mixes", "a test", "--root"):
        pass  # the root is free
    wait_for(lambda: running.log.read_text().count("started!") == 2, "no other worker")
    assert worker_of(running).pid != worker.pid
    assert run_with(identifier)["state_name"] == "Crashed"


def test_nobody_outside_this_machine_reaches_the_server(running):
    listening = open_to_others(psutil.Process(running.process.pid))
    assert f"SOCK_STREAM 127.0.0.1:{running.port}" in listening
    assert {name.split()[1].rpartition(":")[0] for name in listening} == {"127.0.0.1"}


def test_a_wrong_name_is_one_line(running):
    done = ran(running, [PREFECT, "deployment", "run", "build-128k"], running.folder)
    known = "build-mix/build-128k-mix, refresh-mix/refresh-128k-mix, select-influential/select-influential"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"longmix: build-128k: no deployment has this name; choose from {known}\n"


def test_python_m_prefect_takes_a_bare_name_too(running):
    command = ["-m", "prefect", "deployment", "run", "build-128k-mix", "--start-in", "5 hours"]
    done = ran(running, [sys.executable, *command], running.folder)
    assert "Creating flow run for deployment 'build-mix/build-128k-mix'" in done.stdout, done.stderr


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (RecipeError("no such key"), 1),
        (SchemaError("columns missing"), 1),
        (ZeroDivisionError("ours"), 1),
        (StageError("a worker was killed"), 3),
        (OSError(28, "No space left on device"), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_tried_again(error, tries):
    calls = []

    def run():
        calls.append(1)
        raise error

    @flow(persist_result=False)
    def once():
        retried(run).with_options(retry_delay_seconds=0)()

    with pytest.raises(type(error)):
        once()
    assert len(calls) == tries


@pytest.mark.usefixtures("server")
def test_progress_that_cannot_be_shown_fails_nothing(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("away")

    monkeypatch.setattr("flows.build_mix.create_progress_artifact", refuse)

    @flow(persist_result=False)
    def shown():
        with reported(tmp_path):
            line = {"time": time.time(), "stage": "ingest", "event": "begun", "shards": 1}
            (tmp_path / "progress.jsonl").write_text(json.dumps(line) + "\n")
        return "built"

    assert shown() == "built"


@pytest.mark.usefixtures("server")
def test_a_run_that_ended_with_its_server_frees_its_place():
    (deployment,) = post("deployments/filter", {"deployments": {"name": {"any_": ["build-128k-mix"]}}})

    name = f"deployment:{deployment['id']}"
    start = {"state": {"type": "SCHEDULED"}}

    def taken() -> int:
        return next(each["active_slots"] for each in post("v2/concurrency_limits/filter", {}) if each["name"] == name)

    assert taken() == 0
    run = post(f"deployments/{deployment['id']}/create_flow_run", start)
    for kind in ("PENDING", "RUNNING"):
        post(f"flow_runs/{run['id']}/set_state", {"state": {"type": kind}, "force": False})
    assert taken() == 1
    mark_crashed("the server was stopped")
    assert run_with(run["id"])["state_name"] == "Crashed"
    assert runs("RUNNING", "PENDING") == []
    assert taken() == 0


@pytest.mark.usefixtures("server")
def test_what_undeploy_removes_is_gone_and_a_second_time_is_no_error():
    """The last test that needs the deployments."""
    (deployment,) = post("deployments/filter", {"deployments": {"name": {"any_": ["refresh-128k-mix"]}}})
    waiting = post(f"deployments/{deployment['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    names = "build-128k-mix, refresh-128k-mix, select-influential"
    assert deploy.remove() == f"removed the work pool longmix, {names}"
    assert post("deployments/filter", {}) == post("v2/concurrency_limits/filter", {}) == []
    assert [pool["name"] for pool in post("work_pools/filter", {})] == []
    assert runs("SCHEDULED", "PENDING", "RUNNING") == []
    assert run_with(waiting["id"])["state"]["message"] == "longmix: `make undeploy` removed the deployment"
    assert deploy.remove() == "the server has no deployment of longmix"


def test_without_a_server_a_run_is_one_line_and_undeploy_takes_the_profile_back(tmp_path):
    project = project_in(tmp_path)
    shell = SimpleNamespace(env=environment(tmp_path, free_port()))
    profiles = tmp_path / "home" / ".prefect" / "profiles.toml"
    done = ran(shell, [sys.executable, "-c", "from flows import deploy; deploy.select()"], project)
    assert 'active = "longmix"' in profiles.read_text(), done.stderr
    done = ran(shell, [PREFECT, "deployment", "run", "build-128k-mix"], project)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"longmix: build-128k-mix: no Prefect server answers \(.*\); start one .*\n", done.stderr)
    done = ran(shell, [sys.executable, "-m", "flows.deploy", "undo"], project)
    assert done.stdout == "longmix: removed the profile longmix; the selected profile is work\n"
    assert done.stderr.endswith(": there is nothing else to remove or stop\n")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert 'active = "work"' in profiles.read_text()


def test_make_knows_the_three_commands():
    done = subprocess.run(
        ["make", "-n", "server", "deploy", "undeploy"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for words in ("flows.server", "flows.deploy", "flows.deploy undo"):
        assert f"python -m {words}\n" in done.stdout
