"""The report's part on scores: shown where a model was asked, whatever it was asked of."""

import duckdb
import pytest

from pipelines.publish.report import judged


def catalog(status, reason, refused=None):
    """One document's scores, and what the views say of it."""
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE scores (domain VARCHAR, n_tokens BIGINT, status VARCHAR, reason VARCHAR, refused VARCHAR, shuffled BOOLEAN)"
    )
    con.execute("INSERT INTO scores VALUES ('book', 70000, ?, ?, ?, false)", [status, reason, refused])
    con.execute("""CREATE VIEW scores_by_length AS SELECT domain, '64K' AS length_bucket, 1 AS documents,
        count(*) FILTER (status = 'scored') AS scored, 8 AS pairs, 0.1 AS low, 0.25 AS median, 0.4 AS high, 0.05 AS error,
        0.3 AS near, count(refused) AS refused FROM scores GROUP BY domain""")
    con.execute("""CREATE VIEW not_scored AS SELECT domain, status, reason, 1 AS documents, n_tokens AS tokens
        FROM scores WHERE status <> 'scored'""")
    return con


@pytest.mark.parametrize(
    ("row", "shown", "hidden"),
    [
        (("scored", None), ["Long dependencies", "0.250", "Refused without a model"], ["NaN"]),
        (
            ("not_scored", "short"),
            ["Long dependencies", "none", "Not scored by the model", "short", "70,000"],
            ["0.250"],
        ),
        ((None, None, "list"), ["Refused without a model"], ["Long dependencies", "Not scored"]),
    ],
    ids=["every document has a score", "none has", "no model was asked"],
)
def test_scores_are_shown_where_a_model_was_asked(row, shown, hidden):
    html = judged(catalog(*row))
    assert [text for text in shown if text not in html] == []
    assert [text for text in hidden if text in html] == []


def test_nothing_is_shown_of_a_recipe_that_scores_nothing():
    con = catalog("scored", None)
    con.execute("DELETE FROM scores")
    assert judged(con) == ""
