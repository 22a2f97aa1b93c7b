"""A table of scores that is added to TABLES shows up in views, laws, catalog, report and help without a line of SQL."""

import math

import duckdb
import pytest
from typer.testing import CliRunner

from flows.cli import app
from pipelines.catalog import check_laws, rows_of, write_catalog
from pipelines.publish.card import Edition
from pipelines.publish.report import report
from pipelines.recipe import load
from schemas.columns import part
from schemas.errors import LawError
from schemas.scores import scores_of
from schemas.tables import TABLES
from tests.conftest import TINY
from tests.schemas.test_laws import opened, sound

TOY = scores_of(
    part("toy", "its score"), part("score", "a name that chunk_gain has too", shown=True), part("hidden", "a part")
)


def toy(name, status, reason=None, value=None):
    row = {"document_id": name, "status": status, "reason": reason}
    return row | {"toy": value, "score": value and 10 * value, "hidden": value and 100 * value}


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.setitem(TABLES, "SCORES_TOY", TOY)
    dropped = ("dropped", "dropped")
    return sound() | {
        "SCORES_TOY": [
            [toy("a", "scored", value=0.25), toy("b", *dropped)],
            [toy("c", *dropped), toy("d", "error", "no number")],
        ]
    }


def test_its_rows_are_in_judged_and_its_parts_in_score_values(tables, tmp_path):
    with opened(tables, tmp_path) as con:
        assert con.execute("SELECT document_id, status FROM judged WHERE kind = 'toy' ORDER BY ALL").fetchall() == [
            ("a", "scored"), ("b", "dropped"), ("c", "dropped"), ("d", "error"),
        ]  # fmt: skip
        query = "SELECT part, value, is_score FROM score_values WHERE kind = 'toy' AND document_id = 'a' ORDER BY value"
        assert con.execute(query).fetchall() == [("toy", 0.25, True), ("score", 2.5, False), ("hidden", 25.0, False)]
        query = "SELECT reason, count(*), count(value) FROM score_values WHERE kind = 'toy' AND document_id = 'd' GROUP BY ALL"
        assert con.execute(query).fetchall() == [("no number", 3, 0)]


def test_its_score_and_its_marked_parts_are_columns_of_scores(tables, tmp_path):
    with opened(tables, tmp_path) as con:
        rows = rows_of(con, "FROM scores ORDER BY document_id")
    assert list(rows[0])[-2:] == ["toy", "toy_score"]
    assert [(row["document_id"], row["score"], row["toy"], row["toy_score"]) for row in rows] == [
        ("a", 0.5, 0.25, 2.5), ("d", None, None, None),
    ]  # fmt: skip


BREACHES = {
    "scored without a score": {"toy": None},
    "a score that is not scored": {"status": "not_scored", "reason": "short"},
    "scored with a reason": {"reason": "none"},
    "not scored without a reason": {"status": "error", "toy": None},
    "a status that does not exist": {"status": "skipped", "toy": None, "reason": "skipped"},
    "a score that is NaN": {"toy": math.nan},
    "a part that is NaN": {"hidden": math.nan},
}


@pytest.mark.parametrize("change", BREACHES.values(), ids=BREACHES)
def test_the_law_of_scores_holds_for_it(tables, tmp_path, change):
    tables["SCORES_TOY"][0][0] |= change
    with opened(tables, tmp_path) as con, pytest.raises(LawError, match="score is non-NULL exactly when"):
        check_laws(con)


def test_it_has_a_row_for_each_document(tables, tmp_path):
    with opened(tables, tmp_path / "sound") as con:
        check_laws(con)
    tables["SCORES_TOY"][0].reverse()
    with opened(tables, tmp_path) as con, pytest.raises(LawError, match="have a row for each row of DOCUMENTS"):
        check_laws(con)


def test_its_spread_is_in_the_catalog_and_in_the_report(tables, tmp_path):
    tables["SCORES_TOY"][1][1] = toy("d", "scored", value=1.25)
    with opened(tables, tmp_path) as con:
        write_catalog(con, tmp_path / "catalog.duckdb", {"mix": "m"})
        html = report(con, load(TINY), Edition("abc", tmp_path, ()))
    with duckdb.connect(str(tmp_path / "catalog.duckdb"), read_only=True) as con:
        assert con.execute("FROM other_scores WHERE kind = 'toy'").fetchall() == [
            ("toy", "book", "toy", 2, pytest.approx(0.35), 0.75, pytest.approx(1.15))
        ]
        assert con.execute("SELECT toy FROM scores ORDER BY document_id").fetchall() == [(0.25,), (1.25,)]
    part_of = html.partition("<h2>Other scores</h2>")[2].partition("<h2>")[0]
    figures = "".join(f'<td class="figure">{x}</td>' for x in ("2", "0.350", "0.750", "1.150"))
    assert f"<td>toy</td><td>book</td><td>toy</td>{figures}" in part_of
    assert "<td>longattn</td>" in part_of
    assert "<td>cheap</td>" not in part_of


@pytest.mark.usefixtures("tables")
def test_the_help_of_a_query_lists_it():
    assert "tables.SCORES_TOY" in CliRunner().invoke(app, ["query", "--help"]).output
