"""Check a table against its schema."""

from collections.abc import Iterator

import pyarrow as pa

from schemas.errors import SchemaError


def conform(table: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """The table with the columns in the order and exact types of the schema.

    Raises:
        SchemaError: names every column that is missing, not declared, of another type, or NULL but not nullable.
    """
    missing = [f.name for f in schema if f.name not in table.column_names]
    extra = [n for n in table.column_names if n not in schema.names]
    wrong = [
        f"{f.name}: {table.schema.field(f.name).type}, not {f.type}"
        for f in schema
        if f.name in table.column_names and not same_type(table.schema.field(f.name).type, f.type)
    ]
    if missing or extra or wrong:
        raise SchemaError(f"{name}: columns missing: {missing}; not declared: {extra}; of the wrong type: {wrong}")
    ordered = table.select(schema.names)
    nulls = [path for f, col in zip(schema, ordered.columns, strict=True) for path in wrong_nulls(f, col)]
    if nulls:
        raise SchemaError(f"{name}: NULL in columns that are not nullable: {nulls}")
    return pa.Table.from_arrays([c.cast(f.type) for c, f in zip(ordered.columns, schema, strict=True)], schema=schema)


def same_type(actual: pa.DataType, expected: pa.DataType) -> bool:
    """Equality that ignores what pyarrow sets by itself: the nullability of nested fields, and their names in lists."""
    if pa.types.is_nested(actual) and pa.types.is_nested(expected):
        if pa.types.is_struct(actual) != pa.types.is_struct(expected) or actual.num_fields != expected.num_fields:
            return False
        pairs = [(actual.field(i), expected.field(i)) for i in range(actual.num_fields)]
        return actual.id == expected.id and all(
            same_type(a.type, e.type) and (a.name == e.name or not pa.types.is_struct(expected)) for a, e in pairs
        )
    return actual.equals(expected)


def wrong_nulls(f: pa.Field, values: pa.ChunkedArray | pa.Array, prefix: str = "") -> Iterator[str]:
    """The path and NULL count of each field, nested ones included, that contains NULL but is not nullable.

    pyarrow alone writes a NULL list in a non-nullable column as an empty list.
    """
    path = prefix + f.name
    if values.null_count and not f.nullable:
        yield f"{path} ({values.null_count})"
    for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
        if pa.types.is_struct(f.type):
            for inner, child in zip(f.type, chunk.flatten(), strict=True):
                yield from wrong_nulls(inner, child, f"{path}.")
        elif pa.types.is_nested(f.type):
            yield from wrong_nulls(f.type.value_field, chunk.flatten(), f"{path}.")
