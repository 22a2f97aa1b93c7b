"""Rows of Arrow tables as raw records, for the formats that hold tables: Parquet, saved datasets, the hub.

A row's bytes are its labels as a line of JSON, then its text as it lies in the column; no second line where the text is
NULL. So a rejected row can be read by a person, and costs a copy of the text and no more.
"""

from collections.abc import Callable, Iterator

import msgspec
import pyarrow as pa

from pipelines.ingest.readers.record import (
    HEAD_BYTES,
    HEADER,
    Fault,
    Found,
    Record,
    Unusable,
    Wanted,
    decoded,
    hash_of,
    label,
    usable_text,
)

ROLES = ("id", "origin", "license")

DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)  # what Arrow raises on a damaged file


def not_the_system(error: BaseException) -> None:
    """Raise an error of the system's again: only Arrow's own speak of the file's content."""
    if isinstance(error, OSError) and error.errno:
        raise error


def columns_of(schema: pa.Schema, wanted: Wanted) -> dict[str, str]:
    """Role -> column, of those that are there.

    Raises:
        Unusable: text_missing or text_not_string: no row of a table with this schema can be used.
    """
    if schema.get_field_index(wanted.text) < 0:
        twice = wanted.text in schema.names
        found = "two columns" if twice else "no column"
        raise Unusable("text_missing", f"{found} {wanted.text!r}; there are {', '.join(schema.names[:20])}")
    if not is_text(schema.field(wanted.text).type):
        raise Unusable("text_not_string", f"column {wanted.text!r} is {schema.field(wanted.text).type}")
    names = {"text": wanted.text, "id": wanted.id, "origin": wanted.origin, "license": wanted.license}
    return {role: name for role, name in names.items() if name is not None and schema.get_field_index(name) >= 0}


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    binaries = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in (*strings, *binaries))


def rows(
    batch: pa.RecordBatch | pa.Table, names: dict[str, str], file: str, first: int, wanted: Wanted
) -> Iterator[Record]:
    """The raw records of a batch whose first row is the file's row `first`."""
    columns = {role: values(batch.column(name)) for role, name in names.items()}
    texts = columns["text"]
    labels = {role: columns[role] for role in ROLES if role in columns}
    for i, text in enumerate(texts):
        fault = None
        try:
            header = {role: plain(column[i], role) for role, column in labels.items()}
        except Unusable as why:
            header, fault = {}, why
        raw = HEADER.encode(header)
        if text is not None:
            raw = b"%b\n%b" % (raw, text)
        if len(raw) > wanted.max_record_bytes:
            fault = Unusable("too_large", f"{len(raw):,} bytes; max_record_bytes is {wanted.max_record_bytes:,}")
        if fault:
            lost = Fault(fault.reason, fault.detail, len(raw), hash_of(raw))
            yield Record(file, first + i, raw[:HEAD_BYTES], lost)
        else:
            yield Record(file, first + i, raw)


def values(column: pa.Array | pa.ChunkedArray) -> list:
    """Python values; of a column of strings its bytes, which may not be UTF-8: Arrow does not look."""
    if is_text(column.type):
        column = column.cast(pa.large_binary())
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            chunk.validate(full=True)  # a damaged file may hold offsets that lead anywhere
    return column.to_pylist()


def plain(value: object, role: str) -> object:
    return decoded(value, role) if isinstance(value, bytes) else value


def parser(wanted: Wanted) -> Callable[[bytes], Found]:
    """Reads what `rows` wrote."""
    decode = msgspec.json.Decoder().decode

    def parse(raw: bytes) -> Found:
        header, newline, text = raw.partition(b"\n")
        if not newline:
            raise Unusable("text_missing", f"{wanted.text!r} is NULL")
        usable_text(decoded(text, "text"))
        labels = decode(header)
        return Found(text, *(label(role, labels.get(role)) for role in ROLES))

    return parse
