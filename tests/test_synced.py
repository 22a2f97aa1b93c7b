"""What a power failure at any moment leaves: no name leads to bytes that were not synced, no record to what has no name.

A whole build is recorded: every fsync and every rename, in order, in a process that makes each table of a small mix.
"""

import json
import os
from pathlib import Path

import pytest

from pipelines.build import build
from pipelines.recipe import load
from pipelines.score.kept_pairs import Measured
from pipelines.stage import Runner
from pipelines.store import Store
from schemas.manifest import Manifest
from scorers.chunk_gain import MeasuredPair
from tests import micro
from tests.synced import Calls


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A root, the calls of the build that made it, and for each rename which of the files that it leads to were there.

    The files that a rename leads to: of an action its shards and their seals, of a seal its shard, of a published
    folder the shards that its manifest lists, of `latest` the manifest.
    """
    folder = tmp_path_factory.mktemp("recorded")
    recipe = load(micro.write(folder)).model_copy(update={"run": Runner(workers=1)})  # so that calls do not mix
    root = folder / "root"
    missing: list[tuple[str, str]] = []
    replace = os.replace

    def named(source, target):
        missing.extend((str(target), str(p)) for p in led_to(Path(source), Path(target), root) if not p.exists())
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", named)
        calls = Calls(root, patch)
        build(recipe, root)
    return root, calls, missing


def led_to(source: Path, target: Path, root: Path) -> list[Path]:
    store = Store(root)

    def files(shards):
        paths = [store.root / "shards" / s["table"] / s["content_hash"][:2] / s["content_hash"] for s in shards]
        return [path.with_suffix(suffix) for path in paths for suffix in (".parquet", ".seal")]

    if target.suffix == ".seal":
        return [target.with_suffix(".parquet")]
    if root / "actions" in target.parents:
        return files(json.loads(source.read_bytes())["shards"])
    if source.is_dir() and not source.is_symlink():
        tables = Manifest.of(source).tables
        return files({"table": name, "content_hash": s.content_hash} for name, shards in tables.items() for s in shards)
    if target.name == "latest":
        return [target.with_name(source.readlink().name) / "manifest.json"]
    return []


def test_nothing_is_named_before_what_it_leads_to(recorded):
    _, _, missing = recorded
    assert missing == []


def test_every_file_is_synced_whole_before_it_is_named_and_its_folder_after(recorded):
    root, calls, _ = recorded
    words = calls.words()
    names = [word.removeprefix("name ") for word in words if word.startswith("name ")]
    kept = [name for name in names if not name.startswith("scratch/") and (root / name).is_file()]
    for name in kept:
        at = words.index(f"name {name}")
        assert words[at - 1] == f"sync {name}", name
        assert words[at + 1] == f"sync {Path(name).parent.as_posix()}", name
        assert calls.n_bytes_synced(root / name) == (root / name).stat().st_size, name
    for suffix, least in ((".parquet", 12), (".seal", 12), (".json", 12)):
        assert len([name for name in kept if name.endswith(suffix)]) >= least, suffix


def test_a_published_folder_and_latest_are_synced_by_name(recorded):
    root, calls, _ = recorded
    words = calls.words()
    (version,) = (p.name for p in (root / "datasets" / "micro").iterdir() if p.name != "latest")
    tail = [word for word in words if "datasets/" in word][-6:]
    assert tail == [
        f"name datasets/micro/.{version}.part/manifest.json",
        f"sync datasets/micro/{version}",  # the temporary folder, which has its name by now
        f"name datasets/micro/{version}", "sync datasets/micro",
        "name datasets/micro/latest", "sync datasets/micro",
    ]  # fmt: skip


def test_every_record_of_the_build_was_seen(recorded):
    """Guards the tests above: all shards, seals and actions that exist were named while it was watched."""
    root, calls, _ = recorded
    named = {word.removeprefix("name ") for word in calls.words()}
    files = [p.relative_to(root).as_posix() for p in (*root.glob("shards/*/*/*"), *root.glob("actions/*/*/*"))]
    assert len(files) > 30
    assert set(files) <= named


def test_a_pair_that_a_model_measured_is_synced_before_the_next(tmp_path, monkeypatch):
    calls = Calls(tmp_path, monkeypatch)
    measured = Measured(tmp_path / "measured")
    path = measured.path("ab" * 16)
    for n in range(1, 4):
        measured.add("ab" * 16, [MeasuredPair(n, 0, 2.5, 1.25)])
        assert calls.words()[-1] == f"sync {path.relative_to(tmp_path)}"
        assert calls.n_bytes_synced(path) == path.stat().st_size
        assert len(measured.of("ab" * 16)) == n
