"""Rows of Arrow tables as raw records, for the tabular formats: Parquet, saved datasets, the hub.

The bytes of a row are its labels as one line of JSON, then its text as stored in the column; there is no second line if
the text is NULL. A rejected row is therefore readable, and a row costs one copy of its text. A text of several columns, or
of a list of strings, is joined. Where the text has parts (fields.parts), the second line is an object of the columns that
are not NULL, nested ones included.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from pipelines.ingest.readers.columns import column_at, is_list, is_text, of_label, of_text, type_at, values
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
)
from pipelines.ingest.readers.values import label, missing_text, wrong_text

DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)  # Arrow's exceptions on a damaged file


class Columns(NamedTuple):
    """The columns that are used and exist. labels: role -> column. text: those of the text. A name a.b may lead into a."""

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
    labels = {role: name for role, name in fields.labels.items() if type_at(schema, name) is not None}
    if fields.parts:
        text = tuple(name for name in fields.parts.columns if schema.get_field_index(name) >= 0)
        if missing := fields.parts.missing(schema.names):
            raise Unusable("sample_missing", missing)
        return Columns(labels, text)
    kinds = {name: kind for name in fields.texts if (kind := type_at(schema, name)) is not None}
    if not kinds:
        twice = any(schema.names.count(name) > 1 for name in fields.texts)
        raise missing_text(fields.texts, names_of(schema, fields.texts), "single column" if twice else "column")
    if any(not pa.types.is_null(kind) for kind in kinds.values()):
        kinds = {name: kind for name, kind in kinds.items() if not pa.types.is_null(kind)}
    for name, kind in kinds.items():
        if not is_text(kind) and not (is_list(kind) and is_text(kind.value_type)):
            inside = [field.name for field in kind] if pa.types.is_struct(kind) else []
            raise wrong_text(name, "an object" if inside else f"of type {str(kind)[:80]}", inside)
    return Columns(labels, tuple(kinds))


def names_of(fields: pa.Schema | pa.StructType, texts: Sequence[str], prefix: str = "") -> list[str]:
    """The names of columns; those inside of a struct if a name in `texts` leads into it."""
    names: list[str] = []
    for field in fields:
        full = prefix + field.name
        inside = pa.types.is_struct(field.type) and any(text.startswith(f"{full}.") for text in texts)
        names += names_of(field.type, texts, f"{full}.") if inside else [full]
    return names


def records_of(
    batch: pa.RecordBatch | pa.Table, columns: Columns, file: str, first: int, fields: Fields
) -> Iterator[Record]:
    """The raw records of a batch.

    first: the number of the batch's first row in the file.
    """
    if isinstance(batch, pa.Table):
        for part in batch.to_batches():
            yield from records_of(part, columns, file, first, fields)
            first += part.num_rows
        return
    labels = {role: labels_of(column_at(batch, name)) for role, name in columns.labels.items()}
    texts = texts_of(batch, columns.text, fields) if fields.parts is None else objects(batch, columns.text)
    for i, text in enumerate(texts):
        raw = HEADER.encode({role: column[i] for role, column in labels.items()})
        error = text if isinstance(text, Unusable) else None
        if isinstance(text, bytes):
            raw = b"%b\n%b" % (raw, text)
        if len(raw) > fields.max_record_bytes:
            error = Unusable("too_large", f"{len(raw):,} bytes; max_record_bytes is {fields.max_record_bytes:,}")
        if error:
            fault = Fault(error.reason, error.detail, len(raw), hash_of(raw))
            yield Record(file, first + i, raw[:HEAD_BYTES], fault)
        else:
            yield Record(file, first + i, raw)


def labels_of(column: pa.Array) -> list[str | int | None]:
    """The values of a column as labels; integers as they are."""
    return [value if type(value) is int else label(value) for value in values(column, of_label)]


def texts_of(batch: pa.RecordBatch, names: Sequence[str], fields: Fields) -> list[bytes | None]:
    """The text of each row; None if it is NULL in every column."""
    separator = fields.separator.encode()
    columns = [joined(column_at(batch, name), separator) for name in names]
    if len(columns) == 1:
        return columns[0]
    rows = [[text for text in row if text is not None] for row in zip(*columns, strict=True)]
    return [separator.join(text for text in row if text) if row else None for row in rows]


def joined(column: pa.Array, separator: bytes) -> list[bytes | None]:
    """The strings of a column as bytes, those of a list joined."""
    rows = values(column, of_text)
    if is_text(column.type):
        return rows
    return [None if row is None else separator.join(text for text in row if text is not None) for row in rows]


def objects(batch: pa.RecordBatch, names: Sequence[str]) -> list[bytes | Unusable]:
    """Each row's columns that are not NULL as an object in JSON; an error where a string is not UTF-8."""
    columns = [(name, values(batch.column(name), of_text)) for name in names]
    rows: list[bytes | Unusable] = []
    for i in range(batch.num_rows):
        try:
            row = {name: as_text(column[i]) for name, column in columns if column[i] is not None}
            rows.append(HEADER.encode(row))
        except UnicodeDecodeError as error:
            rows.append(Unusable("not_utf8", f"byte 0x{error.object[error.start]:02x} at {error.start:,} of a text"))
    return rows


def as_text(value: Any) -> Any:
    """A value of a column whose strings are bytes, with strings. NULL in an object is left out: Arrow adds it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name: as_text(item) for name, item in value.items() if item is not None}
    return [as_text(item) for item in value] if isinstance(value, list) else value


def parser(fields: Fields) -> Callable[[bytes], Parsed]:
    """A parser of the bytes that `records_of` writes."""
    decode = msgspec.json.Decoder().decode
    parts = fields.parts

    def parse(raw: bytes) -> Parsed:
        header, newline, text = raw.partition(b"\n")
        if not newline:
            raise Unusable(
                "text_missing",
                f"{' and '.join(map(repr, fields.texts))} {'is' if len(fields.texts) == 1 else 'are'} NULL",
            )
        if parts is None:
            check_text(decoded(text, "text"))
        else:
            text = parts.text(decode(text))
        labels = decode(header)
        return Parsed(text, *(label(labels.get(role)) for role in ROLES))

    return parse
