"""Errors of the driver, each run by the command line in a process of its own: one line with place and remedy."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import micro
from tests.commands import longmix, started

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return micro.write(tmp_path_factory.mktemp("mix"))


def longmix_begun(*words, prefix=(), **environment):
    """The command, begun as a shell begins it, where that matters."""
    command = [*prefix, sys.executable, "-m", "flows.cli", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, encoding="utf-8", env=env, cwd=ROOT, timeout=300
    )


def complaint(result, status=1):
    assert result.returncode == status, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("longmix: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    return lines[0]


def test_a_root_that_is_a_file(recipe, tmp_path):
    (tmp_path / "root").write_text("x")
    assert f"{tmp_path / 'root'}: can't be written" in complaint(longmix("build", recipe, "--root", tmp_path / "root"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("shards", "file"), ("actions", "dangling link"), ("scratch", "file"), ("datasets", "dangling link")],
)
def test_a_folder_of_the_root_that_is_none(recipe, tmp_path, name, kind):
    if kind == "file":
        (tmp_path / name).write_text("x")
    else:
        (tmp_path / name).symlink_to(tmp_path / "gone" / "away")
    line = complaint(longmix("build", recipe, "--root", tmp_path, "--quiet"))
    assert name in line
    assert re.search(r"; (move or remove|correct the path|choose)", line)


def test_folders_that_are_links(recipe, tmp_path):
    (tmp_path / "root").mkdir()
    for name in ("shards", "actions", "scratch", "datasets"):
        (tmp_path / "elsewhere" / name).mkdir(parents=True)
        (tmp_path / "root" / name).symlink_to(tmp_path / "elsewhere" / name)
    result = longmix("build", recipe, "--root", tmp_path / "root", "--quiet")
    assert result.returncode == 0, result.stderr


def mounts():
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


in_own_mounts = pytest.mark.skipif(not (shutil.which("unshare") and mounts()), reason="no mounts without privileges")


def mounting(options, *folders):
    for folder in folders:
        folder.mkdir(parents=True)
    script = " && ".join(f"mount -t tmpfs -o {options} tmpfs '{folder}'" for folder in folders)
    return ["unshare", "-rm", "sh", "-c", f'{script} && exec "$@"', "sh"]


@in_own_mounts
def test_folders_that_are_file_systems_of_their_own(recipe, tmp_path):
    folders = [tmp_path / name for name in ("shards", "actions", "scratch", "datasets")]
    result = longmix_begun("build", recipe, "--root", tmp_path, "--quiet", prefix=mounting("size=64m", *folders))
    assert result.returncode == 0, result.stderr


@in_own_mounts
@pytest.mark.parametrize(("name", "size"), [("shards", "100k"), ("datasets", "200k")])
def test_a_full_disk(recipe, tmp_path, name, size):
    prefix = mounting(f"size={size}", tmp_path / name)
    line = complaint(longmix_begun("build", recipe, "--root", tmp_path, "--quiet", prefix=prefix))
    assert "; free space on the disk and run the same command, which resumes" in line
    shutil.rmtree(tmp_path / name)
    result = longmix("build", recipe, "--root", tmp_path, "--quiet")
    assert result.returncode == 0, result.stderr


def test_a_locale_without_utf_8(tmp_path):
    recipe = micro.write(tmp_path / "mix")
    speech = next((tmp_path / "mix" / "corpus" / "speeches").glob("*.txt"))
    speech.rename(speech.with_name("é.txt"))
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    root = tmp_path / "root"
    result = longmix_begun("build", recipe, "--root", root, **ascii_only)
    assert result.returncode == 0, result.stderr
    for path in root.glob("datasets/*/*/*.[mh]*"):
        path.read_text(encoding="utf-8")
    query = ("query", root, "SELECT DISTINCT file FROM documents", "--format", "csv")
    assert "é.txt" in longmix_begun(*query, **ascii_only).stdout.splitlines()


def test_an_interrupt_ends_a_build_in_two_seconds_and_the_next_one_resumes(recipe, tmp_path):
    with started("build", recipe, "--root", tmp_path) as (process, _, errors):
        deadline = time.monotonic() + 120
        progress = tmp_path / "progress.jsonl"
        while time.monotonic() < deadline and process.is_alive():
            if progress.exists() and '"dedup"' in progress.read_text(encoding="utf-8"):
                break
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        began = time.monotonic()
        process.join(60)
        assert time.monotonic() - began < 5  # two on a machine of its own
        text = errors.read_text()
        assert process.exitcode == 130, text
    assert text.count("longmix: stopped; the same command resumes") == 1
    assert "Traceback" not in text
    assert longmix("build", recipe, "--root", tmp_path, "--quiet").returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ["gc", "--dry-run", "--root", "ROOT"],
        ["gc", "--root", "ROOT"],
        ["list", "ROOT"],
        ["check", "ROOT"],
        ["show", "ROOT", "0"],
        ["query", "ROOT", "FROM totals"],
        ["diff", "ROOT"],
        ["plan", "RECIPE", "--root", "ROOT"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_that_reads_makes_no_root(words, recipe, tmp_path):
    root = tmp_path / "none" / "root"
    result = longmix(*[{"ROOT": root, "RECIPE": recipe}.get(word, word) for word in words])
    if words[0] != "plan":
        assert str(root) in complaint(result)
    assert list(tmp_path.iterdir()) == []
