"""The bytes of a file, decompressed block by block. GZIP_FEED and ZSTD_FEED bound memory at any compression ratio."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import zstandard

from pipelines.ingest.readers.record import Unusable
from pipelines.ingest.readers.system import raise_lack

BLOCK = 1 << 20
GZIP_FEED = 16 << 10  # decompresses to at most 17 MB, at a ratio of 1,032
ZSTD_FEED = 1 << 10  # decompresses to at most 33 MB: a block of 4 bytes can encode 128 KiB of one character
WRITE_BYTES = 8 << 10  # of the decompressor's buffer: a feed gives about 4 kB, and 64 kB each time cost a quarter more

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = zstandard.FRAME_HEADER
MAX_WINDOW = 128 << 20


def blocks(path: str, name: str) -> Iterator[bytes]:
    """The file's bytes, decompressed if `name` ends in .gz, .zst or .zstd. Members and frames are concatenated.

    Raises:
        Unusable: the stream is truncated or corrupt. Everything that could be decompressed was yielded before.
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
    member, in_member, n_members = zlib.decompressobj(wbits=31), False, 0
    while block := stream.read(GZIP_FEED):
        if not in_member and n_members:
            block = block.lstrip(b"\0")  # tapes and some writers pad with zeros
        elif not in_member and not GZIP_MAGIC.startswith(block[:2]):
            raise Unusable("not_gzip", f"begins with {block[:2].hex()}, not {GZIP_MAGIC.hex()}")
        while block:
            before_block, in_member = member.copy(), True
            try:
                out = member.decompress(block)
            except zlib.error as error:
                raise_lack(error, stream.name)
                yield salvage(before_block, block)
                raise Unusable("corrupt_gzip", f"in member {n_members} of the file") from None
            if out:
                yield out
            block = b""
            if member.eof:
                block = member.unused_data.lstrip(b"\0")
                member, in_member, n_members = zlib.decompressobj(wbits=31), False, n_members + 1
    if in_member or not n_members:
        raise Unusable("truncated_gzip", f"in member {n_members} of the file")


def salvage(member: "zlib._Decompress", block: bytes) -> bytes:
    """The decompressed bytes of a corrupt block up to the corruption."""
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
    decompressor = zstandard.ZstdDecompressor()
    frame, header, n_frames = decompressor.decompressobj(write_size=WRITE_BYTES), b"", 0
    while block := stream.read(ZSTD_FEED):
        while block:
            header = (header + block[:18])[:18]
            try:
                out = frame.decompress(block)
            except zstandard.ZstdError as error:
                raise_lack(error, stream.name)
                raise zstd_error(header, n_frames) from None
            if out:
                yield out
            block = b""
            if frame.eof:
                block, n_frames, header = frame.unused_data, n_frames + 1, b""
                frame = decompressor.decompressobj(write_size=WRITE_BYTES)
    if header or not n_frames:
        raise Unusable("truncated_zstd", f"in frame {n_frames} of the file")


def zstd_error(header: bytes, n_frames: int) -> Unusable:
    """Why a frame that starts with `header` can't be decompressed."""
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
