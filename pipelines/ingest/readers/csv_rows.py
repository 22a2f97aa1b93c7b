"""CSV and TSV: one record per row under a header; plain or compressed.

The bytes of a record are the row as one line of JSON, which is parsed as JSON Lines are. Quotes are those of RFC 4180:
a value in quotes may contain separators and line feeds. The separator is the tab in .tsv and .tab, else whichever of
comma, semicolon and tab the header has most of.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pyarrow as pa

from pipelines.ingest.readers import rows
from pipelines.ingest.readers.jsonl import BOM, Jsonl
from pipelines.ingest.readers.record import (
    HEAD_BYTES,
    Fault,
    Fields,
    File,
    Parsed,
    Record,
    RecordBuffer,
    Unusable,
    hash_of,
    rejected_file,
)
from pipelines.ingest.readers.streams import PACKINGS, blocks
from pipelines.ingest.readers.values import escaped

TABS = (".tsv", ".tab")
SEPARATORS = ",;\t"  # in the order of preference where a header has equally many
EMPTY = (b"\n", b"\r\n")
PACKED = tuple(suffix for suffixes in PACKINGS.values() for suffix in suffixes)

csv.field_size_limit(2**31 - 1)  # of the process; Lines bounds a row by max_record_bytes before csv holds it


class Csv:
    suffixes = (".csv", *TABS)
    may_be_compressed = True

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def schema_error(self, file: File, fields: Fields) -> Unusable | None:
        try:
            _, header = open_rows(file, fields.max_record_bytes)
        except Unusable:  # raised again when the file is read
            return None
        return header_error(header, fields)

    def records(self, file: File, fields: Fields) -> Iterator[Record]:
        """Holds one row and one decompressed block in memory."""
        try:
            lines, header = open_rows(file, fields.max_record_bytes)
        except Unusable as error:
            yield rejected_file(file, error)
            return
        if error_of_header := header_error(header, fields):
            yield rejected_file(file, error_of_header)
            return
        try:
            yield from records_of(lines, header, file)
        except Unusable as error:
            yield lines.row.record(file.name, lines.offset, error)

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        return Jsonl().parser(fields)


class TooLarge(Exception):  # noqa: N818 raised and caught here
    """A row has more than max_record_bytes."""


class Lines:
    """The lines of a file for csv, which asks for as many as a row has.

    row: the bytes of the row that csv is inside of, with `n_quotes` quotes; `is_line`: they end with a line feed.
    offset: of the row's first byte. separator: see the module.
    """

    def __init__(self, file: File, max_bytes: int):
        self.pieces = pieces(blocks(file), max_bytes)
        self.max_bytes = max_bytes
        self.row, self.offset, self.n_quotes, self.is_line = RecordBuffer(max_bytes), 0, 0, False
        self.separator = "\t" if is_tabbed(file.name) else ""

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        is_first = self.offset == self.row.n_bytes == 0
        piece = next(self.pieces)
        while not self.row.n_bytes and piece in EMPTY:  # csv takes ten times as long
            self.offset += len(piece)
            piece = next(self.pieces)
        self.added(piece)
        if self.row.digest:
            raise TooLarge
        line = (piece.removeprefix(BOM) if is_first else piece).decode(errors="surrogateescape")
        if not self.separator and line.strip():
            self.separator = max(SEPARATORS, key=line.count)
        return line

    def added(self, piece: bytes) -> bytes:
        self.row.add(piece)
        self.n_quotes += piece.count(b'"')
        self.is_line = piece.endswith(b"\n")
        return piece

    def skip(self) -> None:
        """Read to the end of a row that is too large, by its quotes, and keep only its length and hash."""
        while not (self.is_line and self.n_quotes % 2 == 0) and (piece := next(self.pieces, None)) is not None:
            self.added(piece)

    def taken(self) -> tuple[int, RecordBuffer]:
        """The offset and the bytes of the row, which ends here."""
        offset, row = self.offset, self.row
        self.row, self.offset, self.n_quotes = RecordBuffer(self.max_bytes), offset + row.n_bytes, 0
        return offset, row


def pieces(parts: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """The lines of a stream, each with its line feed; a line of more than `max_bytes` in pieces."""
    rest: list[bytes] = []
    for block in parts:
        *lines, last = block.split(b"\n")
        for line in lines:
            yield b"".join((*rest, line, b"\n"))
            rest = []
        rest.append(last)
        if sum(map(len, rest)) > max_bytes:
            yield b"".join(rest)
            rest = []
    if any(rest):
        yield b"".join(rest)


def is_tabbed(name: str) -> bool:
    lowered = name.lower()
    packed = next((suffix for suffix in PACKED if lowered.endswith(suffix)), "")
    return lowered.removesuffix(packed).endswith(TABS)


def open_rows(file: File, max_bytes: int) -> tuple[Lines, list[str]]:
    """The lines after the header, and its names; no name where the file has no line.

    Raises:
        Unusable: the header can't be read.
    """
    lines = Lines(file, max_bytes)
    try:
        for line in lines:
            if line.strip():
                header = next(reader(lines, line))
                lines.taken()
                return lines, [name.strip() for name in header]
            lines.taken()
    except TooLarge:
        raise Unusable("too_large", f"the header has more than {max_bytes:,} bytes") from None
    except csv.Error as error:
        raise Unusable("csv_columns", f"the header can't be read: {error}") from None
    return lines, []


def reader(lines: Lines, first: str | None = None) -> Iterator[list[str]]:
    """Rows of the lines, or of `first` and the lines after it."""

    def chained() -> Iterator[str]:
        if first is not None:
            yield first
        yield from lines

    return csv.reader(chained(), delimiter=lines.separator or ",")


def header_error(header: Sequence[str], fields: Fields) -> Unusable | None:
    """Why no row under this header can be used; None if one may be, or if the file is empty."""
    if not header:
        return None
    try:
        rows.columns_of(pa.schema([(escaped(name), pa.string()) for name in header]), fields)
    except Unusable as error:
        return error
    return None


def records_of(lines: Lines, header: list[str], file: File) -> Iterator[Record]:
    """
    Raises:
        Unusable: the stream is truncated or corrupt.
    """
    rows_after = reader(lines)
    while True:
        try:
            values = next(rows_after, None)
        except TooLarge:
            lines.skip()
            offset, row = lines.taken()
            yield row.record(file.name, offset)
            rows_after = reader(lines)
            continue
        except csv.Error as error:
            offset, row = lines.taken()
            yield row.record(file.name, offset, Unusable("csv_columns", str(error)))
            rows_after = reader(lines)
            continue
        if values is None:
            return
        offset, row = lines.taken()
        if values:
            yield record_of(values, header, row, Record(file.name, offset, b""), lines.separator)


def record_of(values: list[str], header: list[str], row: RecordBuffer, place: Record, separator: str) -> Record:
    """A row as a record. place: its file and offset."""
    if len(values) != len(header):
        plural = "" if len(values) == 1 else "s"
        return rejected(values, place, f"{len(values)} value{plural}; the header has {len(header)}")
    data = row.data() or b""
    n_quotes = data.count(b'"')
    if (n_quotes % 2 or (n_quotes and not data.endswith(b"\n"))) and is_unfinished(data, separator):
        return rejected(values, place, "the file ends inside quotes")
    raw = encoded(dict(zip(header, values, strict=True)))
    return Record(place.file, place.offset, raw)


def rejected(values: list[str], place: Record, detail: str) -> Record:
    raw = encoded(values)
    return Record(place.file, place.offset, raw[:HEAD_BYTES], Fault("csv_columns", detail, len(raw), hash_of(raw)))


def is_unfinished(data: bytes, separator: str) -> bool:
    """Whether a row ends inside quotes, as only the last of a file can; csv allows it."""
    text = data.decode(errors="surrogateescape")
    try:
        next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        return "end of data" in str(error)
    return False


def encoded(row: object) -> bytes:
    """The row in JSON; bytes that are not UTF-8 as they were, for the parser to reject where they are used."""
    try:
        return msgspec.json.encode(row)
    except UnicodeEncodeError:
        return json.dumps(row, ensure_ascii=False).encode(errors="surrogateescape")
