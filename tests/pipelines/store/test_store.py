"""The store: equal content has an equal hash whatever wrote it, what has a name is whole, damage is named."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.store import Store, files, name_of
from schemas.errors import DamagedError, SchemaError
from schemas.tables import TABLES, TOKENS, holds
from tests.synced import Calls
from tests.tokens import token_row


def tokens(rows):
    return pa.Table.from_pylist([token_row(document_id, ids) for document_id, ids in rows], schema=TOKENS)


ROWS = [("a", [1, 2]), ("b", None), ("c", []), ("d", [3])]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def run_of(store, **changes) -> Store:
    """The store in another run, which verified nothing yet."""
    run_of.n = getattr(run_of, "n", 0) + 1
    return Store(store.root, run=f"run {run_of.n}", **changes)


# -- shards


def test_what_is_written_is_read_back(store):
    shard = store.write("TOKENS", tokens(ROWS))
    assert store.read(shard).to_pylist() == tokens(ROWS).to_pylist()
    assert store.read(shard, ["n_tokens"]).schema.names == ["n_tokens"]
    assert store.read(shard).schema.equals(TOKENS, check_metadata=True)
    assert store.open(shard).metadata.num_rows == shard.n_rows == 4


def test_a_shard_lies_under_its_table_and_hash(store):
    shard = store.write("TOKENS", tokens(ROWS))
    folder = store.root / "shards" / "TOKENS" / shard.content_hash[:2]
    assert sorted(p.name for p in folder.iterdir()) == [f"{shard.content_hash}.parquet", f"{shard.content_hash}.seal"]
    assert json.loads(store.seal_path(shard).read_text()) == files.seal(store.path(shard)) == store.seal_of(shard)


def test_the_file_says_what_each_column_holds(store):
    shard = store.write("TOKENS", tokens(ROWS))
    assert holds(pq.read_schema(store.path(shard))) == holds(TOKENS)
    assert all(holds(schema)[name] for schema in TABLES.values() for name in schema.names)


def test_equal_content_keeps_its_first_file(store):
    first = store.write("TOKENS", tokens(ROWS))
    before = store.path(first).read_bytes()
    again = store.write("TOKENS", [tokens(ROWS[:2]), tokens(ROWS[2:])])  # other row groups, so other bytes
    assert again == first
    assert store.path(first).read_bytes() == before
    assert store.is_whole(again)


def test_row_groups_are_of_about_a_size_in_memory(store, monkeypatch):
    monkeypatch.setattr("pipelines.store.ROW_GROUP_BYTES", 2_000)
    table = tokens([(f"{i:04d}", [i] * 9) for i in range(500)])
    file = store.open(store.write("TOKENS", table))
    rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert set(rows[:-1]) == {500 * 2_000 // table.nbytes}
    assert len(rows) > 5


def test_no_row_group_is_empty(store):
    """datasets.load_dataset takes the rows of the first row group as the size of its batches."""
    table = pa.table({"document_id": ["a"], "verdict": ["kept"], "kept_id": pa.nulls(1, pa.string()), "similarity": pa.nulls(1, pa.float64())})  # fmt: skip
    shard = store.write("DUPLICATES", [table.slice(0, 0), table, table.slice(0, 0)])
    assert store.write("DUPLICATES", table) == shard
    metadata = pq.ParquetFile(store.path(shard)).metadata
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [1]
    assert store.read(store.write("DUPLICATES", table.slice(0, 0))).num_rows == 0


def test_where_it_came_from_travels_beside_the_content(store):
    shard = store.write("TOKENS", tokens(ROWS), came_from=("a.jsonl", 7))
    store.commit("ingest", "abcd", [shard])
    assert store.find("ingest", "abcd")[0].came_from == ("a.jsonl", 7)
    other = store.write("TOKENS", tokens(ROWS), came_from=("b.jsonl", 0))
    assert other == shard
    assert hash(other) == hash(shard)


def test_no_temporary_file_is_left(store):
    def pieces():
        yield tokens(ROWS)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        store.write("TOKENS", pieces())
    assert [p for p in store.root.rglob("*") if p.is_file()] == []


def test_a_table_that_breaks_the_contract_is_not_written(store):
    with pytest.raises(SchemaError, match=r"^TOKENS: columns missing: \['input_ids'\]"):
        store.write("TOKENS", tokens(ROWS).drop_columns(["input_ids"]))
    assert [p for p in store.root.rglob("*") if p.is_file()] == []


def test_a_shard_is_synced_and_named_then_its_seal_then_the_action(store, monkeypatch):
    """After a power failure at any moment: a seal leads to a whole shard, an action to sealed ones."""
    calls = Calls(store.root, monkeypatch)
    shard = store.write("TOKENS", tokens(ROWS))
    store.commit("encode", "abcd", [shard])
    path, seal, action = (
        p.relative_to(store.root).as_posix()
        for p in (store.path(shard), store.seal_path(shard), store.action_path("encode", "abcd"))
    )
    folder, of_action = str(Path(path).parent), str(Path(action).parent)
    above = [[f"sync {parent}" for parent in reversed(Path(name).parents[1:])] for name in (path, action)]
    assert calls.words() == [
        f"sync {path}", *above[0], f"name {path}", f"sync {folder}",
        f"sync {seal}", f"name {seal}", f"sync {folder}",
        *above[1], f"sync {action}", f"name {action}", f"sync {of_action}",
    ]  # fmt: skip
    for made in (store.path(shard), store.seal_path(shard), store.action_path("encode", "abcd")):
        assert calls.n_bytes_synced(made) == made.stat().st_size
    calls.calls.clear()
    assert store.write("TOKENS", tokens(ROWS)) == shard
    assert calls.words() == []


# -- damage


def damage(store, shard, kind) -> None:
    path, seal, raw = store.path(shard), store.seal_path(shard), bytearray(store.path(shard).read_bytes())
    if kind == "flip":
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    elif kind == "cut":
        path.write_bytes(raw[:-1])
    elif kind == "longer":
        path.write_bytes(raw + b"x")
    elif kind == "remove":
        path.unlink()
    elif kind == "remove seal":
        seal.unlink()
    elif kind == "another seal":
        seal.write_text(json.dumps({**store.seal_of(shard), "xxh3_128": "0" * 32}))
    else:
        seal.write_text({"garble seal": "{", "seal of nothing": "{}", "seal is a list": "[]"}[kind])


UNSEEN = ("flip", "another seal")  # of the right length
DAMAGE = (*UNSEEN, "cut", "longer", "remove", "remove seal", "garble seal", "seal of nothing", "seal is a list")


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_shard_is_not_whole_and_is_written_again(store, kind):
    shard, other = store.write("TOKENS", tokens(ROWS)), store.write("TOKENS", tokens(ROWS[:1]))
    store.commit("encode", "abcd", [shard])
    store.commit("encode", "bcde", [other])
    damage(store, shard, kind)
    assert not store.is_whole(shard)
    assert store.is_listed(shard) == (kind in UNSEEN)
    assert store.find("encode", "abcd") == ([shard] if kind in UNSEEN else None)
    for checking in (store, run_of(store, verify=True)):
        unseen = kind in UNSEEN and not checking.verify
        assert checking.is_damaged(shard) is not unseen
        assert checking.find("encode", "abcd") == ([shard] if unseen else None)
        assert checking.damaged("encode", "abcd") == ([] if unseen else [f"TOKENS/{shard.content_hash}"])
        assert checking.recorded("encode", "abcd") == [shard]
        assert checking.find("encode", "bcde") == [other]
        assert checking.damaged("encode", "bcde") == []
    assert store.write("TOKENS", tokens(ROWS)) == shard
    assert store.is_whole(shard)
    assert store.find("encode", "abcd") == [shard]


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("reading", [Store.read, Store.open])
def test_a_damaged_shard_is_refused_when_a_run_reads_it_first(store, kind, reading):
    shard = store.write("TOKENS", tokens(ROWS))
    damage(store, shard, kind)
    run = run_of(store)
    for _ in range(2):  # what was refused once is refused again
        with pytest.raises(DamagedError) as error:
            reading(run, shard)
        assert str(error.value) == (
            f"TOKENS/{shard.content_hash}: the file is missing or differs from its seal; "
            "run the build again, which makes it anew"
        )
    store.write("TOKENS", tokens(ROWS))
    assert reading(run, shard) is not None


def test_a_shard_is_verified_once_in_a_run(store, monkeypatch):
    shard, other = store.write("TOKENS", tokens(ROWS)), store.write("TOKENS", tokens(ROWS[:1]))
    hashed, real = [], files.seal
    monkeypatch.setattr(files, "seal", lambda path: hashed.append(path) or real(path))
    run = run_of(store)
    for _ in range(3):
        run.read(shard, ["n_tokens"])
        run.open(shard)
    Store(run.root, run=run.run).read(shard)  # as it comes to a worker
    run.read(other)
    assert hashed == [store.path(shard), store.path(other)]
    run_of(store).read(shard)
    assert hashed[2:] == [store.path(shard)]
    Store(store.root, run=None).read(shard)
    assert len(hashed) == 3


def test_a_look_up_reads_no_byte_of_a_shard(store, monkeypatch):
    shard = store.write("TOKENS", tokens(ROWS))
    store.commit("encode", "abcd", [shard])
    monkeypatch.setattr(files, "seal", lambda _: pytest.fail("a shard was read"))
    assert run_of(store).find("encode", "abcd") == [shard]


def test_a_damaged_shard_is_discarded_by_its_error(store):
    shard, other = store.write("TOKENS", tokens(ROWS)), store.write("TOKENS", tokens(ROWS[:1]))
    store.commit("encode", "abcd", [shard])
    damage(store, shard, "flip")
    with pytest.raises(DamagedError) as error:
        run_of(store).read(shard)
    assert store.discard(error.value) == f"TOKENS/{shard.content_hash}"
    assert store.find("encode", "abcd") is None
    assert not store.path(shard).exists()
    assert store.is_whole(other)
    assert store.discard(error.value) == f"TOKENS/{shard.content_hash}"  # gone already
    with pytest.raises(DamagedError, match="names none"):
        store.discard(DamagedError("names none"))


# -- actions


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"shards": [{}]}', b'{"shards": 3}', b'{"shards": [{"x": 1}]}'])
def test_a_damaged_action_is_done_again(store, record):
    store.commit("encode", "abcd", [store.write("TOKENS", tokens(ROWS))])
    store.action_path("encode", "abcd").write_bytes(record)
    assert store.find("encode", "abcd") is None
    assert store.damaged("encode", "abcd") == ["actions/encode/abcd"]


def test_an_action_lies_under_its_stage_and_leads_to_its_shards(store):
    shards = [store.write("TOKENS", tokens(rows)) for rows in (ROWS, ROWS[:1])]
    assert store.find("encode", "abcd") is None
    assert store.commit("encode", "abcd", shards) == shards
    assert store.action_path("encode", "abcd") == store.root / "actions" / "encode" / "ab" / "abcd.json"
    assert store.find("encode", "abcd") == shards
    assert store.find("pack", "abcd") is None
    assert store.commit("encode", "none", []) == store.find("encode", "none") == []


def test_an_actions_name_is_its_content():
    assert name_of("a", 1, {"x": 1, "y": 2}) == name_of("a", 1, {"y": 2, "x": 1})
    assert len({name_of("a", 1), name_of("a", 2), name_of("a", "1"), name_of("b", 1), name_of(["a", 1])}) == 5
    assert name_of("a", 1, {"x": "é"}) == "fbe7d4ca7d47993216399e3c151ef85c"  # a store leads to results by these names


def test_progress_is_a_line_for_each_action_that_made_something(store):
    store.commit("encode", "abcd", [], n_documents=3, n_bytes=70)
    store.commit("encode", "abce", [], n_documents=2, n_bytes=7)
    store.commit("ingest", "abcf", [])  # it only lists what others made
    store.commit("ingest", "abd0", [], n_bytes=5)  # every record of a raw file was rejected
    store.commit("plan", "abd1", [], n_documents=4)
    lines = [json.loads(line) for line in (store.root / "progress.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["documents"], line["bytes"]) for line in lines] == [
        ("encode", 3, 70),
        ("encode", 2, 7),
        ("ingest", 0, 5),
        ("plan", 4, 0),
    ]


# -- scratch


def test_a_session_begins_with_empty_scratch_and_progress_and_leaves_no_scratch(store):
    (store.root / "scratch" / "of a killed build").mkdir(parents=True)
    store.tell({"event": "made"})
    with store.session():
        assert not list((store.root / "scratch").iterdir())
        assert (store.root / "progress.jsonl").read_bytes() == b""
        store.commit("encode", "abcd", [], n_documents=1)
    assert not (store.root / "scratch").exists()
    assert b"made" in (store.root / "progress.jsonl").read_bytes()


def test_a_scratch_folder_is_empty_at_first_and_gone_afterwards(store):
    (store.root / "scratch" / "dedup").mkdir(parents=True)
    (store.root / "scratch" / "dedup" / "left").write_text("by a kill")

    def stage():
        with store.scratch("dedup") as scratch:
            assert list(scratch.folder.iterdir()) == []
            scratch.path("file").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage()
    assert list((store.root / "scratch").iterdir()) == []


def test_files_on_their_way_lie_in_scratch(store):
    """So that what a kill left of them goes when the next build begins."""
    folders = []
    real = files.rename
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "rename", lambda part, path: folders.append(part.parent) or real(part, path))
        store.commit("encode", "abcd", [store.write("TOKENS", tokens(ROWS))])
    assert set(folders) == {store.root / "scratch" / "writing"}
    assert not list((store.root / "scratch" / "writing").iterdir())
