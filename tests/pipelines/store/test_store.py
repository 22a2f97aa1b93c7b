"""The store: equal content has an equal hash whatever wrote it, what has a name is whole, damage is found."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.store import Store, name_of
from pipelines.store.content_hash import TableHash
from schemas.conform import conform
from schemas.errors import SchemaError
from schemas.tables import DOCUMENTS, SEQUENCES, TABLES, TOKENS, holds

SEEDS = range(30)


def tokens(rows):
    return pa.Table.from_pylist(
        [{"document_id": d, "n_tokens": None if i is None else len(i), "input_ids": i} for d, i in rows], schema=TOKENS
    )


ROWS = [("a", [1, 2]), ("b", None), ("c", []), ("d", [3])]


def content(table, cuts=()):
    digest = TableHash("TOKENS", table.schema)
    for start, stop in zip([0, *cuts], [*cuts, len(table)], strict=True):
        digest.update(table.slice(start, stop - start))
    return digest.content_hash()


def test_how_a_table_was_cut_into_pieces_cannot_show():
    table = tokens(ROWS)
    for seed in SEEDS:
        cuts = sorted(np.random.default_rng(seed).integers(0, len(table) + 1, 3).tolist())
        assert content(table, cuts) == content(table), f"{cuts=}"


@pytest.mark.parametrize(
    "rows",
    [
        [("a", [1, 2]), ("b", None), ("c", []), ("d", [4])],  # a value
        [("a", [1]), ("b", None), ("c", [2]), ("d", [3])],  # the same values in other lists
        [("a", [1, 2]), ("b", []), ("c", None), ("d", [3])],  # NULL and empty change places
        [("a", [1, 2]), ("b", None), ("d", []), ("c", [3])],
        ROWS[:-1],
    ],
)
def test_any_change_of_content_shows(rows):
    assert content(tokens(rows)) != content(tokens(ROWS))


def test_strings_that_run_together_differ():
    one = pa.table({"x": pa.array(["ab", "c"])})
    two = pa.table({"x": pa.array(["a", "bc"])})
    hashes = []
    for table in (one, two):
        digest = TableHash("X", table.schema)
        digest.update(table)
        hashes.append(digest.content_hash())
    assert hashes[0] != hashes[1]


def test_a_slice_hashes_like_a_copy():
    table = tokens(ROWS)
    assert content(table.slice(1, 2)) == content(tokens(ROWS[1:3]))


def test_what_is_written_is_read_back(tmp_path):
    store = Store(tmp_path)
    shard = store.write("TOKENS", tokens(ROWS))
    assert store.read(shard).to_pylist() == tokens(ROWS).to_pylist()
    assert store.read(shard, ["n_tokens"]).schema.names == ["n_tokens"]
    assert store.read(shard).schema.equals(TOKENS, check_metadata=True)


def test_the_file_says_what_each_column_holds(tmp_path):
    store = Store(tmp_path)
    shard = store.write("TOKENS", tokens(ROWS))
    assert holds(pq.read_schema(store.path(shard))) == holds(TOKENS)
    assert all(holds(schema)[name] for schema in TABLES.values() for name in schema.names)


def test_equal_content_keeps_its_first_file(tmp_path):
    store = Store(tmp_path)
    first = store.write("TOKENS", tokens(ROWS))
    before = store.path(first).read_bytes()
    again = store.write("TOKENS", [tokens(ROWS[:2]), tokens(ROWS[2:])])  # other row groups, so other bytes
    assert again == first
    assert store.path(first).read_bytes() == before
    assert store.is_whole(again)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "remove seal", "garble seal"])
def test_a_damaged_shard_is_found_and_made_again(tmp_path, damage):
    store = Store(tmp_path)
    shard = store.write("TOKENS", tokens(ROWS))
    other = store.write("TOKENS", tokens(ROWS[:1]))
    store.commit("encode", "abcd", [shard])
    store.commit("encode", "bcde", [other])
    path, raw = store.path(shard), bytearray(store.path(shard).read_bytes())
    if damage == "flip":
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    elif damage == "cut":
        path.write_bytes(raw[:-1])
    elif damage == "remove":
        path.unlink()
    elif damage == "remove seal":
        store.seal_path(shard).unlink()
    else:
        store.seal_path(shard).write_text("{")
    assert store.find("encode", "abcd") is None
    assert store.find("encode", "bcde") == [other]
    assert store.write("TOKENS", tokens(ROWS)) == shard
    assert store.find("encode", "abcd") == [shard]


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"shards": [{}]}', b'{"shards": 3}'])
def test_a_damaged_action_is_done_again(tmp_path, record):
    store = Store(tmp_path)
    store.commit("encode", "abcd", [store.write("TOKENS", tokens(ROWS))])
    store.action_path("encode", "abcd").write_bytes(record)
    assert store.find("encode", "abcd") is None


def test_where_it_came_from_travels_beside_the_content(tmp_path):
    store = Store(tmp_path)
    shard = store.write("TOKENS", tokens(ROWS), came_from=("a.jsonl", 7))
    store.commit("ingest", "abcd", [shard])
    assert store.find("ingest", "abcd")[0].came_from == ("a.jsonl", 7)
    assert store.write("TOKENS", tokens(ROWS), came_from=("b.jsonl", 0)) == shard


def test_no_temporary_file_is_left(tmp_path):
    store = Store(tmp_path)

    def pieces():
        yield tokens(ROWS)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        store.write("TOKENS", pieces())
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_schema_error_names_every_column():
    table = pa.table({"document_id": ["a"], "lang": ["en"], "n_tokens": pa.array([1], pa.int64())})
    with pytest.raises(SchemaError) as error:
        conform(table, TOKENS, "TOKENS")
    assert str(error.value) == (
        "TOKENS: columns missing: ['input_ids']; not declared: ['lang']; of the wrong type: ['n_tokens: int64, not int32']"
    )


def row_of(schema, **values):
    plain = {"string": "x", "int64": 1, "int32": 1, "large_string": "x"}
    return pa.Table.from_pylist(
        [{f.name: plain.get(str(f.type)) for f in schema} | values],
        schema=pa.schema([f.with_nullable(True) for f in schema]),
    )


def test_null_is_refused_where_the_contract_says_so():
    with pytest.raises(SchemaError, match=r"text \(1\)"):
        conform(row_of(DOCUMENTS, text=None), DOCUMENTS, "DOCUMENTS")
    conform(row_of(DOCUMENTS, license=None, origin=None), DOCUMENTS, "DOCUMENTS")


def test_null_is_refused_inside_lists_and_structs():
    segment = {"document_id": "a", "domain": None, "document_start": 0, "document_stop": 1, "epoch": 0}
    loose = pa.list_(pa.struct([(n, t) for n, t in [("document_id", pa.string()), ("domain", pa.string()), ("document_start", pa.int32()), ("document_stop", pa.int32()), ("epoch", pa.int32()), ("path_position", pa.int64()), ("similarity_to_previous", pa.float32())]]))  # fmt: skip
    table = pa.table({
        "sequence_id": pa.array([0], pa.int64()),
        "input_ids": pa.array([[1, None]], pa.large_list(pa.int32())),
        "n_tokens": pa.array([2], pa.int32()),
        "cu_seqlens": pa.array([None], pa.list_(pa.int32())),
        "segments": pa.array([[segment]], loose),
    })  # fmt: skip
    with pytest.raises(SchemaError) as error:
        conform(table, SEQUENCES, "SEQUENCES")
    for where in ("input_ids.element (1)", "cu_seqlens (1)", "segments.element.domain (1)"):
        assert where in str(error.value)
    assert "path_position" not in str(error.value)


def test_an_actions_name_is_its_content():
    assert name_of("a", 1, {"x": 1, "y": 2}) == name_of("a", 1, {"y": 2, "x": 1})
    assert len({name_of("a", 1), name_of("a", 2), name_of("a", "1"), name_of("b", 1), name_of(["a", 1])}) == 5


def test_progress_is_a_line_for_each_action(tmp_path):
    store = Store(tmp_path)
    store.commit("encode", "abcd", [], n_documents=3, n_bytes=70)
    store.commit("encode", "abce", [], n_documents=2, n_bytes=7)
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [(line["documents"], line["bytes"]) for line in lines] == [(3, 70), (2, 7)]
