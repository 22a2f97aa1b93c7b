"""The contract: every column says what it holds; the plan's targets have a column for each figure."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.columns import parts
from schemas.tables import BESIDE_DOCUMENTS, ENCODINGS, FEW_VALUES, TABLES, TARGETS, holds


@pytest.mark.parametrize("name", TABLES)
def test_every_column_says_what_it_holds(name):
    assert [column for column, text in holds(TABLES[name]).items() if not text.strip()] == []


def test_targets():
    assert {field.name: field.type for field in TARGETS} == {
        "domain": pa.string(), "kind": pa.string(),
        **dict.fromkeys(("target_tokens", "available_tokens", "drawn_tokens"), pa.int64()), "rate": pa.float64(),
        **dict.fromkeys((f"{name}_{what}" for name in ("over_share", "dropped", "not_selected") for what in ("documents", "tokens")), pa.int64()),
    }  # fmt: skip
    assert [field.name for field in TARGETS if field.nullable] == ["rate"]


@pytest.mark.parametrize("name", [name for name in TABLES if name.startswith("SCORES_")])
def test_a_table_of_scores_has_a_status_a_reason_and_a_score(name):
    schema = TABLES[name]
    assert schema.names[:3] == ["document_id", "status", "reason"]
    assert parts(schema), "a score"


def test_names_of_other_lists_are_names_of_tables_and_columns():
    assert set(BESIDE_DOCUMENTS) <= set(TABLES)
    assert set(FEW_VALUES) <= {name for schema in TABLES.values() for name in schema.names}


def test_columns_of_encodings_exist(tmp_path):
    for table, columns in ENCODINGS.items():
        pq.write_table(TABLES[table].empty_table(), tmp_path / "t.parquet")
        schema = pq.read_schema(tmp_path / "t.parquet")
        paths = [pq.ParquetFile(tmp_path / "t.parquet").schema.column(i).path for i in range(len(schema.names))]
        assert set(columns) <= set(paths)
