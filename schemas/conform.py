"""Whether a table is what the contract says it is."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc  # noqa: F401

from schemas.errors import SchemaError


def conform(table: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """The table in the contract's column order and exact types.

    Raises:
        SchemaError: names every column that is missing, not declared, of another type or wrongly NULL.
    """
    missing = [f.name for f in schema if f.name not in table.column_names]
    extra = [n for n in table.column_names if n not in schema.names]
    wrong = [
        f"{f.name}: {table.schema.field(f.name).type}, not {f.type}"
        for f in schema
        if f.name in table.column_names and not alike(table.schema.field(f.name).type, f.type)
    ]
    if missing or extra or wrong:
        raise SchemaError(f"{name}: columns missing: {missing}; not declared: {extra}; of the wrong type: {wrong}")
    ordered = table.select(schema.names)
    nulls = [where for f, col in zip(schema, ordered.columns, strict=True) for where in wrong_nulls(f, col)]
    if nulls:
        raise SchemaError(f"{name}: NULL in columns that may hold none: {nulls}")
    return pa.Table.from_arrays([c.cast(f.type) for c, f in zip(ordered.columns, schema, strict=True)], schema=schema)


def alike(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Equal but for the names and nullability of nested fields, which pyarrow sets by itself."""
    if pa.types.is_nested(found) and pa.types.is_nested(wanted):
        if pa.types.is_struct(found) != pa.types.is_struct(wanted) or found.num_fields != wanted.num_fields:
            return False
        pairs = [(found.field(i), wanted.field(i)) for i in range(found.num_fields)]
        return found.id == wanted.id and all(
            alike(f.type, w.type) and (f.name == w.name or not pa.types.is_struct(wanted)) for f, w in pairs
        )
    return found.equals(wanted)


def wrong_nulls(f: pa.Field, values: pa.ChunkedArray | pa.Array, prefix: str = "") -> Iterator[str]:
    """The places that hold a NULL though the contract says they can't; nested ones too.

    pyarrow alone writes a NULL list in a non-nullable column as an empty one.
    """
    where = prefix + f.name
    if values.null_count and not f.nullable:
        yield f"{where} ({values.null_count})"
    for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
        if pa.types.is_struct(f.type):
            for inner, child in zip(f.type, chunk.flatten(), strict=True):
                yield from wrong_nulls(inner, child, f"{where}.")
        elif pa.types.is_nested(f.type):
            yield from wrong_nulls(f.type.value_field, chunk.flatten(), f"{where}.")
