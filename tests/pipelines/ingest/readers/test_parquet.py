"""Parquet is read batch by batch, of its columns only those that are used, and up to the first damaged page."""

import pyarrow as pa
import pytest

from pipelines.ingest.readers import READERS, parquet
from pipelines.ingest.readers.record import Fields, File, hash_of
from tests.pipelines.inputs import FIELDS, good_rows, records, text_of, write_rows


def test_rows_are_numbered_through_all_groups_and_batches(tmp_path, monkeypatch):
    path = write_rows(tmp_path / "a.parquet", good_rows(range(23)), 5)
    for batch_bytes in (1, 4 << 20):
        monkeypatch.setattr(parquet, "BATCH_BYTES", batch_bytes)
        read = records(path, "parquet")
        assert [record.offset for record in read] == list(range(23))
        assert [READERS["parquet"].parser(FIELDS)(r.raw).text.decode() for r in read] == [text_of(i) for i in range(23)]


def test_a_batch_is_of_about_so_many_bytes(tmp_path, monkeypatch):
    path = write_rows(tmp_path / "a.parquet", {"text": pa.array([f"{i:0100d}" for i in range(100)])}, 100)
    sizes = []
    iter_batches = pa.parquet.ParquetFile.iter_batches
    monkeypatch.setattr(
        pa.parquet.ParquetFile,
        "iter_batches",
        lambda self, n, *rest, **options: sizes.append(n) or iter_batches(self, n, *rest, **options),
    )
    group_bytes = pa.parquet.ParquetFile(path).metadata.row_group(0).total_byte_size
    for batch_bytes, expected in ((group_bytes // 4, 24), (1, 1), (1 << 40, 4096)):
        monkeypatch.setattr(parquet, "BATCH_BYTES", batch_bytes)
        assert len(records(path, "parquet")) == 100
        assert sizes.pop() in (expected, expected + 1)


def test_only_the_columns_that_are_used_are_read(tmp_path, monkeypatch):
    path = write_rows(tmp_path / "a.parquet", {**good_rows(range(5)), "big": pa.array(["x" * 1000] * 5)})
    asked = []
    kept = pa.parquet.ParquetFile.iter_batches
    monkeypatch.setattr(
        pa.parquet.ParquetFile, "iter_batches", lambda self, n, g, c, **k: asked.append(c) or kept(self, n, g, c, **k)
    )
    assert len(records(path, "parquet")) == 5
    assert {column for columns in asked for column in columns} == {"id", "text", "source"}


def test_what_came_before_a_damaged_page_is_kept(tmp_path):
    long = pa.array([hash_of(b"%d" % i) * 9 for i in range(9)])
    path = write_rows(tmp_path / "a.parquet", {"text": long}, 3)
    texts = pa.parquet.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    data[texts.dictionary_page_offset + 100] ^= 0x55  # past the page's header
    path.write_bytes(data)
    *kept, last = records(path, "parquet")
    assert [record.offset for record in kept] == [0, 1, 2]
    assert (last.offset, last.raw, last.fault) == (
        3, b"", ("damaged_parquet", "row group 1 can't be read after row 3 of the file", None, hash_of(b"")),
    )  # fmt: skip


def test_a_file_whose_footer_is_damaged_or_whose_columns_do_not_fit_is_one_record(tmp_path):
    reader = READERS["parquet"]
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    write_rows(tmp_path / "b.parquet", {"content": pa.array(["a"]), "n": pa.array([1])})
    for name, reason, detail in (
        ("a.parquet", "damaged_parquet", "its footer can't be read"),
        ("b.parquet", "text_missing", "no column 'text'; there are content, n"),
    ):
        path = tmp_path / name
        why = reader.schema_error(File(name, str(path)), FIELDS)
        assert (why.reason, why.detail) == (reason, detail)
        (record,) = records(path, "parquet")
        assert record.raw == path.read_bytes()[: len(record.raw)]
        assert record.fault == (reason, detail, path.stat().st_size, hash_of(path.read_bytes()))
    assert reader.schema_error(File("b", str(tmp_path / "b.parquet")), Fields("content", None, None, None, 9)) is None


def test_a_file_that_the_system_refuses_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        records(tmp_path / "none.parquet", "parquet")
