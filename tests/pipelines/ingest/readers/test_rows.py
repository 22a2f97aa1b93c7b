"""A row's bytes hold its labels and its text, whatever kind of string the column is of."""

import pyarrow as pa
import pytest

from pipelines.ingest.readers import READERS
from pipelines.ingest.readers import rows as module
from pipelines.ingest.readers.record import HEAD_BYTES, Fields, hash_of
from tests.pipelines.inputs import FIELDS, records, text_of, write_rows


@pytest.mark.parametrize("name", ["a.parquet", "data-00000-of-00001.arrow"])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.string())], ids=str)  # fmt: skip
def test_rows_of_every_kind_of_string(tmp_path, name, kind):
    texts = [text_of(i) for i in range(7)]
    column = pa.array(texts).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(texts).cast(kind)
    path = write_rows(
        tmp_path / name, {"n": pa.array(range(7)), "text": column, "id": pa.array([3, 4, None, 5, 6, 7, 2**40])}, 3
    )
    reader = READERS["parquet" if name.endswith("parquet") else "hf"]
    read = records(path, "parquet" if name.endswith("parquet") else "hf")
    assert [r.offset for r in read] == list(range(7))
    found = [reader.parser(FIELDS)(r.raw) for r in read]
    assert [f.text.decode() for f in found] == texts
    assert [f.id for f in found] == ["3", "4", None, "5", "6", "7", str(2**40)]


def test_a_row_too_large_is_a_head_and_a_hash(tmp_path):
    path = write_rows(tmp_path / "a.parquet", {"text": pa.array(["a", "b" * 200_000, "c"])})
    one, two, three = records(path, "parquet", Fields("text", None, None, None, 100_000))
    assert (one.raw, three.raw) == (b"{}\na", b"{}\nc")
    assert (two.fault.reason, two.fault.n_bytes, len(two.raw)) == ("too_large", 200_003, HEAD_BYTES)
    assert two.fault.record_hash == hash_of(b"{}\n" + b"b" * 200_000)


def test_which_columns_hold_text():
    texts = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()]
    assert all(module.is_text(kind) and module.is_text(pa.dictionary(pa.int32(), kind)) for kind in texts)
    others = [pa.int64(), pa.list_(pa.string()), pa.struct([("a", pa.string())]), pa.dictionary(pa.int32(), pa.int64())]
    assert not any(module.is_text(kind) for kind in others)
