"""No source reads what longmix wrote, nor a table whose files are not all part of it; links stay inside the source."""

import shutil
from pathlib import Path

import pytest

from pipelines import ingest
from pipelines.ingest.listing import find_files, listed
from pipelines.ingest.walking import Outputs
from pipelines.store import Store
from schemas.errors import RecipeError
from tests.pipelines.inputs import engine_of, line_of, rows, source, write_jsonl


def make_root(folder: Path, *, is_new: bool = False) -> Path:
    for name in ("progress.jsonl", "lock", *(() if is_new else ("actions/encode/a.json", "shards/TOKENS/a/a.jsonl"))):
        write_jsonl(folder / name, [line_of(9)])
    return folder


def names(one, root=None, notes=None) -> list[str]:
    return [f.name for f in find_files(one, root, notes)[1]]


def test_a_build_does_not_read_its_own_root_nor_any_other(tmp_path):
    write_jsonl(tmp_path / "data" / "a.jsonl", [line_of(1)])
    make_root(tmp_path / "data" / "other")
    version = tmp_path / "data" / "copied" / "0123"
    for name in ("manifest.json", "catalog.duckdb", "sequences-0.jsonl"):
        write_jsonl(version / name, [line_of(9)])
    write_jsonl(tmp_path / "data" / "other" / "more.jsonl", [line_of(9)])  # of a root inside a source nothing is read
    root, notes = make_root(tmp_path / "data" / "mixes", is_new=True), []
    assert names(source(tmp_path / "data"), root, notes) == ["a.jsonl"]
    assert notes == [
        "source s: 3 files of copied/0123 are output of longmix and not read",
        "source s: 2 files of mixes are output of longmix and not read",
        "source s: 5 files of other are output of longmix and not read",
    ]
    assert names(source(tmp_path / "data" / "**" / "*.jsonl"), root) == ["a.jsonl"]
    assert "mixes/progress.jsonl" in names(source(tmp_path / "data"))  # without a root, nothing tells that it is one


def test_three_builds_into_a_root_inside_the_source_read_the_same(tmp_path):
    write_jsonl(tmp_path / "data" / "a.jsonl", [line_of(i) for i in range(5)])
    store = Store(tmp_path / "data" / "mixes")
    for _ in range(3):
        engine = engine_of(store)
        documents, rejected = ingest.run([source(tmp_path / "data")], engine)
        assert (len(rows(store, documents)), rows(store, rejected)) == (5, [])
    assert len(engine.notes) == 1
    assert "output of longmix and not read" in engine.notes[0]
    listed(source(tmp_path / "data"), engine)
    assert len(engine.notes) == 1, "a retry adds no note"


def test_a_source_inside_a_root_is_refused_and_one_beside_its_tables_is_read(tmp_path):
    root = make_root(tmp_path / "root")
    write_jsonl(root / "data" / "a.jsonl", [line_of(1)])
    write_jsonl(root / "datasets" / "m" / "1" / "b.jsonl", [line_of(1)])
    for path in ("shards", "shards/TOKENS/a/a.jsonl", "datasets/m/*/*.jsonl", "progress.jsonl"):
        with pytest.raises(RecipeError, match=r"^sources\.s: .*: output of longmix in .*; set path to raw files$"):
            find_files(source(root / path), root)
    assert names(source(root / "data"), root) == ["a.jsonl"]
    notes: list[str] = []
    assert names(source(root), root, notes) == ["data/a.jsonl"]
    assert notes == ["source s: 5 files of root are output of longmix and not read"]
    shutil.rmtree(root / "shards")
    assert names(source(root / "data"), root) == ["a.jsonl"]


def test_a_link_into_a_root_is_not_followed(tmp_path):
    root = make_root(tmp_path / "data" / "root")
    write_jsonl(tmp_path / "data" / "a.jsonl", [line_of(1)])
    (tmp_path / "data" / "b.jsonl").symlink_to(root / "progress.jsonl")
    (tmp_path / "data" / "c").symlink_to(root / "shards")
    (tmp_path / "data" / "d").symlink_to(root)
    notes: list[str] = []
    assert names(source(tmp_path / "data"), root, notes) == ["a.jsonl"]
    assert notes == [
        "source s: 1 file of b.jsonl is output of longmix and not read",
        "source s: 1 file of c is output of longmix and not read",
        "source s: 4 files of d are output of longmix and not read",
        "source s: 4 files of root are output of longmix and not read",
    ]


def test_a_path_is_output_only_below_what_a_root_has(tmp_path):
    root = make_root(tmp_path / "root")
    outputs = Outputs(None)
    assert outputs.holder(str(root / "shards" / "x")) == str(root)
    assert outputs.holder(str(root / "raw" / "x")) is None
    assert outputs.holder(str(root)) is None


def test_of_a_delta_table_the_current_files_are_read(tmp_path):
    for name in ("a", "b", "p=1/c d"):
        write_jsonl(tmp_path / "t" / f"{name}.jsonl", [line_of(1)])
    log = tmp_path / "t" / "_delta_log"
    write_jsonl(log / f"{0:020d}.json", [b'{"add": {"path": "a.jsonl"}}', b'{"add": {"path": "p=1/c%20d.jsonl"}}'])
    write_jsonl(log / f"{1:020d}.json", [b'{"remove": {"path": "a.jsonl"}}', b'{"add": {"path": "b.jsonl"}}'])
    assert names(source(tmp_path)) == ["t/b.jsonl", "t/p=1/c d.jsonl"]
    assert names(source(tmp_path / "t")) == ["b.jsonl", "p=1/c d.jsonl"]
    assert names(source(tmp_path / "t" / "*.jsonl")) == ["b.jsonl"]
    (log / f"{0:020d}.json").unlink()
    with pytest.raises(RecipeError, match=r"t: a Delta table, and .*; export its current rows as Parquet and set path"):
        find_files(source(tmp_path))


def snapshot(top: Path, kind: str = "datasets") -> tuple[Path, Path]:
    """A repository of the hub's cache with one file. Returns its folder and that of its snapshot."""
    repository = top / f"{kind}--org--corpus"
    write_jsonl(repository / "blobs" / "0f0f", [line_of(1)])
    folder = repository / "snapshots" / "abc123"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a.jsonl").symlink_to("../../../blobs/0f0f")
    return repository, folder


@pytest.mark.parametrize("kind", ["datasets", "models"])
def test_links_of_a_hub_snapshot_into_its_blobs_are_followed(tmp_path, kind):
    repository, folder = snapshot(tmp_path, kind)
    for path in (folder, folder / "data", folder / "data" / "*.jsonl", repository, folder / "data" / "a.jsonl"):
        files = find_files(source(path))[1]
        assert [f.fault for f in files] == [None]
        assert files[0].n_bytes == (repository / "blobs" / "0f0f").stat().st_size


def test_no_other_link_that_leaves_the_source_is_followed(tmp_path):
    repository, folder = snapshot(tmp_path)
    other, _ = snapshot(tmp_path / "x")
    write_jsonl(repository / "refs" / "main.jsonl", [line_of(1)])
    write_jsonl(repository / "blobs" / "deep" / "1", [line_of(1)])
    targets = (other / "blobs" / "0f0f", repository / "refs" / "main.jsonl", "/etc/passwd", repository / "blobs", repository / "blobs" / "deep", repository / "blobs" / "deep" / "1")  # fmt: skip
    for i, target in enumerate(targets):
        (folder / f"{i}.jsonl").symlink_to(target)
    faults = {f.name: f.fault and f.fault[0] for f in find_files(source(folder))[1]}
    assert faults == {"data/a.jsonl": None} | {f"{i}.jsonl": "symlink_outside" for i in range(len(targets))}
    plain = tmp_path / "plain"
    write_jsonl(plain / "blobs" / "1", [line_of(1)])
    (plain / "snapshots" / "abc").mkdir(parents=True)
    (plain / "snapshots" / "abc" / "a.jsonl").symlink_to(plain / "blobs" / "1")
    with pytest.raises(RecipeError, match="symlink_outside"):
        find_files(source(plain / "snapshots" / "abc"))
