"""`make server`, `make deploy` and `make undeploy`, as far as they go without a server."""

import socket
import tomllib

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


@pytest.fixture
def port(monkeypatch):
    """A port that somebody listens on, without ever answering."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(server, "PORT", listener.getsockname()[1])
        yield listener


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


def test_without_a_server_nothing_is_deployed_and_no_profile_made(profiles, port, monkeypatch, capsys):
    port.close()
    monkeypatch.setattr(deploy, "PORT", server.PORT)
    assert deploy.deploy() == 1
    assert capsys.readouterr().err == (
        f"longmix: no server answers at 127.0.0.1:{server.PORT}; start one with `make server`\n"
    )
    assert not profiles.exists()


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


def test_what_is_deployed():
    found = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
    build, refresh = found["deployments"]
    assert (build["name"], build["entrypoint"]) == ("build-128k-mix", "flows/build_mix.py:build_mix")
    assert (refresh["name"], refresh["entrypoint"]) == ("refresh-128k-mix", "flows/refresh.py:refresh_mix")
    for deployment in (build, refresh):
        assert deployment["work_pool"]["name"] == server.POOL
        assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
        assert all(path.startswith("{{ $LONGMIX_HOME }}/") for path in deployment["parameters"].values())
        mix = deployment["parameters"]["mix"].removeprefix("{{ $LONGMIX_HOME }}/")
        assert (PROJECT / mix).is_file()
    assert refresh["schedules"] == [{"slug": "sundays", "cron": "0 3 * * 0", "timezone": "UTC"}]
    assert "schedules" not in build
