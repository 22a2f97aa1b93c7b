"""pipelines/first_records.py: the first records of a file of each format, however it is compressed."""

import bz2
import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines.first_records import SAMPLE_RECORDS, beginning, records_of

ROWS = [{"id": i, "text": f'Line {i}, with a [bracket] and a "quote".'} for i in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
PACKED = {
    "": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data[:50]) + zstandard.ZstdCompressor().compress(data[50:]),
}  # fmt: skip


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("text", [LINES, json.dumps(ROWS), json.dumps(ROWS, indent=2), "\ufeff" + LINES])
def test_json(tmp_path, suffix, text):
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(PACKED[suffix](text.encode()))
    assert list(records_of(path, "jsonl")) == ROWS


def test_json_that_breaks_off_gives_what_is_before(tmp_path):
    (tmp_path / "a.jsonl").write_text(LINES[:-9])
    assert list(records_of(tmp_path / "a.jsonl", "jsonl")) == ROWS[:2]


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_tables_of_text(tmp_path, name, separator):
    (tmp_path / name).write_text(f'id{separator}text\n1{separator}"two\nlines"\n')
    assert list(records_of(tmp_path / name, name[2:])) == [{"id": "1", "text": "two\nlines"}]


def test_arrow_and_parquet(tmp_path):
    table = pa.Table.from_pylist([{"text": str(i)} for i in range(SAMPLE_RECORDS + 50)])
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as stream:
        stream.write_table(table)
    with pa.ipc.new_file(tmp_path / "b.arrow", table.schema) as file:
        file.write_table(table)
    expected = table.slice(0, SAMPLE_RECORDS).to_pylist()
    for name, kind in (("a.parquet", "parquet"), ("a.arrow", "hf"), ("b.arrow", "hf")):
        assert list(records_of(tmp_path / name, kind)) == expected, name


def test_a_beginning_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.first_records.SAMPLE_BYTES", 10)
    for suffix, pack in PACKED.items():
        (tmp_path / "a").write_bytes(pack(b"x" * 100))
        with open(tmp_path / "a", "rb") as stream:
            assert beginning(stream, suffix) == b"x" * 10, suffix
