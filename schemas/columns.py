"""How the tables are written down: a column with its type, what it holds, and whether it may be NULL."""

import pyarrow as pa

HOLDS, SHOWN = "holds", "shown"  # keys of a field's metadata


def column(name: str, kind: pa.DataType, holds: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={HOLDS: holds})


def many(kind: pa.DataType) -> pa.DataType:
    """A list without NULLs."""
    return pa.list_(pa.field("element", kind, nullable=False))


def part(name: str, holds: str, shown: bool = False) -> pa.Field:
    """A value of a score.

    shown: the view `scores` has it. It always has the first part of a table, which is the score.
    """
    field = column(name, pa.float64(), f"{holds}; NULL where it was not measured", nullable=True)
    return field.with_metadata({**field.metadata, SHOWN: "yes"}) if shown else field


def parts(schema: pa.Schema) -> list[str]:
    """The values of a table of scores. The first is its score."""
    return [field.name for field in schema if field.type == pa.float64()]


def shown_parts(schema: pa.Schema) -> list[str]:
    """The score, and the parts that are marked as shown."""
    score, *others = parts(schema)
    return [score, *(name for name in others if SHOWN.encode() in (schema.field(name).metadata or {}))]
