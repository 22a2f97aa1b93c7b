"""The bytes of a file, unpacked, block by block. Memory is bounded whatever was packed: see FEED."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import zstandard

from pipelines.ingest.readers.record import Unusable

BLOCK = 1 << 20
GZIP_FEED = 16 << 10  # unpacks to at most 17 MB, at 1,032 : 1
ZSTD_FEED = 1 << 10  # unpacks to at most 33 MB: a block of 4 bytes can hold 128 KiB of one character

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = zstandard.FRAME_HEADER
MAX_WINDOW = 128 << 20


def blocks(path: str, name: str) -> Iterator[bytes]:
    """The file's bytes, unpacked where `name` ends in .gz, .zst or .zstd. Members and frames follow one another.

    Raises:
        Unusable: the stream breaks off or is damaged; all that could be unpacked before was yielded.
    """
    with open(path, "rb") as stream:
        if name.lower().endswith(".gz"):
            yield from gunzip(stream)
        elif name.lower().endswith((".zst", ".zstd")):
            yield from unzstd(stream)
        else:
            while block := stream.read(BLOCK):
                yield block


def gunzip(stream: BinaryIO) -> Iterator[bytes]:
    """
    Raises:
        Unusable: not_gzip, truncated_gzip or corrupt_gzip.
    """
    member, inside, n_members = zlib.decompressobj(wbits=31), False, 0
    while block := stream.read(GZIP_FEED):
        if not inside and n_members:
            block = block.lstrip(b"\0")  # tapes and some writers pad with zeros
        elif not inside and not GZIP_MAGIC.startswith(block[:2]):
            raise Unusable("not_gzip", f"begins with {block[:2].hex()}, not {GZIP_MAGIC.hex()}")
        while block:
            before, inside = member.copy(), True
            try:
                out = member.decompress(block)
            except zlib.error:
                yield salvage(before, block)
                raise Unusable("corrupt_gzip", f"in member {n_members} of the file") from None
            if out:
                yield out
            block = b""
            if member.eof:
                block = member.unused_data.lstrip(b"\0")
                member, inside, n_members = zlib.decompressobj(wbits=31), False, n_members + 1
    if inside or not n_members:
        raise Unusable("truncated_gzip", f"in member {n_members} of the file")


def salvage(member: "zlib._Decompress", block: bytes) -> bytes:
    """What a block with a fault in it unpacks to before the fault."""
    out = b""
    with suppress(zlib.error):
        for i in range(len(block)):
            out += member.decompress(block[i : i + 1])
    return out


def unzstd(stream: BinaryIO) -> Iterator[bytes]:
    """
    Raises:
        Unusable: not_zstd, truncated_zstd, corrupt_zstd or zstd_window.
    """
    unpacker = zstandard.ZstdDecompressor()
    frame, header, n_frames = unpacker.decompressobj(write_size=64 << 10), b"", 0
    while block := stream.read(ZSTD_FEED):
        while block:
            header = (header + block[:18])[:18]
            try:
                out = frame.decompress(block)
            except zstandard.ZstdError:
                raise why_not_zstd(header, n_frames) from None
            if out:
                yield out
            block = b""
            if frame.eof:
                block, n_frames, header = frame.unused_data, n_frames + 1, b""
                frame = unpacker.decompressobj(write_size=64 << 10)
    if header or not n_frames:
        raise Unusable("truncated_zstd", f"in frame {n_frames} of the file")


def why_not_zstd(header: bytes, n_frames: int) -> Unusable:
    """Why a frame that begins with `header` can't be unpacked."""
    if n_frames == 0 and not header.startswith(ZSTD_MAGIC) and header[1:4] != b"\x2a\x4d\x18":
        return Unusable("not_zstd", f"begins with {header[:4].hex()}, not {ZSTD_MAGIC.hex()}")
    try:
        params = zstandard.get_frame_parameters(header)
    except zstandard.ZstdError:
        params = None
    if params and params.window_size > MAX_WINDOW:
        size = params.window_size >> 20
        return Unusable("zstd_window", f"needs {size:,} MiB; pack it again without --long or --ultra")
    if params and params.dict_id:
        return Unusable("corrupt_zstd", f"frame {n_frames} of the file needs a dictionary; pack it again without one")
    return Unusable("corrupt_zstd", f"in frame {n_frames} of the file")
