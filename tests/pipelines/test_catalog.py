"""catalog.duckdb holds the statistics and neither text nor tokens; a connection has the variables of its recipe."""

import duckdb
import pytest

from pipelines.catalog import (
    NOT_MATERIALISED,
    WITHOUT_TEXT,
    connect,
    literal,
    materialise,
    sql_type,
    variables_of,
    write_catalog,
)
from pipelines.recipe import load
from pipelines.store import Shard, Store
from schemas.errors import SchemaError
from schemas.tables import TABLES
from schemas.views import comments
from tests.conftest import TINY
from tests.schemas.test_laws import opened, sound


def test_the_catalog_answers_alone(tmp_path):
    with opened(sound(), tmp_path) as con:
        write_catalog(con, tmp_path / "catalog.duckdb", {"mix": "m", "recipe": {"a": 1}})
    with duckdb.connect(str(tmp_path / "catalog.duckdb"), read_only=True) as con:
        assert con.execute("SELECT verdict, count(*) FROM documents GROUP BY ALL ORDER BY ALL").fetchall() == [
            ("exact", 1), ("kept", 2), ("near", 1),
        ]  # fmt: skip
        assert con.execute("SELECT tokens, drawn_tokens FROM lengths").fetchall() == [(9, 14)]
        assert con.execute(
            "SELECT document_id, file FROM segments JOIN sequences USING (sequence_id) WHERE sequence_id = 4294967296"
        ).fetchall() == [("a", "sequences-1.parquet")]
        columns = con.execute("SELECT column_name FROM information_schema.columns").fetchall()
        assert ("text",) not in columns
        assert ("input_ids",) not in columns
        assert ("head",) not in columns
        assert con.execute("SELECT stage, reason FROM rejected").fetchall() == [("ingest", "not_json")]
        assert con.execute("FROM build ORDER BY key").fetchall() == [("mix", "m"), ("recipe", '{"a": 1}')]


def test_tables_of_another_release_are_refused_by_the_columns_that_they_lack(tmp_path):
    shard = Shard("TOKENS", "ab" * 16, 1, dict.fromkeys(("document_id", "n_tokens", "input_ids"), "cd"))
    said = "TOKENS lacks status, reason, fell_back, decodes: another release of longmix made this version; build"
    with pytest.raises(SchemaError, match=said), connect(Store(tmp_path), {"TOKENS": [shard]}, [], tmp_path, {}):
        pass


def test_views_are_tables_of_the_same_rows(tmp_path):
    """Each is computed once: a table reads no other view and no Parquet file."""
    with opened(sound(), tmp_path) as con:
        views = [view for view in comments() if view not in NOT_MATERIALISED]
        before = {view: con.execute(f"{WITHOUT_TEXT} FROM {view}").fetchall() for view in views}
        columns = {view: con.execute(f"DESCRIBE {WITHOUT_TEXT} FROM {view}").fetchall() for view in views}
        materialise(con)
        for path in tmp_path.glob("shards/*/*/*.parquet"):
            path.rename(path.with_suffix(".gone"))
        after = {view: con.execute(f"FROM {view}").fetchall() for view in views}
        assert {view: sorted(rows, key=repr) for view, rows in after.items()} == {
            view: sorted(rows, key=repr) for view, rows in before.items()
        }
        for view in ("targets", "sources", "lengths", "licenses", "rejections"):  # shown in their own order
            assert after[view] == before[view]
        assert {view: con.execute(f"DESCRIBE {view}").fetchall() for view in views} == columns
        assert sum(bool(rows) for rows in before.values()) > 15
        write_catalog(con, tmp_path / "catalog.duckdb", {"mix": "m"})
        for path in tmp_path.glob("shards/*/*/*.gone"):
            path.rename(path.with_suffix(".parquet"))


def test_shards_of_the_same_rows_are_shards_of_their_own(tmp_path):
    """They are one file; a file of many repeated records makes such shards."""
    tables = sound()
    tables["REJECTED"] = [tables["REJECTED"][1]] * 3
    with opened(tables, tmp_path) as con:
        assert con.execute("SELECT shard, row FROM tables.rejected ORDER BY ALL").fetchall() == [(0, 0), (1, 0), (2, 0)]


def test_variables_are_those_of_the_recipe():
    recipe = load(TINY)
    assert variables_of(recipe.identity(), {"eos_id": 0, "bos_id": None}) == {
        "threshold": recipe.dedup.threshold, "sequence_tokens": recipe.pack.sequence_tokens, "pad_documents_to": 1, "n_knots": 0,
        "negative_neighbours": 4,
        "budget_tokens": recipe.plan.budget_tokens, "long_tokens": recipe.plan.long_tokens,
        "max_epochs": recipe.plan.max_epochs, "dropped_reasons": ["repeats", "list"], "eos_id": 0, "bos_id": None,
    }  # fmt: skip
    earlier = recipe.identity()
    earlier["plan"]["select"] = None  # of a version made by an earlier release, whose error comes later
    assert variables_of(earlier, {})["dropped_reasons"] == []


def test_literals_are_read_back_by_duckdb():
    values = ["plain", "it's", 'say "x"', 1, ["a", "it's"], []]
    assert [duckdb.sql(f"SELECT {literal(value)}").fetchall()[0][0] for value in values] == values


def test_types_of_columns_are_those_of_duckdb():
    for schema in TABLES.values():
        types = [str(kind).replace('"', "") for kind in duckdb.from_arrow(schema.empty_table()).types]
        assert [sql_type(field.type).replace('"', "") for field in schema] == types
