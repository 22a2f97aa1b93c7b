"""A content hash depends on values alone, by the plain rule, and its value never changes."""

import struct
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest

from pipelines.store.content_hash import TableHash, values_buffer
from schemas.tables import TABLES
from tests.tokens import token_row

SEEDS = range(30)
PACK = {pa.int32(): "<i", pa.int64(): "<q", pa.uint32(): "<I", pa.uint64(): "<Q", pa.float64(): "<d", pa.bool_(): "<?"}
TOKENS = TABLES["TOKENS"]
ROWS = [("a", [1, 2]), ("b", None), ("c", []), ("d", [3])]
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string()),
        pa.field("n", pa.int32()),
        pa.field("share", pa.float64(), nullable=False),
        pa.field("ids", pa.list_(pa.field("element", pa.int64(), nullable=False))),
        pa.field("signature", pa.list_(pa.uint32(), 2), nullable=False),
        pa.field("segments", pa.list_(pa.struct([pa.field("d", pa.string(), nullable=False), ("e", pa.int32())]))),
    ]
)


def tokens(rows):
    return pa.Table.from_pylist([token_row(document_id, ids) for document_id, ids in rows], schema=TOKENS)


def content(table, cuts=(), name="TOKENS"):
    digest = TableHash(name, table.schema)
    for start, stop in zip([0, *cuts], [*cuts, len(table)], strict=True):
        digest.update(table.slice(start, stop - start))
    return digest.content_hash()


def test_values_that_lie_under_a_null_do_not_count():
    """A list that is NULL may have a length in Arrow's buffers."""
    ids = pa.array([1, 2, 3, 4], pa.int32())
    hidden = pa.ListArray.from_arrays([0, 2, 3, 4], ids, mask=pa.array([False, True, False]))
    assert hidden.values.to_pylist() == [1, 2, 3, 4]
    expected = tokens([("a", [1, 2]), ("b", None), ("c", [4])])
    place = TOKENS.names.index("input_ids")
    table = expected.set_column(place, TOKENS.field(place), hidden.cast(TOKENS.field(place).type))
    assert content(table) == content(expected)


# -- the plain rule


def slow_column(field, values):
    """The digest of a column's values, one value after another."""
    valid, lengths, plain = b"", b"", b""
    if field.nullable:
        valid = b"".join(b"\0" if value is None else b"\1" for value in values)
        values = [value for value in values if value is not None]
    kind, children = field.type, []
    if pa.types.is_struct(kind):
        children = [slow_column(child, [value[child.name] for value in values]) for child in kind]
    elif pa.types.is_nested(kind):
        if not pa.types.is_fixed_size_list(kind):
            lengths = b"".join(struct.pack("<q", len(value)) for value in values)
        children = [slow_column(kind.value_field, [item for value in values for item in value])]
    elif kind in PACK:
        plain = b"".join(struct.pack(PACK[kind], value) for value in values)
    else:
        lengths = b"".join(struct.pack("<q", len(value.encode())) for value in values)
        plain = b"".join(value.encode() for value in values)
    streams = [blake2b(part).digest() for part in (valid, lengths, plain)]
    return blake2b(str(kind).encode() + b"".join(streams) + b"".join(children)).digest()


def slow_content(name, schema, rows):
    parts = [f"{name}\0{len(rows)}"]
    for field in schema:
        column = blake2b(slow_column(field, [row[field.name] for row in rows]), digest_size=16).hexdigest()
        parts.append(f"{field.name}\0{column}")
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def random_rows(seed):
    rng = np.random.default_rng(seed)

    def some(value):
        return None if rng.random() < 0.3 else value

    def word():
        return rng.choice(["", "a", "aé", "日本", "two words"])

    return [
        {
            "id": str(word()),
            "text": some(str(word())),
            "n": some(int(rng.integers(-9, 9))),
            "share": float(rng.choice([0.0, -0.0, 1.5, np.inf])),
            "ids": some(rng.integers(0, 2**62, rng.integers(0, 3)).tolist()),
            "signature": [some(int(rng.integers(2**32))) for _ in range(2)],
            "segments": some([some({"d": str(word()), "e": some(int(rng.integers(9)))}) for _ in range(rng.integers(3))]),
        }
        for _ in range(rng.integers(0, 12))
    ]  # fmt: skip


def test_the_hash_is_the_slow_one_however_the_table_was_cut():
    for seed in SEEDS:
        rows = random_rows(seed)
        table = pa.Table.from_pylist(rows, SCHEMA)
        cuts = sorted(np.random.default_rng(seed).integers(0, len(rows) + 1, 3).tolist())
        assert content(table, cuts, "X") == slow_content("X", SCHEMA, rows), f"{seed=}"


def test_the_cases_the_oracle_must_reach():
    """Guards the test above from passing on easy input."""
    rows = [row for seed in SEEDS for row in random_rows(seed)]
    assert any(not random_rows(seed) for seed in SEEDS)
    assert any(row["ids"] == [] for row in rows)
    assert any(row["ids"] is None for row in rows)
    assert any(None in row["signature"] for row in rows)
    assert any(None in (row["segments"] or []) for row in rows)
    assert any(segment and segment["e"] is None for row in rows for segment in row["segments"] or [])


def test_hashes_never_change():
    """Shards lie under them, and actions are named by them."""
    digest = TableHash("TOKENS", TOKENS)
    digest.update(tokens(ROWS))
    assert digest.content_hash() == "010ffeba5fe7006773f6a9b73078fdf1"
    assert digest.columns()["input_ids"] == "4fc81b4401ca13fba78a8054dffd5c14"


# -- what shows and what does not


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


def test_the_names_of_the_table_and_of_its_columns_show():
    table = pa.table({"x": [1, 2], "y": [1, 2]})
    assert content(table, name="X") != content(table, name="Y")
    assert content(table.rename_columns(["x", "z"])) != content(table)
    assert content(table.select(["y", "x"])) != content(table)
    assert content(table.cast(pa.schema([("x", pa.int64()), ("y", pa.int32())]))) != content(table)


def test_strings_that_run_together_differ():
    one, two = (content(pa.table({"x": pa.array(words)})) for words in (["ab", "c"], ["a", "bc"]))
    assert one != two


def test_a_slice_hashes_like_a_copy():
    table = tokens(ROWS)
    assert content(table.slice(1, 2)) == content(tokens(ROWS[1:3]))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_the_bytes_of_a_column_are_those_of_its_values(kind):
    array = pa.array(["before", "", "é", "日本", "after"], kind)
    assert bytes(values_buffer(array.slice(1, 3))) == "é日本".encode()
    assert bytes(values_buffer(array.slice(1, 0))) == b""
    assert bytes(values_buffer(pa.array([], kind))) == b""
