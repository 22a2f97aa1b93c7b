"""The same recipe and input give the same bytes: whatever the workers, the root, the runner, the order of files, or a crash.

The builds run in processes of their own over a small corpus. benchmarks/crash.py kills at every kind of rename, before
and after, at 20 times, and builds of mixes/tiny.toml and mixes/128k.toml; here is a part of it.
"""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from pipelines.build import build
from pipelines.recipe import load
from pipelines.store.lock import locked
from schemas.errors import BusyError
from schemas.manifest import Manifest
from tests import micro
from tests.kills import KINDS, fingerprint, run, run_killed_at, run_killed_when


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A build that nothing disturbed: its recipe, root and fingerprint."""
    folder = tmp_path_factory.mktemp("clean")
    recipe, root = micro.write(folder, **micro.ORDERED), folder / "with a space" / "root"
    run(recipe, root, workers=1)
    return recipe, root, fingerprint(root)


def events(root, kind):
    lines = map(json.loads, (root / "progress.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == kind]


def test_the_clean_build_has_what_the_tests_below_need(clean):
    recipe, root, before = clean
    tables = {path.split("/")[1] for path in before if path.startswith("shards/")}
    assert tables >= {"DOCUMENTS", "SIGNATURES", "DUPLICATES", "NEAR", "TOKENS", "SCORES_CHEAP", "DRAWS", "SEQUENCES"}
    assert tables >= {"EMBEDDINGS", "CENTROIDS", "ORDER"}
    assert len([path for path in before if path.startswith("shards/DOCUMENTS/") and path.endswith(".parquet")]) == 4
    assert not (root / "scratch").exists()
    assert "micro/latest" in before
    assert recipe.is_file()


def test_workers_root_and_the_place_of_the_corpus_cannot_show(clean, tmp_path):
    run(micro.write(tmp_path, **micro.ORDERED), tmp_path / "root", workers=4)
    assert fingerprint(tmp_path / "root") == clean[2]


def test_workers_in_another_process_make_the_same(clean, tmp_path, cluster):
    build(load(clean[0]).model_copy(update={"run": cluster}), tmp_path)
    assert fingerprint(tmp_path) == clean[2]


def test_a_second_run_makes_nothing(clean, tmp_path):
    root = shutil.copytree(clean[1], tmp_path / "root", symlinks=True)
    written = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in root.rglob("*.*") if p.parent.name != "root"}
    run(clean[0], root)
    assert fingerprint(root) == clean[2]
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in written} == written
    assert events(root, "made") == []
    assert {event["shards"] for event in events(root, "begun")} == {0}


def test_files_in_another_order_make_the_same(clean, tmp_path, monkeypatch):
    """A build lists folders by os.scandir and by Path.glob; both give a source's files and blocks of vectors backwards."""
    scandir, glob, backwards = os.scandir, Path.glob, set()

    class Backwards:
        def __init__(self, folder="."):
            with scandir(folder) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)
            if len(self.entries) > 1:
                backwards.add(Path(str(folder)).name)  # a folder may be an open one's number

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            return None

        def __iter__(self):
            return iter(self.entries)

        def close(self):
            pass

    def glob_backwards(folder, pattern, **options):
        paths = sorted(glob(folder, pattern, **options), reverse=True)
        if len(paths) > 1:
            backwards.add(pattern)
        return iter(paths)

    monkeypatch.setattr(os, "scandir", Backwards)
    monkeypatch.setattr(Path, "glob", glob_backwards)
    build(load(clean[0]), tmp_path)
    monkeypatch.undo()
    assert backwards >= {"speeches", "*/*.vectors"}
    assert fingerprint(tmp_path) == clean[2]


@pytest.mark.parametrize(
    ("when", "kind", "workers"),
    [
        ("before", "a seal", 1),
        ("after", "an action", 2),
        ("after", "a block of vectors", 2),
        ("before", "the published folder", 4),
        ("before", "latest", 1),
    ],
)
def test_a_kill_at_a_rename_leaves_no_trace(clean, tmp_path, when, kind, workers):
    run_killed_at(clean[0], tmp_path, workers, when, KINDS[kind])
    run(clean[0], tmp_path, workers=3 - workers if workers < 3 else 1)
    assert fingerprint(tmp_path) == clean[2]


def test_a_kill_at_any_time_leaves_no_trace(clean, tmp_path):
    """The time is one at which a seeded number of events was reported."""
    n_events = len((clean[1] / "progress.jsonl").read_text().splitlines())
    at = random.Random(0).randrange(1, n_events - 1)
    assert run_killed_when(clean[0], tmp_path, 2, "progress.jsonl", at)
    run(clean[0], tmp_path, workers=1)
    assert fingerprint(tmp_path) == clean[2]


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)


def test_each_damaged_shard_is_made_again_and_no_other(clean, tmp_path):
    """A shard that a build only lists is seen with --verify; one that it reads, without it."""
    recipe, listed = load(clean[0]), clean_shards(clean[1])
    for number, path in enumerate(listed):
        root = shutil.copytree(clean[1], tmp_path / str(number), symlinks=True)
        others = {root / p: (root / p).stat().st_mtime_ns for p in listed if p != path}
        damaged(root / path)
        version = build(recipe, root, verify=True)
        assert version.mended == (f"{path.parts[1]}/{path.stem}",)
        assert fingerprint(root) == clean[2], path
        assert {p: p.stat().st_mtime_ns for p in others} == others, path
        shutil.rmtree(root)


def clean_shards(root: Path) -> list[Path]:
    """One shard of each table that the version lists, relative to the root."""
    manifest = Manifest.of(root / "datasets" / "micro" / "latest")
    tables = {**manifest.tables, **manifest.kept}
    hashes = [(name, shards[0].content_hash) for name, shards in sorted(tables.items()) if shards]
    return [Path("shards", name, h[:2], f"{h}.parquet") for name, h in hashes]


def test_a_second_build_on_a_root_is_refused(clean, tmp_path):
    with (
        locked(tmp_path, "a build of 'first'", "--root"),
        pytest.raises(BusyError, match=r"a build of 'first' holds it since .* \(process \d+ on "),
    ):
        build(load(clean[0]), tmp_path)
