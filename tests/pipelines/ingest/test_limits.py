"""Small files that unpack to billions of blank lines or rejected records are read to a limit."""

import json
from collections import Counter

import pytest

from pipelines import ingest
from pipelines.ingest import limits, parsing
from pipelines.ingest.readers import streams
from pipelines.store import Store
from tests.pipelines.inputs import ingest_here, line_of, packed, records, rows, source, write_packed, write_rows

SIZES = ingest.Sizes(smallest_bytes=3000, largest_bytes=9000, small_file_bytes=1)
BLANK = {
    "a.jsonl.gz": b"\n" * 100_000, "b.jsonl.zst": b" \n\t" * 40_000, "c.json.xz": b"[" + b",\n" * 50_000, "d.csv.bz2": b"text\n" + b"\n" * 100_000,
    "e.tsv.gz": b"\r\n" * 60_000, "f.txt.gz": b"x" * 100_000, "g.jsonl.gz": b"x" * 100_000, "h.csv.gz": b'text\n"' + b"\n" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("name", BLANK)
def test_a_file_that_unpacks_to_nothing_is_read_to_a_limit(tmp_path, monkeypatch, name):
    monkeypatch.setattr(streams, "UNPACKED_BYTES", 50_000)
    monkeypatch.setattr(streams, "GZIP_FEED", 20)
    path = write_packed(tmp_path / name, BLANK[name])
    kind = {"csv": "csv", "tsv": "csv", "txt": "text"}.get(name.split(".")[1], "jsonl")
    *_, last = records(path, kind)
    assert last.fault.reason == "unpacks_too_far"
    assert last.fault.n_bytes is None or kind == "csv"
    monkeypatch.setattr(streams, "UNPACKED_BYTES", 200_000)
    assert all(r.fault is None or r.fault.reason != "unpacks_too_far" for r in records(path, kind))
    monkeypatch.setattr(streams, "UNPACKED_BYTES", 1)
    monkeypatch.setattr(streams, "UNPACKED_RATIO", 1_000_000)
    assert all(r.fault is None or r.fault.reason != "unpacks_too_far" for r in records(path, kind))


def test_records_do_not_count_as_nothing(tmp_path, monkeypatch):
    """A corpus of any size at any ratio is read, and what lies between its records counts over all of the file."""
    monkeypatch.setattr(streams, "UNPACKED_BYTES", 50_000)
    monkeypatch.setattr(streams, "GZIP_FEED", 20)
    line = json.dumps({"text": "word " * 100}).encode() + b"\n"
    path = write_packed(tmp_path / "a.jsonl.gz", line * 1000)
    assert len(records(path)) == 1000
    path = write_packed(tmp_path / "b.jsonl.gz", (line + b"\n" * 100) * 2000)
    *kept, last = records(path)
    assert last.fault.reason == "unpacks_too_far"
    assert 100 < len(kept) < 2000


def test_a_plain_file_of_blank_lines_is_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "UNPACKED_BYTES", 1)
    (record,) = records(write_packed(tmp_path / "a.jsonl", b"\n" * 100_000 + line_of(1)))
    assert (record.offset, record.fault) == (100_000, None)


@pytest.mark.parametrize("blank", [b"\n", b"\n\n\n\n\n\n\n\n", b" \r\n\n\n\n\n\n", b"\n\xef\xbb\xbf\n\n\n\n\n"])
def test_lines_between_blank_ones_keep_their_offsets(tmp_path, blank):
    lines = [line_of(i) if i % 3 else b"%d" % i for i in range(200)]
    data = b"".join(line + blank * (i % 90) + b"\n" for i, line in enumerate(lines))
    read = records(write_packed(tmp_path / "a.jsonl", data))
    assert [r.raw for r in read] == lines
    assert [data[r.offset : r.offset + len(r.raw)].removeprefix(b"\xef\xbb\xbf") for r in read if r.offset][
        5:
    ] == lines[6:]


def outcome(tmp_path, files, store="root", **changes):
    """The reasons by file, and the number of documents by file."""
    for name, data in files.items():
        write_packed(tmp_path / "in" / name, data)
    made = Store(tmp_path / store)
    documents, rejected = ingest_here(source(tmp_path / "in", **changes), made, SIZES)
    reasons = Counter((row["file"], row["reason"]) for row in rows(made, rejected))
    return reasons, Counter(row["file"] for row in rows(made, documents)), rows(made, rejected)


def test_a_file_of_rejected_records_is_read_to_a_limit_and_the_others_to_their_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SMALL_REJECTED", 50)
    good = b"".join(line_of(i) + b"\n" for i in range(300))
    files = {
        "a.jsonl.gz": b"x\n" * 20_000,
        "b.jsonl": good,
        "c.jsonl": b"x\n" * 2000,
        "d.jsonl.gz": (line_of(0) + b"\n") * 900 + b"x\n" * 800,
    }
    reasons, documents, rejected = outcome(tmp_path, files)
    assert documents == {"b.jsonl": 300, "d.jsonl.gz": 900}
    limit = 50 + len(packed(files["a.jsonl.gz"], "a.jsonl.gz"))
    assert limit < reasons["a.jsonl.gz", "not_json"] < limit + 120  # two chunks of 36 records
    assert reasons["a.jsonl.gz", "too_many_rejected"] == 1
    assert reasons["c.jsonl", "not_json"] == 2000  # not compressed
    assert reasons["d.jsonl.gz", "not_json"] == 800  # fewer than its documents
    (detail,) = {row["detail"] for row in rejected if row["reason"] == "too_many_rejected"}
    assert detail.endswith("records and 0 documents; the rest of the file was not read")
    assert outcome(tmp_path, {}, "again")[:2] == (reasons, documents)
    assert outcome(tmp_path, {})[:2] == (reasons, documents)  # from what was made before


def test_small_files_of_a_group_are_refused_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SMALL_REJECTED", 5)
    good = b"".join(line_of(i) + b"\n" for i in range(30))
    files = {f"{i}.jsonl.gz": b"x\n" * 3000 if i % 3 == 0 else good for i in range(9)}
    monkeypatch.setattr(
        "tests.pipelines.ingest.test_limits.SIZES", SIZES.model_copy(update={"small_file_bytes": 10_000})
    )
    reasons, documents, _ = outcome(tmp_path, files)
    assert documents == {name: 30 for i, name in enumerate(files) if i % 3}
    assert {file for file, reason in reasons if reason == "too_many_rejected"} == {f"{i}.jsonl.gz" for i in (0, 3, 6)}


def test_a_large_file_has_the_limit_of_records_and_one_of_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_REJECTED", 100)
    reasons, _, _ = outcome(tmp_path, {"a.jsonl": b"x\n" * 5000})
    assert 100 < reasons["a.jsonl", "not_json"] < 250
    monkeypatch.setattr(limits, "MAX_REJECTED", 1_000_000)
    monkeypatch.setattr(streams, "UNPACKED_BYTES", 20_000)
    monkeypatch.setattr(streams, "UNPACKED_RATIO", 0)
    reasons, _, rejected = outcome(tmp_path, {"a.jsonl": (b"x" * 3000 + b"\n") * 500}, "bytes")
    assert 6 < reasons["a.jsonl", "not_json"] < 20
    assert "bytes without a document" in next(row["detail"] for row in rejected if row["reason"] == "too_many_rejected")


def test_rows_of_null_in_a_small_table_are_read_to_a_limit(tmp_path, monkeypatch):
    import pyarrow as pa

    monkeypatch.setattr(limits, "SMALL_REJECTED", 10)
    path = write_rows(tmp_path / "in" / "a.parquet", {"text": pa.nulls(50_000, pa.string())}, 50_000)
    reasons, _, _ = outcome(tmp_path, {})
    assert reasons["a.parquet", "text_missing"] < path.stat().st_size + 200
    assert reasons["a.parquet", "too_many_rejected"] == 1


def test_heads_of_a_shard_are_bounded_and_counts_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(parsing, "HEADS_BYTES", 2000)
    lines = [b"%03d" % i + b"y" * 900 for i in range(40)]
    made = Store(tmp_path / "root")
    path = write_packed(tmp_path / "a.jsonl", b"\n".join(lines))
    _, rejected = ingest_here(source(path), made)
    got = rows(made, rejected)
    assert [len(row["head"]) for row in got] == [903] * 3 + [256] * 37
    assert all(line.startswith(row["head"]) and row["n_bytes"] == 903 for line, row in zip(lines, got, strict=True))
    assert len({row["record_hash"] for row in got}) == 40
