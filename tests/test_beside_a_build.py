"""plan, query, show and gc on a root in which a build is running: they change nothing, and the build succeeds."""

import shutil
import subprocess
import sys
import time
from hashlib import blake2b
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from schemas.errors import BusyError
from tests.conftest import TINY

PAUSED = """
import sys, time
from pathlib import Path
from pipelines import dedup
from pipelines.build import build
from pipelines.recipe import load

recipe, root, reached, resume = map(Path, sys.argv[1:])
components = dedup.components

def paused(*arguments):
    result = components(*arguments)
    reached.touch()
    while not resume.exists():
        time.sleep(0.05)
    return result

dedup.components = paused
print(build(load(recipe), root).is_new)
"""


@pytest.fixture(scope="module")
def running(tiny, tmp_path_factory):
    """A root with a published version, in which a build waits in the middle of dedup; and a function that ends it."""
    folder = tmp_path_factory.mktemp("running build")
    root, reached, resume = folder / "root", folder / "reached", folder / "resume"
    shutil.copytree(tiny.folder.parents[2], root, symlinks=True)
    for stage in ("dedup", "verify"):
        shutil.rmtree(root / "actions" / stage)
    command = [sys.executable, "-c", PAUSED, *map(str, (TINY, root, reached, resume))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=TINY.parents[1]) as process:
        while not reached.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)

        def end() -> tuple[int, bytes]:
            resume.touch()
            out, _ = process.communicate(timeout=120)
            return process.returncode, out

        yield root, end
        resume.touch()


def snapshot(root: Path) -> dict[str, tuple]:
    """Every name under a root with what lies there: for a file its bytes, inode and mtime."""
    return {
        path.relative_to(root).as_posix(): (path.lstat().st_mtime_ns, path.lstat().st_ino, content(path))
        for path in sorted(root.rglob("*"))
    }


def content(path: Path) -> str:
    return blake2b(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""


def test_the_build_is_in_the_middle_of_dedup(running):
    """Guards the tests below from looking at a root in which nothing is going on."""
    root, _ = running
    assert (root / "scratch" / "dedup" / "signatures").stat().st_size > 0
    assert b'"stage": "dedup"' in (root / "progress.jsonl").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["plan", str(TINY), "--root", "{root}"],
        ["query", "{root}", "FROM shares"],
        ["query", "{root}", "FROM contained"],
        ["show", "{root}", "0"],
    ],
    ids=lambda words: words[0] + words[-1][:16].replace("{root}", ""),
)
def test_a_command_that_looks_changes_nothing(running, words):
    root, _ = running
    before = snapshot(root)
    result = CliRunner().invoke(app, [word.format(root=root) for word in words])
    assert result.exit_code == 0, result.output
    assert result.output.strip()
    assert snapshot(root) == before


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_gc_is_refused_by_the_name_of_the_build(running, options):
    root, _ = running
    before = snapshot(root)
    result = CliRunner().invoke(app, ["gc", "--root", str(root), *options])
    assert isinstance(result.exception, BusyError)
    assert "a build of 'tiny' holds it since" in str(result.exception)
    assert snapshot(root) == before


def test_the_build_then_ends_as_if_alone(running, tiny):
    """The last test of this module: it lets the build go on."""
    root, end = running
    code, out = end()
    assert (code, out.strip()) == (0, b"False"), "it made the same version again"
    assert (root / "datasets" / "tiny" / "latest").resolve().name == tiny.version
    assert not (root / "scratch").exists()
