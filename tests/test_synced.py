"""What a power failure at any moment leaves: no name leads to bytes that were not synced, no record to what has no name.

A whole build is recorded: every fsync and every rename, in order, in a process that makes each table of a small mix.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pipelines.build import build
from pipelines.influence import kept as kept_module
from pipelines.influence.kept import Kept
from pipelines.influence.reading import blank
from pipelines.kept_vectors import KeptVectors
from pipelines.recipe import load
from pipelines.score.kept_pairs import Measured
from pipelines.stage import Runner
from pipelines.store import Store
from schemas.manifest import PAGES, Manifest
from scorers.chunk_gain import MeasuredPair
from tests import micro
from tests.pipelines.influence.test_influence import params, stub_parts
from tests.synced import Calls


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A root, the calls of the build that made it, and for each rename which of the files that it leads to were there.

    The files that a rename leads to: of an action its shards and their seals, of a seal its shard, of a published
    folder the shards that its manifest lists, of a manifest the pages beside it, of `latest` the manifest.
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
    if target.name == "manifest.json":
        return [target.with_name(name) for name in PAGES]
    if target.name == "latest":
        return [target.with_name(source.readlink().name) / "manifest.json"]
    return []


def test_nothing_is_named_before_what_it_leads_to(recorded):
    _, _, missing = recorded
    assert missing == []


def is_kept(name: str) -> bool:
    return name.split("/", maxsplit=1)[0] in ("shards", "actions", "measured", "datasets")


def test_every_file_is_synced_whole_before_it_is_named_and_its_folder_after(recorded):
    """Between the two only folders are synced that had to be made for it."""
    root, calls, _ = recorded
    words = calls.words()
    names = [word.removeprefix("name ") for word in words if word.startswith("name ")]
    kept = [name for name in names if is_kept(name) and (root / name).is_file()]
    for name in kept:
        at = words.index(f"name {name}")
        synced = max(k for k in range(at) if words[k] == f"sync {name}")
        above = {f"sync {folder.as_posix()}" for folder in Path(name).parents}
        assert set(words[synced + 1 : at]) <= above, name
        assert words[at + 1] == f"sync {Path(name).parent.as_posix()}", name
        assert calls.n_bytes_synced(root / name) == (root / name).stat().st_size, name
    for suffix, least in ((".parquet", 12), (".seal", 12), (".json", 12)):
        assert len([name for name in kept if name.endswith(suffix)]) >= least, suffix


def test_the_name_of_a_folder_is_synced_before_a_file_in_it_is_named(recorded):
    root, calls, _ = recorded
    words = calls.words()
    folders = [path.relative_to(root) for path in root.rglob("*") if path.is_dir() and not path.is_symlink()]
    folders = [folder for folder in folders if is_kept(folder.as_posix()) and (root / folder).name != "micro"]
    for folder in folders:
        inside = [k for k, word in enumerate(words) if word.startswith(f"name {folder.as_posix()}/")]
        if inside:
            assert f"sync {folder.parent.as_posix()}" in words[: inside[0]], folder
    assert len(folders) > 30


def test_an_action_is_named_after_the_names_of_its_shards_and_seals_are_synced(recorded):
    root, calls, _ = recorded
    words = calls.words()
    store, n = Store(root), 0
    for action in root.glob("actions/*/*/*.json"):
        at = words.index(f"name {action.relative_to(root).as_posix()}")
        for shard in store.find(action.parts[-3], action.stem):
            path, seal = (each.relative_to(root) for each in (store.path(shard), store.seal_path(shard)))
            steps = [f"name {path}", f"sync {path.parent}", f"name {seal}", f"sync {path.parent}"]
            places = [0]
            for step in steps:
                places.append(words.index(step, places[-1]))
            assert places[-1] < at, (action, shard)
            n += 1
    assert n > 20


def test_a_published_folder_is_synced_whole_then_named_then_latest(recorded):
    """Its files are synced one by one, the manifest is written last, and `latest` leads to a name that is synced."""
    root, calls, _ = recorded
    (folder,) = (p for p in (root / "datasets" / "micro").iterdir() if p.name != "latest")
    words, name = calls.words(), folder.relative_to(root).as_posix()
    at = words.index(f"name {name}")
    synced = {(inode, n_bytes) for what, inode, n_bytes in calls.calls[: calls.place_of(name)] if what == "sync"}
    files = list(folder.iterdir())
    assert {path.name for path in files} >= {*PAGES, "manifest.json", "sequences-00000-of-00001.parquet"}
    for path in files:
        assert (path.stat().st_ino, path.stat().st_size) in synced, path.name
    assert max(files, key=lambda path: path.stat().st_mtime_ns).name == "manifest.json"
    assert words[at - 1] == f"sync {name}"
    assert words[at + 1 :] == ["sync datasets/micro", "name datasets/micro/latest", "sync datasets/micro"]


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


def test_vectors_and_values_of_a_model_are_synced_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_module, "load", lambda _: "pair")
    monkeypatch.setattr(kept_module, "raw_parts", lambda _, sample, settings: stub_parts(sample, settings))
    calls, sample = Calls(tmp_path, monkeypatch), blank(0, 40, 41, 44)
    (tmp_path / "scratch" / "writing").mkdir(parents=True)
    values, vectors = Kept(tmp_path / "measured" / "influence"), KeptVectors(tmp_path / "measured" / "embedding")
    values.values(sample, params(segment_tokens=16), Store(tmp_path))
    block = vectors.path(vectors.add(np.array([b"a" * 16]), np.ones((1, 2), np.float32), Store(tmp_path).parts()))
    for path in (values.path(sample), block):
        name, words = path.relative_to(tmp_path).as_posix(), calls.words()
        at = words.index(f"name {name}")
        assert f"sync {name}" in words[:at]
        assert {f"sync {folder.as_posix()}" for folder in Path(name).parents[1:]} <= set(words[:at])
        assert words[at + 1] == f"sync {Path(name).parent.as_posix()}"
        assert calls.n_bytes_synced(path) == path.stat().st_size > 0
