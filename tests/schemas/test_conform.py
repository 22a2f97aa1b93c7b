"""A table is refused by every column that differs from the contract, NULL inside lists and structs included."""

import pyarrow as pa
import pytest

from schemas.conform import conform
from schemas.errors import SchemaError
from schemas.tables import DOCUMENTS, SEQUENCES, TOKENS


def row_of(schema, **values):
    plain = {"string": "x", "int64": 1, "int32": 1, "large_string": "x"}
    return pa.Table.from_pylist(
        [{f.name: plain.get(str(f.type)) for f in schema} | values],
        schema=pa.schema([f.with_nullable(True) for f in schema]),
    )


def test_an_error_names_every_column():
    table = pa.table({"document_id": ["a"], "lang": ["en"], "n_tokens": pa.array([1], pa.int64())})
    with pytest.raises(SchemaError) as error:
        conform(table, TOKENS, "TOKENS")
    assert str(error.value) == (
        "TOKENS: columns missing: ['status', 'reason', 'fell_back', 'decodes', 'input_ids']; not declared: ['lang']; of the wrong type: ['n_tokens: int64, not int32']"
    )


def test_columns_come_out_in_the_order_and_types_of_the_contract():
    table = row_of(DOCUMENTS).select(DOCUMENTS.names[::-1])
    assert conform(table, DOCUMENTS, "DOCUMENTS").schema.equals(DOCUMENTS, check_metadata=True)


def test_null_is_refused_where_the_contract_says_so():
    with pytest.raises(SchemaError, match=r"text \(1\)"):
        conform(row_of(DOCUMENTS, text=None), DOCUMENTS, "DOCUMENTS")
    conform(row_of(DOCUMENTS, license=None, origin=None), DOCUMENTS, "DOCUMENTS")


def test_null_is_refused_inside_lists_and_structs():
    segment = {"document_id": "a", "domain": None, "document_start": 0, "document_stop": 1, "epoch": 0, "n_pad": 0}
    loose = pa.list_(pa.struct([(n, t) for n, t in [("document_id", pa.string()), ("domain", pa.string()), ("document_start", pa.int32()), ("document_stop", pa.int32()), ("epoch", pa.int32()), ("path_position", pa.int64()), ("similarity_to_previous", pa.float32()), ("n_pad", pa.int32())]]))  # fmt: skip
    table = pa.table({
        "sequence_id": pa.array([0], pa.int64()),
        "input_ids": pa.array([[1, None]], pa.list_(pa.int32())),
        "n_tokens": pa.array([2], pa.int32()),
        "cu_seqlens": pa.array([None], pa.list_(pa.int32())),
        "segments": pa.array([[segment]], loose),
    })  # fmt: skip
    with pytest.raises(SchemaError) as error:
        conform(table, SEQUENCES, "SEQUENCES")
    for where in ("input_ids.element (1)", "cu_seqlens (1)", "segments.element.domain (1)"):
        assert where in str(error.value)
    assert "path_position" not in str(error.value)
