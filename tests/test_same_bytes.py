"""The same recipe and input give the same bytes: whatever the workers, the root, the runner, the order of files, or a crash.

The builds run in processes of their own over examples/. benchmarks/crash.py kills at every kind of rename, before and
after, at 20 times, and a full build as well; here stands a part of it.
"""

import random
import shutil
from pathlib import Path

import pytest

from pipelines.build import build
from pipelines.recipe import load
from schemas.manifest import Manifest
from tests.kills import KINDS, fingerprint, run, run_killed_after, run_killed_at
from tests.workers import worker_pool

TINY = Path(__file__).parents[1] / "mixes" / "tiny.toml"


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    """A build that nothing disturbed: its root, fingerprint and seconds."""
    root = tmp_path_factory.mktemp("clean root") / "with a space"
    seconds = run(TINY, root, workers=1)
    return root, fingerprint(root), seconds


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_and_root_cannot_show(clean, tmp_path, workers):
    run(TINY, tmp_path / "elsewhere", workers)
    assert fingerprint(tmp_path / "elsewhere") == clean[1]


def test_workers_in_another_process_make_the_same(clean, tmp_path):
    with worker_pool() as runner:
        build(load(TINY).model_copy(update={"run": runner}), tmp_path)
    assert fingerprint(tmp_path) == clean[1]


def test_a_second_run_makes_nothing(clean):
    root, before, seconds = clean
    written = {p: p.stat().st_mtime_ns for p in root.rglob("*.parquet")}
    assert run(TINY, root) < max(seconds, 10)
    assert fingerprint(root) == before
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*.parquet")} == written


def test_files_in_another_order_make_the_same(clean, tmp_path, monkeypatch):
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(listed(self), reverse=True)))
    build(load(TINY), tmp_path)
    assert fingerprint(tmp_path) == clean[1]


@pytest.mark.parametrize(
    ("when", "kind", "workers"),
    [
        ("before", "a shard of DOCUMENTS", 2),
        ("before", "a seal", 1),
        ("before", "an action", 2),
        ("after", "an action", 1),
        ("before", "the published folder", 4),
        ("before", "latest", 1),
    ],
)
def test_a_kill_at_a_rename_leaves_no_trace(clean, tmp_path, when, kind, workers):
    run_killed_at(TINY, tmp_path, workers, when, KINDS[kind])
    run(TINY, tmp_path, workers=3 - workers if workers < 3 else 1)
    assert fingerprint(tmp_path) == clean[1]


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_at_any_time_leaves_no_trace(clean, tmp_path, seed):
    run_killed_after(TINY, tmp_path, 2, random.Random(seed).uniform(0.3, 1) * clean[2])
    run(TINY, tmp_path, workers=1)
    assert fingerprint(tmp_path) == clean[1]


def test_a_damaged_shard_alone_is_made_again(clean, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(clean[0], root, symlinks=True)
    (folder,) = (p.parent for p in root.glob("datasets/tiny/*/manifest.json") if not p.parent.is_symlink())
    listed = {s.content_hash for shards in Manifest.of(folder).tables.values() for s in shards}
    shards = sorted(path for path in root.glob("shards/*/*/*.parquet") if path.stem in listed)
    for place, path in enumerate(shards):
        before = {p: p.stat().st_mtime_ns for p in shards if p != path}
        path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
        if place % 5 == 0:  # each build takes seconds; the last of a batch shows for all
            run(TINY, root, workers=2)
            assert fingerprint(root) == clean[1], path
            assert {p: p.stat().st_mtime_ns for p in before} == before, path
        else:
            shutil.copyfile(clean[0] / path.relative_to(root), path)


def test_a_second_build_on_a_root_is_refused(tmp_path):
    from pipelines.store.lock import locked
    from schemas.errors import BusyError

    with (
        locked(tmp_path, "a build of 'first'", "--root"),
        pytest.raises(BusyError, match=r"a build of 'first' holds it since .* \(process \d+ on "),
    ):
        build(load(TINY), tmp_path)
