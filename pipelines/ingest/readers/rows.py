"""Rows of Arrow tables as raw records, for the tabular formats: Parquet, saved datasets, the hub.

The bytes of a row are its labels as one line of JSON, then its text as stored in the column; there is no second line if
the text is NULL. A rejected row is therefore readable, and a row costs one copy of its text. Where the text is several
columns (fields.parts), the second line is an object of those that are not NULL, nested ones included.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import pyarrow as pa

from pipelines.ingest.readers.record import (
    HEAD_BYTES,
    HEADER,
    ROLES,
    Fault,
    Fields,
    Parsed,
    Record,
    Unusable,
    check_text,
    decoded,
    hash_of,
    label,
)

DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)  # Arrow's exceptions on a damaged file
OUT_OF_MEMORY = ("not enough memory", "Cannot allocate memory")  # in a codec's message, which Arrow raises as OSError


def raise_system_error(error: BaseException) -> None:
    """Raise an error of the system again: it has an errno or is a lack of memory, and says nothing about the file."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):
        raise error
    if any(phrase in str(error) for phrase in OUT_OF_MEMORY):
        raise MemoryError(str(error)) from error


class Columns(NamedTuple):
    """The columns that are used and exist. labels: role -> column. text: those of the text, one unless fields.parts."""

    labels: dict[str, str]
    text: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return sorted({*self.labels.values(), *self.text})


def columns_of(schema: pa.Schema, fields: Fields) -> Columns:
    """
    Raises:
        Unusable: text_missing, text_not_string or sample_missing: no row of a table with this schema can be used.
    """
    labels = {role: name for role, name in fields.labels.items() if schema.get_field_index(name) >= 0}
    if fields.parts:
        text = tuple(name for name in fields.parts.columns if schema.get_field_index(name) >= 0)
        if missing := fields.parts.missing(schema.names):
            raise Unusable("sample_missing", missing)
        return Columns(labels, text)
    if schema.get_field_index(fields.text) < 0:
        duplicate = fields.text in schema.names
        number = "two columns" if duplicate else "no column"
        raise Unusable("text_missing", f"{number} {fields.text!r}; there are {', '.join(schema.names[:20])}")
    if not is_text(schema.field(fields.text).type):
        raise Unusable("text_not_string", f"column {fields.text!r} is {schema.field(fields.text).type}")
    return Columns(labels, (fields.text,))


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    binaries = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in (*strings, *binaries))


def records_of(
    batch: pa.RecordBatch | pa.Table, columns: Columns, file: str, first: int, fields: Fields
) -> Iterator[Record]:
    """The raw records of a batch.

    first: the number of the batch's first row in the file.
    """
    labels = {role: values(batch.column(name)) for role, name in columns.labels.items()}
    texts = values(batch.column(columns.text[0])) if fields.parts is None else objects(batch, columns.text)
    for i, text in enumerate(texts):
        error = None
        try:
            header = {role: decoded_label(column[i], role) for role, column in labels.items()}
        except Unusable as label_error:
            header, error = {}, label_error
        raw = HEADER.encode(header)
        if isinstance(text, Unusable):
            error = text
        elif text is not None:
            raw = b"%b\n%b" % (raw, text)
        if len(raw) > fields.max_record_bytes:
            error = Unusable("too_large", f"{len(raw):,} bytes; max_record_bytes is {fields.max_record_bytes:,}")
        if error:
            fault = Fault(error.reason, error.detail, len(raw), hash_of(raw))
            yield Record(file, first + i, raw[:HEAD_BYTES], fault)
        else:
            yield Record(file, first + i, raw)


def binary_type(kind: pa.DataType) -> pa.DataType:
    """A type with binary in the place of strings, in lists and structs too."""
    if is_text(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(binary_type(field.type)) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = kind.value_field.with_type(binary_type(kind.value_type))
        return pa.list_(inner) if pa.types.is_list(kind) else pa.large_list(inner)
    return kind


def values(column: pa.Array | pa.ChunkedArray) -> list:
    """The values of a column as Python objects; strings as bytes, since Arrow does not check that they are UTF-8."""
    kind = binary_type(column.type)
    if kind != column.type or is_text(kind):
        column = column.cast(kind)
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            chunk.validate(full=True)  # a damaged file may contain offsets out of bounds
    return column.to_pylist()


def objects(batch: pa.RecordBatch | pa.Table, names: Sequence[str]) -> list[bytes | Unusable]:
    """Each row's columns that are not NULL as an object in JSON; an error where a string is not UTF-8."""
    columns = [(name, values(batch.column(name))) for name in names]
    rows: list[bytes | Unusable] = []
    for i in range(batch.num_rows):
        try:
            row = {name: as_text(column[i]) for name, column in columns if column[i] is not None}
            rows.append(HEADER.encode(row))
        except UnicodeDecodeError as error:
            rows.append(Unusable("not_utf8", f"byte 0x{error.object[error.start]:02x} at {error.start:,} of a text"))
    return rows


def as_text(value: object) -> object:
    """A value of a column whose strings are bytes, with strings. NULL in an object is left out: Arrow adds it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name: as_text(item) for name, item in value.items() if item is not None}
    return [as_text(item) for item in value] if isinstance(value, list) else value


def decoded_label(value: object, role: str) -> object:
    return decoded(value, role) if isinstance(value, bytes) else value


def parser(fields: Fields) -> Callable[[bytes], Parsed]:
    """A parser of the bytes that `records_of` writes."""
    decode = msgspec.json.Decoder().decode
    parts = fields.parts

    def parse(raw: bytes) -> Parsed:
        header, newline, text = raw.partition(b"\n")
        if not newline:
            raise Unusable("text_missing", f"{fields.text!r} is NULL")
        if parts is None:
            check_text(decoded(text, "text"))
        else:
            text = parts.text(decode(text))
        labels = decode(header)
        return Parsed(text, *(label(role, labels.get(role)) for role in ROLES))

    return parse
