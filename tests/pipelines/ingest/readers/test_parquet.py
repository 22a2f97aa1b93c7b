"""Parquet is read batch by batch, of its columns only those that are used, and up to the first damaged page."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.ingest.readers import READERS, parquet
from pipelines.ingest.readers.record import Fields, File, hash_of
from schemas.errors import StageError
from tests.pipelines.inputs import FIELDS, good_rows, records, text_of, write_rows


def test_rows_are_numbered_through_all_groups_and_batches(tmp_path, monkeypatch):
    path = write_rows(tmp_path / "a.parquet", good_rows(range(23)), 5)
    for batch_bytes in (1, 4 << 20):
        monkeypatch.setattr(parquet, "BATCH_BYTES", batch_bytes)
        read = records(path, "parquet")
        assert [record.offset for record in read] == list(range(23))
        assert [READERS["parquet"].parser(FIELDS)(r.raw).text.decode() for r in read] == [text_of(i) for i in range(23)]


@pytest.fixture
def batches(monkeypatch):
    """[(rows asked for, bytes as plain strings)] of each batch that is read."""
    read, iter_batches = [], pa.parquet.ParquetFile.iter_batches

    def watched(self, n_rows, *rest, **options):
        for batch in iter_batches(self, n_rows, *rest, **options):
            read.append((n_rows, batch.nbytes))
            yield batch

    monkeypatch.setattr(pa.parquet.ParquetFile, "iter_batches", watched)
    return read


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"data_page_version": "2.0"}, {"compression": "zstd"}, {"use_dictionary": False, "column_encoding": "DELTA_LENGTH_BYTE_ARRAY"}], ids=str)  # fmt: skip
def test_a_batch_is_of_about_so_many_bytes(tmp_path, monkeypatch, batches, options):
    table = pa.table({"text": pa.array([f"{i:0100d}" for i in range(1000)])})
    pa.parquet.write_table(table, tmp_path / "a.parquet", **options)
    for batch_bytes, rows in ((30_000, 256), (1, 1), (1 << 40, 4096)):
        monkeypatch.setattr(parquet, "BATCH_BYTES", batch_bytes)
        batches.clear()
        assert len(records(tmp_path / "a.parquet", "parquet")) == 1000
        assert {n for n, _ in batches} - {1} <= {rows}  # one row is read to learn the longest value
        assert batches[-1][0] == rows


def test_long_rows_among_short_ones_are_not_read_together(tmp_path, monkeypatch, batches):
    """8,000 rows of 10 bytes, and 100 of 50 kB: the mean is 620 bytes."""
    texts = [f"{i:010d}" for i in range(8000)] + [f"{i:050000d}" for i in range(100)]
    table = pa.table({"text": pa.array(texts)})
    pa.parquet.write_table(
        table, tmp_path / "a.parquet", use_dictionary=False, data_page_size=100_000, write_batch_size=2
    )
    monkeypatch.setattr(parquet, "BATCH_BYTES", 1_000_000)
    assert [len(record.raw) for record in records(tmp_path / "a.parquet", "parquet")] == [len(t) + 3 for t in texts]
    assert max(n_bytes for _, n_bytes in batches) <= 1_200_000


@pytest.mark.parametrize("encoding", ["dictionary", "DELTA_BYTE_ARRAY"])
def test_values_that_repeat_decode_in_bounded_batches(tmp_path, batches, encoding):
    """3,000 rows of two texts of 100 kB: 300 MB from a few kB."""
    options = {} if encoding == "dictionary" else {"use_dictionary": False, "column_encoding": encoding}
    texts = [("a" * 100_000, "b" * 100_000)[i * 2 // 3000] for i in range(3000)]
    pa.parquet.write_table(pa.table({"text": pa.array(texts)}), tmp_path / "a.parquet", compression="zstd", **options)
    assert (tmp_path / "a.parquet").stat().st_size < 40_000
    file = File("a.parquet", str(tmp_path / "a.parquet"))
    read = [record.raw[3:4] for record in READERS["parquet"].records(file, FIELDS)]
    assert read == [text[:1].encode() for text in texts]
    assert max(n_bytes for _, n_bytes in batches) <= 2 * parquet.BATCH_BYTES


def test_nested_labels_decode_in_bounded_batches(tmp_path, batches):
    """2,000 rows whose id is a list of two texts of 50 kB: 200 MB. A list is no id; reading it must not exhaust memory."""
    ids = pa.array([["a" * 50_000, "b" * 50_000]] * 2000)
    pa.parquet.write_table(pa.table({"text": pa.array(["t"] * 2000), "id": ids}), tmp_path / "a.parquet")
    read = READERS["parquet"].records(File("a.parquet", str(tmp_path / "a.parquet")), FIELDS)
    assert sum(len(record.raw) > 100_000 for record in read) == 2000
    assert max(n_bytes for _, n_bytes in batches) <= 2 * parquet.BATCH_BYTES


PEAK = """
import resource, sys
from pipelines.ingest.readers import READERS
from pipelines.ingest.readers.record import Fields, File

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
records = READERS["parquet"].records(File("a", sys.argv[1]), Fields("text", None, None, None, 64_000_000))
print(sum(len(record.raw) for record in records), peak() - before)
"""


def test_memory_is_that_of_a_batch(tmp_path):
    """800 MB of text decode from a file of a few kB. All rows at once take 2,900 MiB, a batch takes 32."""
    texts = ["a" * 200_000, "b" * 200_000] * 2000
    pa.parquet.write_table(pa.table({"text": pa.array(texts).dictionary_encode()}), tmp_path / "a.parquet")
    command = [sys.executable, "-c", PEAK, str(tmp_path / "a.parquet")]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[4])
    n_bytes, mebibytes = map(int, answer.stdout.split())
    assert n_bytes == 4000 * 200_003
    assert mebibytes < 150


def test_a_page_that_decompresses_to_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch, batches):
    """What comes before its row group is kept. The limit of a dictionary page is a smaller one."""
    for limit, options in (("MAX_PAGE_BYTES", {"use_dictionary": False}), ("MAX_DICTIONARY_BYTES", {})):
        path = tmp_path / f"{limit}.parquet"
        table = pa.table({"text": pa.array(["a", "b", "c" * 3_000_000, "d"])})
        pa.parquet.write_table(table, path, row_group_size=2, compression="zstd", **options)
        with monkeypatch.context() as patch:
            patch.setattr(parquet, limit, 3_000_015)
            assert [record.fault for record in records(path, "parquet")] == [None] * 4
            patch.setattr(parquet, limit, 3_000_007)
            batches.clear()
            *kept, last = records(path, "parquet")
        assert [record.raw for record in kept] == [b"{}\na", b"{}\nb"]
        assert (last.offset, last.fault.reason, last.fault.n_bytes) == (2, "page_too_large", None)
        assert last.fault.detail.startswith("row group 1: a page of column 'text' decompresses to 3,000,0")
        assert sum(n_bytes for _, n_bytes in batches) < 100


@pytest.mark.parametrize("error", [pa.ArrowMemoryError("malloc of size 9 failed"), OSError("ZSTD: not enough memory")], ids=repr)  # fmt: skip
def test_a_lack_of_memory_is_no_damage(tmp_path, monkeypatch, error):
    path = write_rows(tmp_path / "a.parquet", good_rows(range(3)))

    def fail(*_, **__):
        raise error

    for name in ("iter_batches", "__init__"):
        with monkeypatch.context() as patch:
            patch.setattr(pa.parquet.ParquetFile, name, fail)
            with pytest.raises(StageError, match="memory is exhausted"):
                records(path, "parquet")


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
