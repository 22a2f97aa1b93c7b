"""About how much of a file lies before a record of it."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import zstandard

from pipelines.ingest.readers.record import File, Record

BLOCK_BYTES = 16 << 10
WIDEST = 1 << 31  # bytes of a window, as zstd --long=31 needs


def part_before(kind: str, file: File, record: Record, n_bytes: int) -> float:
    """About which part of the file ends with the record: by rows, or by bytes as they lie packed.

    n_bytes: of the file's raw records up to this one; where an offset is a row, these are its part of an Arrow file.
    """
    if kind == "hf":
        return min(1.0, n_bytes / max(1, file.n_bytes))
    if kind == "parquet":
        return (record.offset + 1) / pq.read_metadata(file.path).num_rows
    end, unpacked, fed = record.offset + len(record.raw), 0, 0.0
    with open(file.path, "rb") as stream:
        unpack = unpacker(stream.peek(6)[:6])  # type: ignore[attr-defined]  # a buffered reader has it
        while unpacked < end and (block := stream.read(BLOCK_BYTES)):
            try:
                n = len(unpack(block))
            except (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError):
                break  # damaged from here on: the reader has said so
            used = min(1.0, (end - unpacked) / n) if n else 1.0  # of a block that goes beyond the record
            fed, unpacked = fed + used * len(block), unpacked + n
    return min(1.0, fed / max(1, file.n_bytes))


def unpacker(magic: bytes) -> Callable[[bytes], bytes]:
    """What unpacks a file block by block, by its first bytes; a file of another kind stays as it is."""
    if magic.startswith(b"\x1f\x8b"):
        return across_members(lambda: zlib.decompressobj(wbits=31))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        decompressor = zstandard.ZstdDecompressor(max_window_size=WIDEST)
        return decompressor.decompressobj(read_across_frames=True).decompress
    if magic.startswith(b"\xfd7zXZ\x00"):
        return across_members(lzma.LZMADecompressor)
    if magic.startswith(b"BZh"):
        return across_members(bz2.BZ2Decompressor)
    return bytes


def across_members(begin: Callable[[], Any]) -> Callable[[bytes], bytes]:
    """Unpack a file of one or more members after each other."""
    member = begin()

    def unpack(block: bytes) -> bytes:
        nonlocal member
        data = member.decompress(block)
        while member.eof and member.unused_data:
            rest, member = member.unused_data, begin()
            data += member.decompress(rest)
        return data

    return unpack
