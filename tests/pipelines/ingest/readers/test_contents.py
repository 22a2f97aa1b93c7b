"""A pointer, a page or an archive in the place of data is named for what it is; data are not taken for one."""

import gzip
import io
import tarfile

import pyarrow as pa
import pytest

from pipelines.ingest.readers import schema_error
from pipelines.ingest.readers.contents import disguise, is_plain_under_packed_name
from pipelines.ingest.readers.record import File, Unusable
from pipelines.ingest.readers.streams import is_text, packing_of
from tests.pipelines.inputs import FIELDS, good_rows, line_of, packed, records, write_packed, write_rows

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123456789\n"


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst", "a.parquet", "a.csv", "a.txt.gz", "a.arrow"])
def test_a_pointer_of_git_lfs_is_one_rejected_file(tmp_path, name):
    (tmp_path / name).write_bytes(POINTER)
    kind = {"jsonl": "jsonl", "parquet": "parquet", "csv": "csv", "txt": "text", "arrow": "hf"}[name.split(".")[1]]
    (only,) = records(tmp_path / name, kind)
    detail = "a pointer of Git LFS to 123,456,789 bytes, not the file; fetch it by: git lfs pull"
    assert (only.fault.reason, only.fault.detail, only.raw) == ("lfs_pointer", detail, POINTER)
    why = schema_error(kind, File(name, str(tmp_path / name)), FIELDS)
    assert why.reason == "lfs_pointer"


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a.jsonl"), io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("jsonl", b"<!DOCTYPE html><html>", "an HTML page"), ("csv", b" <!-- x -->\n<HTML lang=en>", "an HTML page"),
        ("parquet", b"<html>", "an HTML page"), ("jsonl", b'\xef\xbb\xbf<?xml version="1.0"?>', "an XML document"),
        ("jsonl", b"PAR1\0\0", "a Parquet file"), ("hf", b"PAR1\0\0", "a Parquet file"), ("parquet", b"ARROW1\0\0", "an Arrow file"),
        ("jsonl", b"PK\x03\x04\0", "a ZIP archive"), ("jsonl", archive(), "a tar archive"), ("parquet", gzip.compress(b"PAR1", mtime=0), "gzip content"),
        ("hf", packed(b"x", ".zst"), "zstd content"), ("csv", b"%PDF-1.7", "a PDF"), ("jsonl", b"SQLite format 3\0", "a SQLite database"),
        ("text", b"<html>", None), ("text", b"%PDF-", None), ("parquet", b"PAR1", None), ("hf", b"ARROW1", None),
        ("jsonl", line_of(1), None), ("csv", b"id,<html>", None), ("jsonl", b"", None), ("parquet", b"", None),
    ],
)  # fmt: skip
def test_what_is_no_data_is_named(kind, data, expected):
    why = disguise(kind, data, data)
    assert why is None if expected is None else (why.reason == "other_format" and why.detail.startswith(expected))


def test_a_packed_archive_or_page_is_named_too(tmp_path):
    for name, content in (("a.jsonl.gz", archive()), ("b.jsonl.xz", b"<html>")):
        (only,) = records(write_packed(tmp_path / name, content))
        assert only.fault.reason == "other_format"
    assert len(records(write_rows(tmp_path / "a.parquet", good_rows([1, 2])), "parquet")) == 2
    marked = '\ufeff{"text": "a"}'.encode("utf-16-be")
    (tmp_path / "c.jsonl").write_bytes(marked)
    assert [r.raw for r in records(tmp_path / "c.jsonl")] == [b'{"text": "a"}']


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"plain", True), ("é".encode()[:1], True), (b"", True), (b"\xe9a", False), (b"a\0", False), (b"\x1b[0m", False),
        (b"\t\r\n", True), ("a".encode("utf-16"), True),
    ],
)  # fmt: skip
def test_which_first_bytes_are_text(head, expected):
    assert is_text(head) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (packed(b"a", ".gz"), "gzip"), (packed(b"a", ".zst"), "zstd"), (packed(b"a", ".xz"), "xz"), (packed(b"a", ".bz2"), "bz2"),
        (packed(b"", ".bz2"), "bz2"), (b"\x50\x2a\x4d\x18", "zstd"), (b"\x5f\x2a\x4d\x18", "zstd"), (b"\x60\x2a\x4d\x18", None),
        (b"\x4f\x2a\x4d\x18", None), (b"BZh9 is a text", None), (b"", None),
    ],
)  # fmt: skip
def test_how_a_file_is_packed_is_told_by_its_first_bytes(head, expected):
    assert packing_of(head) == expected


def test_plain_text_is_noticed_only_under_the_name_of_a_compression(tmp_path):
    cases = {
        "a.gz": b"text",
        "b.gz": packed(b"text", ".gz"),
        "c.gz": b"",
        "d.gz": POINTER,
        "e.gz": b"\0",
        "f.txt": b"text",
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
    assert [name for name in cases if is_plain_under_packed_name(File(name, str(tmp_path / name)))] == ["a.gz"]
    assert not is_plain_under_packed_name(File("g.gz", str(tmp_path / "g.gz")))


def test_the_schema_of_a_page_is_its_page(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"<!doctype html>")
    assert isinstance(schema_error("csv", File("a.csv", str(tmp_path / "a.csv")), FIELDS), Unusable)
    path = write_rows(tmp_path / "b.parquet", {"content": pa.array(["a"])})
    assert schema_error("parquet", File("b.parquet", str(path)), FIELDS).reason == "text_missing"
