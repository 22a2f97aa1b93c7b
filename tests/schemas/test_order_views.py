"""The views of an order on a few rows, worked out by hand, and the queries of its page."""

import re
from pathlib import Path

from flows.tables import printed
from tests.schemas.test_laws import opened, segment, sequence, sound, with_chunks, with_path

QUERIES = re.findall(r'^longmix query ROOT "(.+)"', Path("docs/order.md").read_text(), re.MULTILINE)


def test_the_bound_holds_where_the_path_is_nearer_than_the_lists(tmp_path):
    """Documents of different partitions do not list each other, and may be neighbours on the path."""
    tables = sound()
    with_path(tables)
    first, second = tables["ORDER"][0]
    first |= {"neighbours": [9], "similarities": [0.25]}
    second |= {"neighbours": [], "similarities": [], "near_set": "a"}
    with opened(tables, tmp_path) as con:
        ((largest, mean, most),) = con.execute(
            "SELECT largest_near_set, mean_similarity, most_similarity FROM path_quality"
        ).fetchall()
    assert (largest, mean, most) == (2, 0.5, (0.25 + 0.5 + 0.5) / 2)


def test_chunks_in_one_sequence_are_no_cut(tmp_path):
    """Knots divide documents inside a sequence."""
    tables = sound()
    tables["SEQUENCES"][0] = [sequence(0, segment("a", 0, 2), segment("d", 0, 2), segment("a", 2, 6))]
    with opened(tables, tmp_path) as con:
        assert con.execute("SELECT forced_cuts, avoidable_cuts FROM packing").fetchall() == [(0, 0)]


def test_the_queries_of_the_page_have_an_answer_that_fits_a_terminal(tmp_path):
    assert len(QUERIES) > 5
    tables = sound()
    with_chunks(tables)
    with opened(tables, tmp_path) as con:
        for sql in QUERIES:
            answer = con.execute(sql)
            columns = [column[0] for column in answer.description]
            rows = answer.fetchall()
            assert rows, sql
            text = printed(columns, rows, width=80)
            assert max(map(len, text.splitlines())) <= 80, sql
            assert "shown" not in text, sql  # every column is
