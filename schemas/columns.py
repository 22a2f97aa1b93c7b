"""Declarations of columns: name, type, description, and whether NULL is allowed."""

import pyarrow as pa

HOLDS, SHOWN = "holds", "shown"  # keys of a field's metadata


def column(name: str, kind: pa.DataType, holds: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={HOLDS: holds})


def many(kind: pa.DataType) -> pa.DataType:
    """A list without NULLs."""
    return pa.list_(pa.field("element", kind, nullable=False))


def part(name: str, holds: str, shown: bool = False) -> pa.Field:
    """A column of a table of scores: a score or a part of it.

    shown: it is a column of the view `scores`. The first part of a table is the score and is always shown.
    """
    field = column(name, pa.float64(), f"{holds}; NULL if not measured", nullable=True)
    return field.with_metadata({**field.metadata, SHOWN: "yes"}) if shown else field


def parts(schema: pa.Schema) -> list[str]:
    """The parts of a table of scores, the score first."""
    return [field.name for field in schema if field.type == pa.float64()]


def shown_parts(schema: pa.Schema) -> list[str]:
    """The score and the other parts that are marked as shown."""
    score, *others = parts(schema)
    return [score, *(name for name in others if SHOWN.encode() in (schema.field(name).metadata or {}))]
