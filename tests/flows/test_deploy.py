"""`make deploy` and `make undeploy`, as far as they go without a server: the profile, and what is deployed."""

import socket
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import pytest
import yaml
from prefect.settings import PREFECT_PROFILES_PATH, temporary_settings

from flows import deploy, server
from tests.conftest import TINY

PROJECT = TINY.parents[1]


@pytest.fixture
def profiles(tmp_path):
    """Where the profiles lie, for the length of a test."""
    path = tmp_path / "prefect" / "profiles.toml"
    with temporary_settings({PREFECT_PROFILES_PATH: path}):
        yield path


def read(path):
    return tomllib.loads(path.read_text())


def test_the_profile_is_made_and_taken_back(profiles):
    profiles.parent.mkdir()
    profiles.write_text('active = "work"\n[profiles.work]\nPREFECT_API_URL = "http://work/api"\n')
    before = read(profiles)
    for _ in range(2):  # a second time changes nothing
        deploy.select()
        found = read(profiles)
        assert found["active"] == "longmix"
        assert found["profiles"]["work"] == before["profiles"]["work"]
        assert found["profiles"]["longmix"] == {
            "PREFECT_API_URL": f"http://127.0.0.1:{server.PORT}/api",
            "PREFECT_PLUGINS_ENABLED": "true",
            "PREFECT_PLUGINS_SETUP_TIMEOUT_SECONDS": "60",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        }
    deploy.deselect()
    assert read(profiles) == before
    assert [path.name for path in profiles.parent.iterdir()] == ["profiles.toml"]


def test_where_no_profile_was_chosen_none_is_left(profiles):
    deploy.select()
    deploy.deselect()
    assert read(profiles) == {"active": "ephemeral", "profiles": {}}


def test_a_profile_chosen_since_stays_chosen(profiles):
    deploy.select()
    profiles.write_text(profiles.read_text().replace('active = "longmix"', 'active = "local"'))
    deploy.deselect()
    assert read(profiles) == {"active": "local", "profiles": {}}


def test_a_profile_that_is_gone_is_not_chosen_again(profiles):
    profiles.parent.mkdir()
    profiles.write_text('active = "work"\n[profiles.work]\n')
    deploy.select()
    profiles.write_text(profiles.read_text().replace("[profiles.work]", "[profiles.play]"))
    deploy.deselect()
    assert read(profiles)["active"] == "ephemeral"


def test_without_a_server_nothing_is_deployed_and_no_profile_made(profiles, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for module in (server, deploy):
        monkeypatch.setattr(module, "PORT", port)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("Prefect was run"))
    assert deploy.deploy() == 1
    assert capsys.readouterr().err == f"longmix: no server answers at 127.0.0.1:{port}; start one with `make server`\n"
    assert not profiles.exists()


@pytest.fixture
def commands(monkeypatch):
    """A server that answers, and a Prefect that takes its commands; "fail" among them makes the last one fail."""
    taken = []

    def run(command, **options):
        taken.append((command, options["env"]["PREFECT_API_URL"]))
        failed = "deploy" in command and "fail" in taken
        return subprocess.CompletedProcess(command, int(failed), "out", "err")

    monkeypatch.setattr(deploy, "healthy", lambda: True)
    monkeypatch.setattr(subprocess, "run", run)
    return taken


def test_prefect_makes_pool_and_deployments_and_then_the_profile_is_selected(profiles, commands, monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_PROFILE", "work")
    assert deploy.deploy() == 0
    assert [command[:3] for command, _ in commands] == [[sys.executable, "-m", "prefect"]] * 3
    assert [command[3:] for command, _ in commands] == list(deploy.PREFECT_COMMANDS)
    assert ["work-pool", "set-concurrency-limit", server.POOL, "1"] in deploy.PREFECT_COMMANDS
    assert {url for _, url in commands} == {f"http://127.0.0.1:{server.PORT}/api"}
    assert read(profiles)["active"] == "longmix"
    captured = capsys.readouterr()
    assert captured.err == "longmix: PREFECT_PROFILE is set in this shell and overrides the profile; unset it\n"
    assert captured.out.endswith("prefect deployment run build-128k-mix --watch\n")


def test_a_command_that_fails_is_shown_and_no_profile_is_selected(profiles, commands, capsys):
    commands.append("fail")
    assert deploy.deploy() == 1
    assert capsys.readouterr().err == "outerr\n"
    assert not profiles.exists()


@pytest.fixture
def holding(monkeypatch, profiles):  # noqa: ARG001 the profile is removed too
    """A server with a run, deployments and a pool; returns the calls that it gets. `process` is that of `make server`."""
    calls = []
    content = {"flow_runs/filter": [{"id": "r1", "name": "n"}], "work_pools/filter": [{"name": "longmix"}]}
    content["deployments/filter"] = [{"id": "d2", "name": "refresh"}, {"id": "d1", "name": "build"}]

    class Process:
        pid = 12

        def __getattr__(self, name):
            return lambda *_: calls.append(name)

    def post(path, body):
        calls.append(path)
        if path.endswith("set_state"):
            assert (body["state"]["type"], body["force"]) == ("CANCELLED", True)
            return None
        assert body["work_pools"] == {"name": {"any_": ["longmix"]}}
        return content[path]

    monkeypatch.setattr(deploy, "healthy", lambda: True)
    monkeypatch.setattr(server, "running", Process)
    monkeypatch.setattr(server, "end_workers", lambda pid, _: calls.append(f"end workers of {pid}"))
    monkeypatch.setattr(server, "post", post)
    monkeypatch.setattr(server, "delete", calls.append)
    return SimpleNamespace(calls=calls, content=content)


def test_undeploy_stops_the_worker_removes_all_and_stops_the_server(holding, capsys):
    assert deploy.undeploy() == 0
    filters = {"flow_runs/filter", "deployments/filter", "work_pools/filter"}
    done = ["flow_runs/r1/set_state", "deployments/d2", "deployments/d1", "work_pools/longmix"]
    calls = [call for call in holding.calls if call not in filters]
    assert calls == ["suspend", "end workers of 12", *done, "terminate", "resume", "wait"]
    removed = "removed the work pool longmix, build, refresh"
    assert capsys.readouterr().out.endswith(f"longmix: {removed}; stopped the server and the worker\n")


def test_undeploy_removes_what_is_there_and_leaves_another_server_alone(holding, monkeypatch, capsys):
    for rows in holding.content.values():
        rows.clear()
    monkeypatch.setattr(server, "running", lambda: None)
    assert deploy.undeploy() == 0
    assert [call for call in holding.calls if not call.endswith("/filter")] == []
    assert "longmix: the server has no deployment of longmix; the server at 127.0.0.1:" in capsys.readouterr().out


def test_a_fault_of_the_server_leaves_nothing_suspended(holding, monkeypatch):
    def delete(_):
        raise OSError("away")

    monkeypatch.setattr(server, "delete", delete)
    with pytest.raises(OSError, match="away"):
        deploy.undeploy()
    assert holding.calls[-2:] == ["terminate", "resume"]


def test_what_is_deployed():
    found = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
    build, refresh, choose = found["deployments"]
    assert tuple(deployment["name"] for deployment in found["deployments"]) == deploy.DEPLOYMENTS
    assert (build["name"], build["entrypoint"]) == ("build-128k-mix", "flows/build_mix.py:build_mix")
    assert (refresh["name"], refresh["entrypoint"]) == ("refresh-128k-mix", "flows/refresh.py:refresh_mix")
    assert choose["entrypoint"] == "flows/select_influential.py:select_influential"
    assert choose["parameters"]["root"] != build["parameters"]["root"]  # a root with two mixes needs --mix
    for deployment in (build, refresh, choose):
        assert deployment["work_pool"]["name"] == server.POOL
        assert deployment["tags"] == ["longmix"]
        assert "Waits while another process uses the root." in " ".join(deployment["description"].split())
        assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
        assert all(path.startswith("{{ $LONGMIX_HOME }}/") for path in deployment["parameters"].values())
        mix = deployment["parameters"]["mix"].removeprefix("{{ $LONGMIX_HOME }}/")
        assert (PROJECT / mix).is_file()
    assert refresh["schedules"] == [{"slug": "sundays", "cron": "0 3 * * 0", "timezone": "UTC"}]
    assert "schedules" not in build
