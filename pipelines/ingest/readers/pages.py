"""The headers of Parquet pages: what the pages of a column decode to, read before any of them is decompressed.

pyarrow gives the sizes of a column chunk and none of its pages. A page header is a Thrift struct in the compact protocol
before each page.

Source: parquet.thrift in apache/parquet-format, PageHeader; doc/specs/thrift-compact-protocol.md in apache/thrift.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow.parquet as pq

HEADER_BYTES = 1 << 14  # a header is 20 to 100 bytes, and statistics of at most twice 4 kB
DATA, DICTIONARY, DATA_V2 = 0, 2, 3  # PageType
PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 2, 7, 8  # Encoding

BOOLEANS, INTEGERS, DOUBLE, BINARY, STRUCT = (1, 2), (3, 4, 5, 6), 7, 8, 12  # types of the compact protocol


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


def pages_of(stream: BinaryIO, chunk: pq.ColumnChunkMetaData) -> Pages:
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


def headers(stream: BinaryIO, chunk: pq.ColumnChunkMetaData) -> Iterator[tuple[int, int, int, int]]:
    """(PageType, bytes when decompressed, values, Encoding) of each page; ends early at a header that is damaged."""
    place, todo = chunk.data_page_offset, chunk.num_values
    if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
        place = min(place, chunk.dictionary_page_offset)
    end = place + chunk.total_compressed_size
    while todo > 0 and place < end:
        stream.seek(place)
        try:
            header, n_header = struct(stream.read(HEADER_BYTES), 0)
            kind, n_bytes, compressed = (int(header[i]) for i in (1, 2, 3))
            about = header[{DATA: 5, DICTIONARY: 7, DATA_V2: 8}[kind]] if kind in (DATA, DICTIONARY, DATA_V2) else {}
            n_values, encoding = int(about.get(1, 0)), int(about.get(4 if kind == DATA_V2 else 2, 0))
        except (IndexError, KeyError, ValueError, TypeError, AttributeError):
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
        ValueError: a type that no page header has.
    """
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        delta, kind = data[at] >> 4, data[at] & 15
        at += 1
        if delta:
            number += delta
        else:
            number, at = integer(data, at)
        if kind in BOOLEANS:
            fields[number] = kind == BOOLEANS[0]
        elif kind in INTEGERS:
            fields[number], at = integer(data, at)
        elif kind == DOUBLE:
            at += 8
        elif kind == BINARY:
            n_bytes, at = varint(data, at)
            at += n_bytes
        elif kind == STRUCT:
            fields[number], at = struct(data, at)
        else:
            raise ValueError(kind)
    return fields, at + 1


def varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned integer in groups of 7 bits, lowest first, and where it ends."""
    value, shift = 0, 0
    while True:
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7


def integer(data: bytes, at: int) -> tuple[int, int]:
    """A signed integer, zigzag-encoded."""
    value, at = varint(data, at)
    return (value >> 1) ^ -(value & 1), at
