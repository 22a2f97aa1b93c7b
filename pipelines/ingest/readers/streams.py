"""The bytes of a file, decompressed and in UTF-8, block by block. The feeds bound memory at any compression ratio.

The first bytes of a file decide how it is packed and encoded; its name decides only where they are missing or damaged.
"""

import bz2
import codecs
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import zstandard

from pipelines.ingest.readers.record import File, Meter, Unusable
from pipelines.ingest.readers.system import raise_lack

BLOCK = 1 << 20
GZIP_FEED = 16 << 10  # decompresses to at most 17 MB, at a ratio of 1,032
ZSTD_FEED = 1 << 10  # decompresses to at most 33 MB: a block of 4 bytes can encode 128 KiB of one character
WRITE_BYTES = 8 << 10  # of the decompressor's buffer: a feed gives about 4 kB, and 64 kB each time cost a quarter more
XZ_MEMORY = 256 << 20  # of a decoder; `xz -9` needs 65 MiB
UNPACKED_BYTES = 1 << 30  # of a file, that become no record; blank lines take up to a minute
UNPACKED_RATIO = 10  # or times its size
HEAD = 4096  # bytes of a file that show what it is

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = zstandard.FRAME_HEADER
XZ_MAGIC = b"\xfd7zXZ\0"
BZ2_MAGIC = b"BZh"
BZ2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # after the level: a block, or the end of an empty stream

PACKINGS = {"gzip": (".gz",), "zstd": (".zst", ".zstd"), "xz": (".xz",), "bz2": (".bz2",)}  # -> its suffixes
MAGICS = {"gzip": GZIP_MAGIC, "zstd": ZSTD_MAGIC, "xz": XZ_MAGIC, "bz2": BZ2_MAGIC}
ENCODINGS = (  # byte order mark -> codec; that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def blocks(file: File) -> Iterator[bytes]:
    """The file's content, decompressed, and as UTF-8 where a mark says that it is UTF-16 or UTF-32.

    Raises:
        Unusable: the stream is truncated or corrupt, or unpacks too far. Everything before was yielded.
    """
    meter = file.meter or Meter()
    with open(file.path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        limit = unpacked_limit(size)
        for block in as_utf8(unpacked(stream, file)):
            yield block
            meter.n_bytes += len(block)
            if meter.n_bytes > limit:
                detail = f"{meter.n_bytes:,} bytes that are no record, of a file of {size:,}"
                raise Unusable("unpacks_too_far", detail)


def unpacked_limit(n_bytes: int) -> int:
    """How many bytes a file of `n_bytes` may unpack to that become no record."""
    return max(UNPACKED_BYTES, UNPACKED_RATIO * n_bytes)


def part_before(file: File, end: int) -> float:
    """About which part of the file as it lies on the disk holds the first `end` bytes of its content."""
    n, fed = 0, 0.0
    with open(file.path, "rb") as stream, suppress(Unusable):
        for block in as_utf8(unpacked(stream, file)):
            used = min(1.0, (end - n) / len(block)) if block else 1.0  # of a block that extends beyond `end`
            fed, n = fed + used * (stream.tell() - fed), n + len(block)
            if n >= end:
                break
    return min(1.0, fed / max(1, file.n_bytes))


def unpacked(stream: BinaryIO, file: File) -> Iterator[bytes]:
    """
    Raises:
        Unusable: as blocks().
    """
    head = stream.read(HEAD)
    stream.seek(0)
    packing = packing_of(head) or packing_by_name(head, file.name)
    if packing == "gzip":
        yield from gunzip(stream)
    elif packing == "zstd":
        yield from unzstd(stream, file.zstd_long)
    elif packing == "xz":
        yield from unpack_streams(stream, "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY))
    elif packing == "bz2":
        yield from unpack_streams(stream, "bz2", bz2.BZ2Decompressor)
    else:
        while block := stream.read(BLOCK):
            yield block


def packing_of(head: bytes) -> str | None:
    """How a file that begins with `head` is packed, by its magic number."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    if head.startswith(ZSTD_MAGIC) or (head[:1] >= b"\x50" and head[:1] < b"\x60" and head[1:4] == b"\x2a\x4d\x18"):
        return "zstd"  # or begins with a skippable frame
    if head.startswith(XZ_MAGIC):
        return "xz"
    return "bz2" if head.startswith(BZ2_MAGIC) and head[4:10] in BZ2_BLOCKS else None


def packing_by_suffix(name: str) -> str | None:
    lowered = name.lower()
    return next((packing for packing, suffixes in PACKINGS.items() if lowered.endswith(suffixes)), None)


def packing_by_name(head: bytes, name: str) -> str | None:
    """The packing that the name of a file without a magic number promises; None if its content is plain text."""
    packing = packing_by_suffix(name)
    return None if packing is None or (is_text(head) and not MAGICS[packing].startswith(head)) else packing


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are text: UTF-8 without control characters, or UTF-16 with a mark."""
    if head.startswith(tuple(mark for mark, _ in ENCODINGS)):
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # may end inside a character
    except UnicodeDecodeError:
        return False
    return not any(character < " " and character not in "\t\n\r\f\b" for character in text)


def as_utf8(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks in UTF-8 and without the mark, if they are UTF-16 or UTF-32 with a mark; else as they are.

    Half a surrogate pair becomes three bytes that are not UTF-8, so that only the record with it is rejected.

    Raises:
        Unusable: not_utf16: the content ends inside a character, or has a number that no character has.
    """
    head = b""
    try:
        while len(head) < 4 and (block := next(parts, None)) is not None:
            head += block
    except Unusable:
        yield head
        raise
    codec = next((codec for mark, codec in ENCODINGS if head.startswith(mark)), None)
    if codec is None:
        if head:
            yield head
        yield from parts
        return
    decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
    try:
        yield decoder.decode(head).encode("utf-8", "surrogatepass")
        for block in parts:
            yield decoder.decode(block).encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Unusable("not_utf16", f"{codec.upper()}, and {error.reason}") from None


def unpack_streams(stream: BinaryIO, packing: str, new: Callable[[], Any]) -> Iterator[bytes]:
    """The content of concatenated xz or bz2 streams, in blocks of at most BLOCK bytes.

    new: a decompressor with max_length, as those of lzma and bz2.

    Raises:
        Unusable: not_PACKING, truncated_PACKING, corrupt_PACKING or xz_memory.
    """
    magic, decompressor, n_streams, inside = MAGICS[packing], new(), 0, False
    while block := stream.read(GZIP_FEED):
        while block or (inside and not decompressor.needs_input):
            if not inside:
                block = block.lstrip(b"\0") if n_streams else block  # xz allows padding with zeros
                if not block:
                    break
                if not n_streams and not magic.startswith(block[: len(magic)]):
                    raise Unusable(f"not_{packing}", f"begins with {block[:2].hex()}, not {magic[:2].hex()}")
                inside = True
            out = decompressed(decompressor, block, packing, n_streams)
            if out:
                yield out
            block = b""
            if decompressor.eof:
                block, decompressor, inside, n_streams = decompressor.unused_data, new(), False, n_streams + 1
    if inside or not n_streams:
        raise Unusable(f"truncated_{packing}", f"in stream {n_streams} of the file")


def decompressed(decompressor: Any, block: bytes, packing: str, n_streams: int) -> bytes:
    """
    Raises:
        Unusable: corrupt_PACKING or xz_memory.
    """
    try:
        return decompressor.decompress(block, BLOCK)
    except (lzma.LZMAError, OSError, ValueError) as error:
        if "memory usage limit" in str(error).lower():
            raise Unusable("xz_memory", f"more than {XZ_MEMORY >> 20} MiB; pack it again with xz -9") from None
        raise Unusable(f"corrupt_{packing}", f"in stream {n_streams} of the file") from None


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


def unzstd(stream: BinaryIO, window_log: int) -> Iterator[bytes]:
    """
    window_log: base-2 logarithm of the widest window, which is memory.

    Raises:
        Unusable: not_zstd, truncated_zstd, corrupt_zstd or zstd_window.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << window_log)
    frame, header, n_frames = decompressor.decompressobj(write_size=WRITE_BYTES), b"", 0
    while block := stream.read(ZSTD_FEED):
        while block:
            header = (header + block[:18])[:18]
            try:
                out = frame.decompress(block)
            except zstandard.ZstdError as error:
                raise_lack(error, stream.name)
                raise zstd_error(header, n_frames, window_log) from None
            if out:
                yield out
            block = b""
            if frame.eof:
                block, n_frames, header = frame.unused_data, n_frames + 1, b""
                frame = decompressor.decompressobj(write_size=WRITE_BYTES)
    if header or not n_frames:
        raise Unusable("truncated_zstd", f"in frame {n_frames} of the file")


def zstd_error(header: bytes, n_frames: int, window_log: int) -> Unusable:
    """Why a frame that starts with `header` can't be decompressed."""
    if n_frames == 0 and packing_of(header) != "zstd":
        return Unusable("not_zstd", f"begins with {header[:4].hex()}, not {ZSTD_MAGIC.hex()}")
    try:
        params = zstandard.get_frame_parameters(header)
    except zstandard.ZstdError:
        params = None
    if params and params.window_size > 1 << window_log:
        log = (params.window_size - 1).bit_length()  # at most 31: zstd refuses wider windows as corrupt
        return Unusable("zstd_window", f"needs {params.window_size >> 20:,} MiB; set the source's zstd_long to {log}")
    if params and params.dict_id:
        return Unusable("corrupt_zstd", f"frame {n_frames} of the file needs a dictionary; pack it again without one")
    return Unusable("corrupt_zstd", f"in frame {n_frames} of the file")
