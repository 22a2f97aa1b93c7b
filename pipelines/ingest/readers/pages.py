"""The headers of Parquet pages: what the pages of a column decode to, read before any of them is decompressed.

pyarrow gives the sizes of a column chunk and none of its pages, and of a damaged chunk it ends the process: the exception
of its C++ is not caught. So the footer is read here too. Both are Thrift structs in the compact protocol.

Source: parquet.thrift in apache/parquet-format, PageHeader and FileMetaData; doc/specs/thrift-compact-protocol.md in apache/thrift.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa

LARGEST_FILE = 1 << 43  # of ext4: an offset beyond is damaged, and seek() refuses it
HEADER_BYTES = 1 << 14  # a header is 20 to 100 bytes, and statistics of at most twice 4 kB
DATA, DICTIONARY, DATA_V2 = 0, 2, 3  # PageType
PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 2, 7, 8  # Encoding

BOOLEANS, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = (
    (1, 2),
    3,
    (4, 5, 6),
    7,
    8,
    (9, 10),
    12,
)  # of the compact protocol
ROW_GROUPS = 4  # field of FileMetaData
TAIL_BYTES = 8  # the length of the footer, and the magic number


class Chunk(NamedTuple):
    """A column chunk, as pq.ColumnChunkMetaData."""

    path_in_schema: str
    num_values: int
    total_compressed_size: int
    data_page_offset: int
    dictionary_page_offset: int | None


class RowGroup(NamedTuple):
    n_rows: int
    chunks: list[Chunk]


@dataclass(frozen=True)
class Pages:
    """The pages of a column chunk, up to the first whose header cannot be read.

    Attributes:
        dictionary_bytes: of the dictionary page when decompressed; 0 if there is none.
        largest_bytes: of the largest page when decompressed.
        n_values: [p] int64 values of each data page, NULL included.
        n_bytes: [p] int64 bytes of each data page when decompressed.
        encodings: [p] int64.
    """

    dictionary_bytes: int
    largest_bytes: int
    n_values: np.ndarray
    n_bytes: np.ndarray
    encodings: np.ndarray

    def decoded(self, longest: int) -> np.ndarray:
        """[p] float64: the most bytes that the mean value of each page decodes to.

        longest: bytes of the longest value of the dictionary.
        """
        of_page = self.n_bytes / np.maximum(1, self.n_values)
        from_dictionary = np.isin(self.encodings, (PLAIN_DICTIONARY, RLE_DICTIONARY))
        grown = np.where(self.encodings == DELTA_BYTE_ARRAY, self.n_bytes, of_page)  # a value may repeat all before it
        return np.where(from_dictionary, longest, grown)


def row_groups(stream: BinaryIO, names: Sequence[str]) -> list[RowGroup]:
    """The row groups of a file, each with the chunks of the columns `names`. Holds one row group as Python objects.

    Raises:
        ArrowInvalid: the footer is damaged.
    """
    size = stream.seek(0, 2)
    stream.seek(max(0, size - TAIL_BYTES))
    n_footer = int.from_bytes(stream.read(4), "little")
    stream.seek(max(0, size - TAIL_BYTES - n_footer))
    data, prefixes = stream.read(n_footer), tuple(f"{name}." for name in names)
    groups: list[RowGroup] = []
    try:
        at, number = 0, 0
        while data[at]:
            number, kind, at = field(data, at, number)
            if number != ROW_GROUPS:
                _, at = value(data, at, kind)
                continue
            _, n_groups, at = list_header(data, at)
            for _ in range(n_groups):
                group, at = struct(data, at)
                chunks = [chunk_of(column) for column in group[1]]
                own = [chunk for chunk in chunks if f"{chunk.path_in_schema}.".startswith(prefixes)]
                groups.append(RowGroup(int(group[3]), own))
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise pa.ArrowInvalid("the footer is damaged") from None
    return groups


def chunk_of(column: dict[int, Any]) -> Chunk:
    """A ColumnChunk. Raises as the parser does."""
    about = column[3]
    path = ".".join(part.decode() for part in about[3])
    dictionary = about.get(11)
    return Chunk(path, int(about[5]), int(about[7]), int(about[9]), None if dictionary is None else int(dictionary))


def pages_of(stream: BinaryIO, chunk: Chunk) -> Pages:
    """The pages of a column chunk. Reads their headers."""
    dictionary, largest, rows = 0, 0, []
    for kind, n_bytes, n_values, encoding in headers(stream, chunk):
        largest = max(largest, n_bytes)
        if kind == DICTIONARY:
            dictionary = n_bytes
        elif kind in (DATA, DATA_V2):
            rows.append((n_values, n_bytes, encoding))
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return Pages(dictionary, largest, *columns)


def headers(stream: BinaryIO, chunk: Chunk) -> Iterator[tuple[int, int, int, int]]:
    """(PageType, bytes when decompressed, values, Encoding) of each page; ends early at a header that is damaged."""
    place, todo = chunk.data_page_offset, chunk.num_values
    if chunk.dictionary_page_offset is not None:
        place = min(place, chunk.dictionary_page_offset)
    end = place + chunk.total_compressed_size
    while todo > 0 and 0 <= place < min(end, LARGEST_FILE):
        stream.seek(place)
        try:
            header, n_header = struct(stream.read(HEADER_BYTES), 0)
            kind, n_bytes, compressed = (int(header[i]) for i in (1, 2, 3))
            about = header[{DATA: 5, DICTIONARY: 7, DATA_V2: 8}[kind]] if kind in (DATA, DICTIONARY, DATA_V2) else {}
            n_values, encoding = int(about.get(1, 0)), int(about.get(4 if kind == DATA_V2 else 2, 0))
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
            return
        if not all(0 <= n < 1 << 31 for n in (kind, n_bytes, compressed, n_values, encoding)):
            return
        yield kind, n_bytes, n_values, encoding
        todo -= n_values if kind != DICTIONARY else 0
        place += n_header + compressed


def struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by number, and where it ends.

    Raises:
        IndexError: the data end inside the struct.
        ValueError: a type that Parquet does not use.
    """
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        number, kind, at = field(data, at, number)
        fields[number], at = value(data, at, kind)
    return fields, at + 1


def field(data: bytes, at: int, last: int) -> tuple[int, int, int]:
    """The number and the type of a field after field `last`, and where its value begins."""
    delta, kind = data[at] >> 4, data[at] & 15
    if delta:
        return last + delta, kind, at + 1
    number, at = integer(data, at + 1)
    return number, kind, at


def value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    """A value of a field or, of a type other than the booleans, of a list; and where it ends. Bytes and doubles are left out."""
    if kind in BOOLEANS:
        return kind == BOOLEANS[0], at
    if kind in (BYTE, DOUBLE):
        return None, at + (1 if kind == BYTE else 8)
    if kind in INTEGERS:
        return integer(data, at)
    if kind == BINARY:
        n_bytes, at = varint(data, at)
        return data[at : at + n_bytes], at + n_bytes
    return struct(data, at) if kind == STRUCT else items(data, at, kind)


def items(data: bytes, at: int, kind: int) -> tuple[list[Any], int]:
    """The items of a list, and where it ends. A boolean is a byte there."""
    if kind not in LISTS:
        raise ValueError(kind)
    kind, n_items, at = list_header(data, at)
    values = []
    for _ in range(n_items):
        item, at = (data[at], at + 1) if kind in BOOLEANS else value(data, at, kind)
        values.append(item)
    return values, at


def list_header(data: bytes, at: int) -> tuple[int, int, int]:
    """The type and the number of the items of a list, and where they begin."""
    n_items, kind = data[at] >> 4, data[at] & 15
    if n_items < 15:
        return kind, n_items, at + 1
    n_items, at = varint(data, at + 1)
    if n_items > len(data):
        raise ValueError(n_items)
    return kind, n_items, at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned integer in groups of 7 bits, lowest first, and where it ends."""
    number, shift = 0, 0
    while True:
        number |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError(shift)


def integer(data: bytes, at: int) -> tuple[int, int]:
    """A signed integer, zigzag-encoded."""
    number, at = varint(data, at)
    return (number >> 1) ^ -(number & 1), at
