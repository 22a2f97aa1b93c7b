"""Arrow columns of any type as Python objects. A damaged file may contain offsets out of bounds, which raise here.

`to_pylist` alone raises on dates after the year 9999, nanoseconds without pandas, and time zones that are not installed.
"""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ingest.readers.sound import BINARY_OF
from pipelines.ingest.readers.values import prefixes

Leaf = Callable[[pa.Array], list[Any]]
OUT_OF_RANGE = re.compile(r"<value out of range: (-?\d+)>")  # written by Arrow in place of a date
STRINGS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
BINARIES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
VIEWS = (pa.types.is_list_view, pa.types.is_large_list_view)
LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, *VIEWS)


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_kind(kind) for is_kind in (*STRINGS, *BINARIES))


def is_list(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in LISTS)


# -- columns by their names


def type_at(fields: pa.Schema | pa.StructType, name: str) -> pa.DataType | None:
    """The type of the column of this name, or else of the field b of the struct a for the name a.b."""
    for prefix in prefixes(name):
        i = fields.get_field_index(prefix)  # -1 of two
        kind = fields.field(i).type if i >= 0 else None
        if prefix == name and kind is not None:
            return kind
        if kind is not None and pa.types.is_struct(kind) and (inside := type_at(kind, name[len(prefix) + 1 :])):
            return inside
    return None


def column_at(batch: pa.RecordBatch | pa.StructArray, name: str) -> pa.Array:
    """The column whose type `type_at` gives."""
    fields = batch.schema if isinstance(batch, pa.RecordBatch) else batch.type
    for prefix in prefixes(name):
        i = fields.get_field_index(prefix)
        if i < 0:
            continue
        column = batch.column(i) if isinstance(batch, pa.RecordBatch) else pc.struct_field(batch, [i])
        rest = name[len(prefix) + 1 :]
        if not rest:
            return column
        if pa.types.is_struct(column.type) and type_at(column.type, rest):
            return column_at(column, rest)
    raise KeyError(name)


def roots_of(batch: pa.RecordBatch, names: Iterable[str]) -> list[pa.Array]:
    """The columns of the table that are those of these names, or may hold them inside."""
    places = {batch.schema.get_field_index(prefix) for name in names for prefix in prefixes(name)}
    return [batch.column(i) for i in sorted(places) if i >= 0]


# -- values


def values(array: pa.Array, leaf: Leaf) -> list[Any]:
    """The rows of a column: dicts of a struct or a map, lists of a list, of any other type what `leaf` returns."""
    array = unwrapped(array)
    kind = array.type
    rows: Iterator[Any]
    if pa.types.is_struct(kind):
        columns = [values(column, leaf) for column in array.flatten()]
        names = [field.name for field in kind]
        rows = (
            (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
            if columns
            else iter([{}] * len(array))
        )
    elif pa.types.is_map(kind):
        keys, items = (spans(array, child, leaf) for child in (array.keys, array.items))
        rows = ({text_of(k): v for k, v in zip(*row, strict=True)} for row in zip(keys, items, strict=True))
    elif pa.types.is_fixed_size_list(kind):
        n = kind.list_size
        inside = values(array.values.slice(array.offset * n, len(array) * n), leaf)
        rows = (inside[i * n : (i + 1) * n] for i in range(len(array)))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        rows = spans(array, array.values, leaf)
    elif is_list(kind):
        rows = (values(scalar.values, leaf) if scalar.is_valid else None for scalar in array)
    else:
        return leaf(array)
    return nulled(array, rows)


def unwrapped(array: pa.Array) -> pa.Array:
    """The values themselves, of an extension type, a dictionary or runs."""
    if isinstance(array.type, pa.BaseExtensionType):
        return unwrapped(array.storage)
    if pa.types.is_dictionary(array.type):
        return unwrapped(checked(array.dictionary).take(array.indices))
    return unwrapped(pc.run_end_decode(array)) if pa.types.is_run_end_encoded(array.type) else array


def nulled(array: pa.Array, rows: Iterator[Any]) -> list[Any]:
    return [None if is_null else row for is_null, row in zip(array.is_null().to_pylist(), rows, strict=True)]


def spans(array: pa.Array, inside: pa.Array, leaf: Leaf) -> Iterator[list[Any]]:
    """The items of each row of a list or a map.

    inside: the items of all rows, also of those before and after a slice.

    Raises:
        ArrowInvalid: an offset is out of bounds.
    """
    offsets = np.asarray(array.offsets).astype(np.int64)
    if len(offsets) and not (offsets[0] >= 0 and (np.diff(offsets) >= 0).all() and offsets[-1] <= len(inside)):
        raise pa.ArrowInvalid("the offsets of a list are out of bounds")
    starts = (offsets - offsets[:1]).tolist()
    items = values(inside.slice(offsets[0], offsets[-1] - offsets[0]), leaf) if len(offsets) else []
    return (items[start:stop] for start, stop in pairwise(starts))


def text_of(key: Any) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)


def checked(array: pa.Array) -> pa.Array:
    """Strings as binary, since not all are UTF-8; their offsets checked."""
    if not is_text(array.type) or pa.types.is_dictionary(array.type):
        return array
    if array.type in BINARY_OF:
        array = array.view(BINARY_OF[array.type])
    array.validate(full=True)
    return array


def of_text(array: pa.Array) -> list[Any]:
    """A leaf of texts: strings and binaries as bytes, whose UTF-8 is checked later."""
    return checked(array).to_pylist() if is_text(array.type) else plain(array)


def of_label(array: pa.Array) -> list[Any]:
    """A leaf of labels, which lose nothing: bytes that are not UTF-8 are escaped in a string, and hex in a binary.

    16 of these, and every value of a binary of 16 bytes, are written as a UUID.
    """
    kind = array.type
    if pa.types.is_fixed_size_binary(kind):
        return [None if data is None else name_of(data, kind.byte_width == 16) for data in array.to_pylist()]
    if not is_text(kind):
        return plain(array)
    rows = checked(array).to_pylist()
    if any(is_kind(kind) for is_kind in STRINGS):
        return [None if data is None else data.decode(errors="surrogateescape") for data in rows]
    return [None if data is None else name_of(data, False) for data in rows]


def name_of(data: bytes, is_uuid: bool) -> str:
    """Bytes as a text."""
    if not is_uuid:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return str(uuid.UUID(bytes=data)) if len(data) == 16 else data.hex()


def plain(array: pa.Array) -> list[Any]:
    """A leaf that is no text: NULL, booleans and numbers as they are, times and decimals as strings."""
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind) or pa.types.is_float64(kind):
        return array.to_pylist()
    if pa.types.is_floating(kind):  # 0.1 of 32 bits is written as 0.1
        return [None if text is None else float(text) for text in array.cast(pa.string()).to_pylist()]
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit, "UTC"))
    if pa.types.is_decimal(kind) or (pa.types.is_temporal(kind) and not pa.types.is_interval(kind)):
        texts = array.cast(pa.string()).to_pylist()
        return [None if text is None else OUT_OF_RANGE.sub(r"\1", text) for text in texts]
    return array.to_pylist()
