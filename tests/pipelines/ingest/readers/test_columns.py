"""Columns of every Arrow type are labels in Parquet and Arrow, and nested ones may hold texts."""

import datetime as dt
import decimal
import random
import uuid

import numpy as np
import pyarrow as pa
import pytest

from pipelines.ingest.readers import READERS, parquet
from pipelines.ingest.readers.columns import column_at, of_label, of_text, type_at, values
from pipelines.ingest.readers.record import Fields
from tests.pipelines.inputs import records, write_rows

FORMATS = {"a.parquet": "parquet", "data-00000-of-00001.arrow": "hf"}


def viewed(number: int, bits: pa.DataType, kind: pa.DataType) -> pa.Array:
    return pa.array([number, None], bits).view(kind)


def of(values_: list, kind: pa.DataType) -> pa.Array:
    return pa.array([*values_, None], kind)


DAY = dt.date(2024, 5, 1)
COLUMNS = {  # the column, its first label; the second is NULL
    "bool": (of([True], pa.bool_()), "true"),
    **{str(t): (of([17], t), "17") for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())},
    "uint64": (of([2**64 - 1], pa.uint64()), str(2**64 - 1)),
    "half": (of([np.float16(1.5)], pa.float16()), "1.5"),
    "float": (of([0.1], pa.float32()), "0.1"),
    "double": (of([17.0], pa.float64()), "17"),
    "nan": (of([float("nan")], pa.float64()), "NaN"),
    "infinity": (of([float("-inf")], pa.float32()), "-Infinity"),
    "decimal": (of([decimal.Decimal("1.50")], pa.decimal128(10, 2)), "1.50"),
    "decimal256": (of([decimal.Decimal("1.50")], pa.decimal256(70, 2)), "1.50"),
    "date": (of([DAY], pa.date32()), "2024-05-01"),
    "date64": (of([DAY], pa.date64()), "2024-05-01"),
    "far date": (viewed(2**31 - 1, pa.int32(), pa.date32()), str(2**31 - 1)),
    "timestamp[ns]": (of([1], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
    "far timestamp": (viewed(2**62, pa.int64(), pa.timestamp("ms")), str(2**62)),
    "timestamp UTC": (of([1], pa.timestamp("us", "UTC")), "1970-01-01 00:00:00.000001Z"),
    "timestamp of no zone": (viewed(1, pa.int64(), pa.timestamp("us", "Nowhere/Atlantis")), "1970-01-01 00:00:00.000001Z"),
    "time32": (of([dt.time(1, 2)], pa.time32("ms")), "01:02:00.000"),
    "time64": (of([1], pa.time64("ns")), "00:00:00.000000001"),
    "time of no day": (viewed(99_999_999, pa.int32(), pa.time32("ms")), "99999999"),
    "duration": (of([5], pa.duration("ns")), "5"),
    "long duration": (viewed(2**62, pa.int64(), pa.duration("s")), str(2**62)),
    "interval": (of([(1, 2, 3)], pa.month_day_nano_interval()), "[1,2,3]"),
    "string": (of(["a\0é"], pa.string()), "a\\u0000é"),
    "large_string": (of(["a"], pa.large_string()), "a"),
    "string_view": (of(["a"], pa.string_view()), "a"),
    "binary": (of([b"\xff\x00"], pa.binary()), "ff00"),
    "binary that is text": (of([b"abc"], pa.large_binary()), "abc"),
    "binary_view": (of([b"\xff\x00"], pa.binary_view()), "ff00"),
    "binary of 16": (of([b"\xff" * 16], pa.binary()), "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "fixed 16": (of([b"a" * 16], pa.binary(16)), "61616161-6161-6161-6161-616161616161"),
    "fixed 3": (of([b"abc"], pa.binary(3)), "abc"),
    "uuid": (of([uuid.UUID(int=7).bytes], pa.uuid()), "00000000-0000-0000-0000-000000000007"),
    "dictionary": (of(["a"], pa.string()).dictionary_encode(), "a"),
    "dictionary of numbers": (of([7], pa.int64()).dictionary_encode(), "7"),
    "list": (of([["a", None]], pa.list_(pa.string())), '["a",null]'),
    "large_list": (of([[1, 2]], pa.large_list(pa.int8())), "[1,2]"),
    "struct": (of([{"b": DAY, "a": b"\xff"}], pa.struct([("b", pa.date32()), ("a", pa.binary())])), '{"a":"ff","b":"2024-05-01"}'),
    "list of structs": (of([[{"a": 1.0}]], pa.list_(pa.struct([("a", pa.float32())]))), '[{"a":1.0}]'),
    "map": (of([[("k", 1)]], pa.map_(pa.string(), pa.int64())), '{"k":1}'),
}  # fmt: skip
ARROW_ALONE = {  # what Parquet does not store, or pyarrow does not read from it
    "date of no day": (viewed(2**60, pa.int64(), pa.date64()), str(2**60)),
    "fixed list": (of([[1, 2]], pa.list_(pa.int8(), 2)), "[1,2]"),
    "runs": (pa.RunEndEncodedArray.from_arrays([1, 2], pa.array(["x", None])), "x"),
    "list_view": (of([[1, 2]], pa.list_view(pa.int64())), "[1,2]"),
    "large_list_view": (of([["a"]], pa.large_list_view(pa.string())), '["a"]'),
    "union": (
        pa.UnionArray.from_dense(
            pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array(["u"]), pa.nulls(1, pa.int8())]
        ),
        "u",
    ),
    "empty struct": (pa.array([{}, None], pa.struct([])), "{}"),
}


CASES = [(file, name) for file in FORMATS for name in COLUMNS] + [([*FORMATS][1], name) for name in ARROW_ALONE]


@pytest.mark.parametrize(("file", "name"), CASES)
def test_a_label_of_any_type_costs_no_text(tmp_path, file, name):
    column, expected = {**COLUMNS, **ARROW_ALONE}[name]
    try:
        path = write_rows(tmp_path / file, {"text": pa.array(["a", "b"]), "id": column})
    except pa.ArrowNotImplementedError:
        assert (file, name) == ("a.parquet", "interval")
        return
    fields = Fields("text", "id", None, None, 9999)
    parse = READERS[FORMATS[file]].parser(fields)
    found = [parse(record.raw) for record in records(path, FORMATS[file], fields)]
    assert [f.text for f in found] == [b"a", b"b"]
    assert [f.id for f in found] == [expected, None]


@pytest.mark.parametrize("name", [*COLUMNS, *ARROW_ALONE])
def test_a_slice_has_the_values_of_its_rows(name):
    column, _ = {**COLUMNS, **ARROW_ALONE}[name]
    for leaf in (of_text, of_label):
        rows = values(column, leaf)
        assert len(rows) == 2
        assert repr([values(column.slice(i, 1), leaf)[0] for i in range(2)]) == repr(rows)


def test_nested_columns_are_those_of_to_pylist_wherever_they_are_cut():
    r = random.Random(0)
    kinds = [
        pa.list_(pa.list_(pa.int64())), pa.large_list(pa.string()), pa.list_(pa.struct([("a", pa.list_(pa.int8()))])),
        pa.struct([("a", pa.list_(pa.int64())), ("b", pa.int8())]), pa.list_(pa.list_(pa.int64(), 2)), pa.list_view(pa.int64()),
    ]  # fmt: skip

    def drawn(kind):
        if r.random() < 0.2:
            return None
        if pa.types.is_struct(kind):
            return {field.name: drawn(field.type) for field in kind}
        if pa.types.is_fixed_size_list(kind):
            return [drawn(kind.value_type) for _ in range(2)]
        if pa.types.is_integer(kind):
            return r.randrange(9)
        return (
            "x" * r.randrange(3)
            if pa.types.is_large_string(kind) or pa.types.is_string(kind)
            else [drawn(kind.value_type) for _ in range(r.randrange(4))]
        )

    for kind in kinds:
        column = pa.array([drawn(kind) for _ in range(40)], kind)
        for _ in range(20):
            start = r.randrange(41)
            cut = column.slice(start, r.randrange(41 - start + 1))
            assert values(cut, of_label) == cut.to_pylist(), kind


def test_strings_that_are_not_utf8_are_escaped_in_a_label():
    data = pa.array([b"caf\xe9"], pa.binary())
    column = pa.Array.from_buffers(pa.string(), 1, data.buffers())
    assert values(column, of_label) == ["caf\udce9"]
    assert values(column, of_text) == [b"caf\xe9"]


def test_an_offset_out_of_bounds_raises_and_does_not_crash():
    for offsets in ([0, 5, 2], [0, 2, 1], [0, -1, 1]):
        damaged = pa.Array.from_buffers(
            pa.list_(pa.int64()), 2, [None, pa.py_buffer(np.array(offsets, np.int32))], children=[pa.array([1, 2])]
        )
        with pytest.raises(pa.ArrowInvalid):
            values(damaged, of_label)
        if offsets == [0, 5, 2]:
            with pytest.raises(pa.ArrowInvalid):
                values(damaged.slice(0, 1), of_label)  # [0, 5], which alone ascend
    strings = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 99, 2], np.int32)), pa.py_buffer(b"ab")]
    )
    words = pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(["a"]))
    outside = pa.DictionaryArray.from_buffers(words.type, 1, pa.array([7]).buffers(), pa.array(["a"]))
    for array in (strings, outside):
        with pytest.raises((pa.ArrowInvalid, pa.ArrowIndexError)):
            values(array, of_label)


# -- names


def test_a_column_of_the_name_wins_over_the_struct():
    inner = pa.array([{"b": "in", "c": 1}, None])
    batch = pa.record_batch({"a": inner, "a.b": pa.array(["own", "own"])})
    assert column_at(batch, "a.b").to_pylist() == ["own", "own"]
    assert column_at(batch, "a.c").to_pylist() == [1, None]
    assert (type_at(batch.schema, "a.x"), type_at(batch.schema, "a.b.x"), type_at(batch.schema, "b")) == (
        None,
        None,
        None,
    )
    with pytest.raises(KeyError):
        column_at(batch, "a.x")


@pytest.mark.parametrize("file", FORMATS)
@pytest.mark.parametrize("separator", ["\n\n", ""])
def test_nested_several_and_listed_texts(tmp_path, file, separator):
    rows = {
        "title": pa.array(["T", None, "", "T"]),
        "data": pa.array(
            [{"body": {"text": "B"}, "n": 1}, {"body": None, "n": 1}, None, {"body": {"text": ""}, "n": 2}]
        ),
        "lines": pa.array([["x", None, "y"], [], None, ["z"]]),
        "nothing": pa.nulls(4),
    }
    path = write_rows(tmp_path / file, rows)
    expected = {
        "data.body.text": [b"B", None, None, b""],
        "lines": [separator.join("xy").encode(), b"", None, b"z"],
        ("title", "data.body.text"): [f"T{separator}B".encode(), None, b"", b"T"],
        ("nothing", "lines", "title"): [separator.join("xyT").encode(), b"", b"", separator.join("zT").encode()],
    }
    for text, texts in expected.items():
        read = records(path, FORMATS[file], Fields(text, None, None, None, 9999, separator=separator))
        assert [record.raw for record in read] == [b"{}" if t is None else b"{}\n" + t for t in texts], text


@pytest.mark.parametrize("file", FORMATS)
def test_a_message_names_the_columns(tmp_path, file):
    columns = {"data": pa.array([{"body": 1, "lang": "en"}]), "content": pa.array(["a"]), "n": pa.array([[1]])}
    path = write_rows(tmp_path / file, columns)

    def why(text) -> str:
        (record,) = records(path, FORMATS[file], Fields(text, None, None, None, 9999))
        return f"{record.fault.reason}: {record.fault.detail}"

    assert why("text") == "text_missing: no column 'text'; there are data, content, n"
    assert why("data.text") == "text_missing: no column 'data.text'; there are data.body, data.lang, content, n"
    assert why("data") == "text_not_string: 'data' is an object with body, lang; name one as data.body"
    assert why("data.body") == "text_not_string: 'data.body' is of type int64; wanted a string or a list of strings"
    assert why(("content", "n")).startswith("text_not_string: 'n' is of type list<")


@pytest.mark.parametrize("shape", ["struct", "list"])
def test_nested_texts_decode_in_bounded_batches(tmp_path, monkeypatch, shape):
    """2,000 rows of one text of 100 kB from a dictionary, next to 40,000 short ones, whose batches stay large."""
    read, iter_batches = [], pa.parquet.ParquetFile.iter_batches

    def watched(self, n_rows, *rest, **options):
        for batch in iter_batches(self, n_rows, *rest, **options):
            read.append((batch.num_rows, batch.nbytes))
            yield batch

    monkeypatch.setattr(pa.parquet.ParquetFile, "iter_batches", watched)
    for text, n in (("a" * 100_000, 2000), ("a" * 100, 40_000)):
        column = pa.array([{"b": text, "c": 1}] * n) if shape == "struct" else pa.array([[text]] * n)
        path = tmp_path / f"{n}.parquet"
        pa.parquet.write_table(pa.table({"a": column}), path)
        read.clear()
        fields = Fields("a.b" if shape == "struct" else "a", None, None, None, 999_999)
        assert all(len(r.raw) == len(text) + 3 for r in records(path, "parquet", fields))
        assert max(n_bytes for _, n_bytes in read) <= 2 * parquet.BATCH_BYTES
    assert max(n_rows for n_rows, _ in read) == parquet.MAX_ROWS
