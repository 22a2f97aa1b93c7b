"""Bytes are unpacked to the last whole one, in bounded memory, wherever blocks end."""

import gzip
import json
import random
import zlib
from collections.abc import Iterator

import pytest
import zstandard

from pipelines.ingest.readers import records_of, streams
from pipelines.ingest.readers.record import File, hash_of
from tests.pipelines.inputs import FIELDS, line_of, packed, records


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
    unpacked = list(zlib_bytewise(data)) if name.endswith(".gz") else []
    for stop in range(len(data)):
        (tmp_path / name).write_bytes(data[:stop])
        *kept, last = records(tmp_path / name)
        assert [k.raw for k in kept] == lines[: len(kept)]
        assert last.fault.reason == ("truncated_gzip" if name.endswith(".gz") else "truncated_zstd")
        assert last.fault.n_bytes is None
        if name.endswith(".gz"):
            whole = unpacked[stop]
            assert len(kept) == whole.count(b"\n")
            assert last.raw == whole.rpartition(b"\n")[2]
            assert last.fault.record_hash == hash_of(last.raw)


def zlib_bytewise(data: bytes) -> Iterator[bytes]:
    """All that zlib gives of the first 0, 1, 2, ... bytes."""
    out, member = b"", zlib.decompressobj(zlib.MAX_WBITS | 16)
    for byte in data:
        yield out
        out += member.decompress(bytes([byte]))


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


@pytest.mark.parametrize("packing", ["", ".gz", ".zst", ".xz", ".bz2"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.jsonl.xz", "a.jsonl.bz2"])
def test_the_first_bytes_decide_and_not_the_name(tmp_path, packing, name):
    lines = [line_of(i) for i in range(50)]
    (tmp_path / name).write_bytes(packed(b"\n".join(lines), f"a{packing}"))
    assert [r.raw for r in records(tmp_path / name)] == lines


@pytest.mark.parametrize("packing", ["xz", "bz2"])
def test_streams_of_xz_and_bz2_follow_one_another(tmp_path, packing):
    lines = [line_of(i) for i in range(400)]
    data = b"\n".join(lines)
    parts = [data[:100], data[100:333], b"", data[333:]]
    whole = b"".join(packed(part, f"a.{packing}") for part in parts)
    path = tmp_path / f"a.jsonl.{packing}"
    path.write_bytes(whole + (b"\0" * 8 if packing == "xz" else b""))
    assert [(r.raw, r.fault) for r in records(path)] == [(line, None) for line in lines]
    for stop in range(0, len(whole), 7):
        path.write_bytes(whole[:stop])
        *kept, last = records(path)
        assert [r.raw for r in kept] == lines[: len(kept)]
        assert stop == 0 or last.fault is None or last.fault.reason == f"truncated_{packing}"


@pytest.mark.parametrize("packing", ["xz", "bz2"])
def test_xz_and_bz2_that_unpack_to_much_more_are_never_held(tmp_path, packing):
    path = tmp_path / f"a.{packing}"
    path.write_bytes(packed(b"\0" * (64 << 20), path.name))
    lengths = [len(block) for block in streams.blocks(File(path.name, str(path)))]
    assert sum(lengths) == 64 << 20
    assert max(lengths) <= streams.BLOCK


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("block", [1, 2, 3, 5, 1 << 20])
def test_utf_16_and_32_become_utf_8(tmp_path, monkeypatch, codec, block):
    monkeypatch.setattr(streams, "BLOCK", block)
    text = "\ufeff" + "".join(f"{json.dumps({'text': f'naïve 漢字 😀 {i}'}, ensure_ascii=False)}\n" for i in range(9))
    path = tmp_path / "a.jsonl"
    path.write_bytes(text.encode(codec))
    assert b"".join(r.raw + b"\n" for r in records(path)) == text[1:].encode()
    path.write_bytes(text.encode(codec)[:-1])
    *kept, last = records(path)
    assert (len(kept), last.fault.reason) == (8, "not_utf16")


def test_half_a_surrogate_pair_costs_one_record(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes('\ufeff{"text": "a"}\n{"text": "\ud800"}\n{"text": "b"}\n'.encode("utf-16-le", "surrogatepass"))
    assert [r.raw for r in records(path)] == [b'{"text": "a"}', b'{"text": "\xed\xa0\x80"}', b'{"text": "b"}']


def test_a_wide_window_is_allowed_by_the_source(tmp_path):
    params = zstandard.ZstdCompressionParameters(window_log=28)
    squeeze = zstandard.ZstdCompressor(compression_params=params).compressobj()
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(squeeze.compress(line_of(1)) + squeeze.flush())
    for log, expected in ((28, None), (27, "needs 256 MiB; set the source's zstd_long to 28")):
        (record,) = records_of("jsonl", File("a", str(path), zstd_long=log), FIELDS)
        assert (record.fault and record.fault.detail) == expected


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".xz", ".bz2"])
def test_the_part_of_a_file_before_a_byte_of_its_content(tmp_path, suffix):
    data = random.Random(1).randbytes(3 << 20).hex().encode()
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(packed(data, path.name))
    file = File(path.name, str(path), path.stat().st_size)
    for share in (0.1, 0.5, 1.0):
        assert streams.part_before(file, int(share * len(data))) == pytest.approx(share, abs=0.05)
