"""What the messages of an Arrow IPC file decompress to, read before Arrow allocates it.

Arrow allocates what the first 8 bytes of a compressed buffer claim: in a damaged file terabytes, and the failure reads as a
lack of memory. A message is a length, a FlatBuffers table and a body; a file of Arrow IPC has a list of its messages at its
end.

Source: format/Message.fbs, File.fbs and Schema.fbs in apache/arrow; "Internals" on flatbuffers.dev.
"""

import os
import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from pipelines.ingest.readers.record import Unusable

MAX_BATCH_BYTES = 4 << 30  # decompressed; pandas writes batches of 65,536 rows, of long books more than 1 GiB
MAX_RATIO = 1 << 15  # of a buffer: a block of zstd with 4 bytes can encode 128 KiB
SLACK_BYTES = 1 << 17  # of a buffer, beyond this ratio
MAX_METADATA_BYTES = 1 << 28  # of one message: 100,000 columns have 10 MB
MAGIC = b"ARROW1"
CONTINUES = 0xFFFFFFFF  # before the length of a message; absent before Arrow 0.15
SCHEMA, DICTIONARY, BATCH = 1, 2, 3  # MessageHeader
OLD_COMPRESSION = b"ARROW:experimental_compression"  # in the metadata of a message by Arrow 0.17
ENDIANNESS = {"little": 0, "big": 1}[sys.byteorder]


class Table(NamedTuple):
    """A table of FlatBuffers: its bytes, and where it begins."""

    data: bytes
    at: int

    def place(self, field: int) -> int | None:
        """Where the value of a field is; None if it is absent."""
        vtable = self.at - integer("<i", self.data, self.at)
        n = integer("<H", self.data, vtable)
        offset = integer("<H", self.data, vtable + 4 + 2 * field) if 4 + 2 * field < n else 0
        return self.at + offset if offset else None

    def number(self, field: int, kind: str) -> int:
        """An integer; 0 if it is absent."""
        place = self.place(field)
        return 0 if place is None else integer(kind, self.data, place)

    def table(self, field: int) -> "Table | None":
        place = self.place(field)
        return None if place is None else Table(self.data, place + integer("<I", self.data, place))

    def structs(self, field: int, kind: str) -> list[tuple[int, ...]]:
        """A list of structs of one layout."""
        place = self.place(field)
        if place is None:
            return []
        start = place + integer("<I", self.data, place)
        n, size = integer("<I", self.data, start), struct.calcsize(kind)
        if start + 4 + n * size > len(self.data):
            raise pa.ArrowInvalid("a list of a message is out of bounds")
        return list(struct.iter_unpack(kind, self.data[start + 4 : start + 4 + n * size]))


def integer(kind: str, data: bytes, at: int) -> int:
    """
    Raises:
        ArrowInvalid: the data end before it.
    """
    if not 0 <= at <= len(data) - struct.calcsize(kind):
        raise pa.ArrowInvalid("a field of a message is out of bounds")
    return int(struct.unpack_from(kind, data, at)[0])


class Message(NamedTuple):
    header: int  # MessageHeader
    table: Table  # of the header
    body: int  # where the body begins in the file
    n_bytes: int  # of the body
    is_old: bool  # compressed as Arrow 0.17 did


def checked_batches(stream: BinaryIO) -> Iterator[int]:
    """The rows of each record batch, after its message and the dictionaries before it were checked.

    Raises:
        ArrowInvalid: the messages are damaged.
        Unusable: page_too_large.
    """
    is_file = stream.read(len(MAGIC)) == MAGIC
    for message in messages_of_file(stream) if is_file else messages_of_stream(stream):
        if message.header == SCHEMA:
            check_endianness(message.table)
        elif message.header in (DICTIONARY, BATCH):
            check_sizes(message, stream)
        if message.header == BATCH:
            yield max(0, message.table.number(0, "<q"))


def messages_of_stream(stream: BinaryIO) -> Iterator[Message]:
    at = 0
    while (message := message_at(stream, at)) is not None:
        yield message
        at = message.body + message.n_bytes


def messages_of_file(stream: BinaryIO) -> Iterator[Message]:
    """By the footer: all dictionaries, then the batches."""
    size = stream.seek(0, 2)
    tail = bytes_at(stream, size - 10, 10)
    n_footer = integer("<I", tail, 0)
    if n_footer > min(size, MAX_METADATA_BYTES):
        raise pa.ArrowInvalid("the footer is longer than the file")
    data = bytes_at(stream, size - 10 - n_footer, n_footer)
    footer = Table(data, integer("<I", data, 0))
    if schema := footer.table(1):
        check_endianness(schema)
    for field in (2, 3):
        for at, n_metadata, _, n_bytes in footer.structs(field, "<qiiq"):
            message = message_at(stream, at)
            if message is None:
                raise pa.ArrowInvalid("the footer names a message that is missing")
            yield message._replace(body=at + n_metadata, n_bytes=n_bytes)


def message_at(stream: BinaryIO, at: int) -> Message | None:
    """The message that begins at this byte; None at the end of the stream."""
    prefix = bytes_at(stream, at, 8, may_end=True)
    if len(prefix) < 4:
        return None
    n, n_prefix = integer("<I", prefix, 0), 4
    if n == CONTINUES:
        n, n_prefix = integer("<I", prefix, 4), 8
    if n == 0:
        return None
    if n > MAX_METADATA_BYTES:
        raise pa.ArrowInvalid("the length of a message is out of bounds")
    data = bytes_at(stream, at + n_prefix, n)
    message = Table(data, integer("<I", data, 0))
    header, n_bytes = message.table(2), message.number(3, "<q")
    if header is None or n_bytes < 0:
        raise pa.ArrowInvalid("a message without a header, or of a negative length")
    return Message(message.number(1, "<B"), header, at + n_prefix + n, n_bytes, OLD_COMPRESSION in data)


def bytes_at(stream: BinaryIO, at: int, n: int, may_end: bool = False) -> bytes:
    """
    Raises:
        ArrowInvalid: the file ends before.
    """
    if not 0 <= at <= os.fstat(stream.fileno()).st_size:  # seek() refuses what no file can have
        raise pa.ArrowInvalid("a message is outside of the file")
    stream.seek(at)
    data = stream.read(n)
    if len(data) < n and not may_end:
        raise pa.ArrowInvalid("the file ends inside a message")
    return data


def check_endianness(schema: Table) -> None:
    """
    Raises:
        ArrowInvalid: Arrow would exchange bytes of buffers that nobody has checked.
    """
    if schema.number(0, "<h") != ENDIANNESS:
        raise pa.ArrowInvalid("the bytes of its numbers are in the order of another machine")


def check_sizes(message: Message, stream: BinaryIO) -> None:
    """
    Raises:
        ArrowInvalid: a buffer outside of the body, or one that cannot decompress to what it claims.
        Unusable: page_too_large.
    """
    batch = message.table if message.header == BATCH else message.table.table(1)
    if batch is None:
        raise pa.ArrowInvalid("a dictionary without values")
    is_compressed, total = message.is_old or batch.place(3) is not None, 0
    for offset, n_bytes in batch.structs(2, "<qq"):
        if offset < 0 or n_bytes < 0 or offset > message.n_bytes - n_bytes:
            raise pa.ArrowInvalid("a buffer is outside of its message")
        if is_compressed and n_bytes:
            claim = struct.unpack("<q", bytes_at(stream, message.body + offset, 8))[0]
            if claim < -1 or claim > MAX_RATIO * n_bytes + SLACK_BYTES:
                raise pa.ArrowInvalid("a buffer claims to decompress to more than it can")
            total += n_bytes if claim == -1 else claim
    if total > MAX_BATCH_BYTES:
        raise Unusable(
            "page_too_large",
            f"a batch decompresses to {total:,} bytes, more than {MAX_BATCH_BYTES:,}; write the file again with smaller batches",
        )
