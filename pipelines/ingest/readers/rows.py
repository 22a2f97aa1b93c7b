"""Rows of Arrow tables as raw records, for the tabular formats: Parquet, saved datasets, the hub.

The bytes of a row are its labels as one line of JSON, then its text as stored in the column; there is no second line if
the text is NULL. A rejected row is therefore readable, and a row costs one copy of its text.
"""

from collections.abc import Callable, Iterator

import msgspec
import pyarrow as pa

from pipelines.ingest.readers.record import (
    HEAD_BYTES,
    HEADER,
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

ROLES = ("id", "origin", "license")

DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)  # Arrow's exceptions on a damaged file
OUT_OF_MEMORY = ("not enough memory", "Cannot allocate memory")  # in a codec's message, which Arrow raises as OSError


def raise_system_error(error: BaseException) -> None:
    """Raise an error of the system again: it has an errno or is a lack of memory, and says nothing about the file."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):
        raise error
    if any(phrase in str(error) for phrase in OUT_OF_MEMORY):
        raise MemoryError(str(error)) from error


def columns_of(schema: pa.Schema, fields: Fields) -> dict[str, str]:
    """Role -> column, for the columns that exist.

    Raises:
        Unusable: text_missing or text_not_string: no row of a table with this schema can be used.
    """
    if schema.get_field_index(fields.text) < 0:
        duplicate = fields.text in schema.names
        number = "two columns" if duplicate else "no column"
        raise Unusable("text_missing", f"{number} {fields.text!r}; there are {', '.join(schema.names[:20])}")
    if not is_text(schema.field(fields.text).type):
        raise Unusable("text_not_string", f"column {fields.text!r} is {schema.field(fields.text).type}")
    names = {"text": fields.text, "id": fields.id, "origin": fields.origin, "license": fields.license}
    return {role: name for role, name in names.items() if name is not None and schema.get_field_index(name) >= 0}


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    binaries = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in (*strings, *binaries))


def records_of(
    batch: pa.RecordBatch | pa.Table, columns: dict[str, str], file: str, first: int, fields: Fields
) -> Iterator[Record]:
    """The raw records of a batch.

    Args:
        columns: role -> column, see columns_of.
        first: the number of the batch's first row in the file.
    """
    values_by_role = {role: values(batch.column(name)) for role, name in columns.items()}
    texts = values_by_role["text"]
    labels = {role: values_by_role[role] for role in ROLES if role in values_by_role}
    for i, text in enumerate(texts):
        error = None
        try:
            header = {role: decoded_label(column[i], role) for role, column in labels.items()}
        except Unusable as label_error:
            header, error = {}, label_error
        raw = HEADER.encode(header)
        if text is not None:
            raw = b"%b\n%b" % (raw, text)
        if len(raw) > fields.max_record_bytes:
            error = Unusable("too_large", f"{len(raw):,} bytes; max_record_bytes is {fields.max_record_bytes:,}")
        if error:
            fault = Fault(error.reason, error.detail, len(raw), hash_of(raw))
            yield Record(file, first + i, raw[:HEAD_BYTES], fault)
        else:
            yield Record(file, first + i, raw)


def values(column: pa.Array | pa.ChunkedArray) -> list:
    """The values of a column as Python objects; strings as bytes, since Arrow does not check that they are UTF-8."""
    if is_text(column.type):
        column = column.cast(pa.large_binary())
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            chunk.validate(full=True)  # a damaged file may contain offsets out of bounds
    return column.to_pylist()


def decoded_label(value: object, role: str) -> object:
    return decoded(value, role) if isinstance(value, bytes) else value


def parser(fields: Fields) -> Callable[[bytes], Parsed]:
    """A parser of the bytes that `records_of` writes."""
    decode = msgspec.json.Decoder().decode

    def parse(raw: bytes) -> Parsed:
        header, newline, text = raw.partition(b"\n")
        if not newline:
            raise Unusable("text_missing", f"{fields.text!r} is NULL")
        check_text(decoded(text, "text"))
        labels = decode(header)
        return Parsed(text, *(label(role, labels.get(role)) for role in ROLES))

    return parse
