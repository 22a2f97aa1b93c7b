"""What a column says of itself, and which parts of a table of scores are shown."""

import pyarrow as pa
import pytest

from schemas.columns import HOLDS, column, many, part, parts, shown_parts


def test_a_column_says_what_it_holds():
    field = column("n", pa.int32(), "a count")
    assert (field.name, field.type, field.nullable) == ("n", pa.int32(), False)
    assert field.metadata == {HOLDS.encode(): b"a count"}
    assert column("n", pa.int32(), "a count", nullable=True).nullable
    assert not many(pa.int32()).value_field.nullable


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ([part("a", "x"), part("b", "x")], ["a"]),
        ([part("a", "x"), part("b", "x", shown=True), part("c", "x")], ["a", "b"]),
        ([column("status", pa.string(), "x"), part("a", "x", shown=True), part("b", "x")], ["a"]),
    ],
)
def test_the_first_part_is_shown_and_those_that_are_marked(fields, shown):
    schema = pa.schema(fields)
    assert parts(schema) == [field.name for field in fields if field.type == pa.float64()]
    assert shown_parts(schema) == shown


def test_a_part_may_be_missing_and_keeps_its_description():
    field = part("a", "a value", shown=True)
    assert field.nullable
    assert field.metadata[HOLDS.encode()] == b"a value; NULL if not measured"
