"""Bytes are unpacked to the last whole one, in bounded memory, wherever blocks end."""

import gzip
import io
import json
import random

import pytest
import zstandard

from pipelines.ingest.readers import streams
from pipelines.ingest.readers.record import File, hash_of
from tests.pipelines.inputs import line_of, packed, records


def test_members_and_frames_follow_one_another(tmp_path):
    lines = [line_of(i) + b"\n" for i in range(9)]
    cut_anywhere = [b"".join(lines)[:100], b"".join(lines)[100:333], b"", b"".join(lines)[333:]]
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    files = {
        "a.jsonl.gz": b"".join(gzip.compress(part) for part in cut_anywhere) + b"\0" * 40_000,
        "a.jsonl.zst": skippable + b"".join(zstandard.compress(part) for part in cut_anywhere) + skippable,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert [r.raw + b"\n" for r in records(tmp_path / name)] == lines, name


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_stream_cut_anywhere_keeps_what_was_whole(tmp_path, name):
    """Cut after each of its bytes: what is kept is a prefix, and of gzip all that zlib gives byte by byte."""
    r = random.Random(1)
    lines = [json.dumps({"text": "".join(r.choices("abcdefgh \n", k=60))}).encode() for _ in range(40)]
    data = packed(b"".join(line + b"\n" for line in lines), name)
    for stop in range(len(data)):
        (tmp_path / name).write_bytes(data[:stop])
        *kept, last = records(tmp_path / name)
        assert [k.raw for k in kept] == lines[: len(kept)]
        assert last.fault.reason == ("truncated_gzip" if name.endswith(".gz") else "truncated_zstd")
        assert last.fault.n_bytes is None
        if name.endswith(".gz"):
            whole = zlib_bytewise(data[:stop])
            assert len(kept) == whole.count(b"\n")
            assert last.raw == whole.rpartition(b"\n")[2]
            assert last.fault.record_hash == hash_of(last.raw)


def zlib_bytewise(data: bytes) -> bytes:
    out = b""
    stream = gzip.GzipFile(fileobj=io.BytesIO(data))
    try:
        while byte := stream.read(1):
            out += byte
    except (EOFError, gzip.BadGzipFile):  # one byte is not even a header
        pass
    return out


def test_what_a_fault_in_gzip_follows_is_kept(tmp_path):
    lines = [line_of(i) for i in range(200)]
    data = bytearray(packed(b"".join(line + b"\n" for line in lines), "a.jsonl.gz"))
    data[-6] ^= 1  # of the checksum
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    *kept, last = records(tmp_path / "a.jsonl.gz")
    assert [k.raw for k in kept] == lines
    assert (last.fault.reason, last.raw) == ("corrupt_gzip", b"")


def test_what_unpacks_to_much_more_is_never_held(tmp_path):
    """300 MB of one character in a few kilobytes: a block of unpacked bytes stays below 34 MB."""
    chunk = b"\0" * (1 << 20)
    zst = zstandard.ZstdCompressor().compressobj()
    (tmp_path / "a.zst").write_bytes(b"".join(zst.compress(chunk) for _ in range(300)) + zst.flush())
    gz = gzip.compress(b"\0" * (64 << 20))
    (tmp_path / "a.gz").write_bytes(gz)
    for name, size in (("a.zst", 300 << 20), ("a.gz", 64 << 20)):
        lengths = [len(block) for block in streams.blocks(File(name, str(tmp_path / name)))]
        assert sum(lengths) == size
        assert max(lengths) < 34 << 20
