"""`longmix query` and `longmix show` on the small mix."""

import json

import pytest

from flows.query import MOST_ROWS, ask, opened, sequence_row, show_sequence
from flows.tables import WIDTH
from pipelines.catalog import rows_of
from schemas.errors import RecipeError
from tests.schemas.test_laws import opened as of_tables
from tests.schemas.test_laws import sound


@pytest.fixture(scope="module")
def root(tiny):
    return tiny.folder.parents[2]


def test_an_answer_in_three_forms(root):
    sql = "SELECT verdict, count(*) AS n, NULL AS nothing FROM documents GROUP BY ALL ORDER BY n DESC LIMIT 1"
    (row,) = [json.loads(line) for line in ask(root, sql, "json", None, "latest").splitlines()]
    assert row == {"verdict": "kept", "n": row["n"], "nothing": None}
    assert ask(root, sql, "csv", None, "latest") == f"verdict,n,nothing\nkept,{row['n']},"
    assert f"{row['n']:,}" in ask(root, sql, "table", None, "latest")


def test_a_long_answer_is_cut_but_as_csv(root):
    sql = f"SELECT range AS n FROM range({MOST_ROWS + 5})"
    assert ask(root, sql, "table", None, "latest").endswith(f"the first {MOST_ROWS:,} rows; --format csv prints all")
    assert len(ask(root, sql, "json", None, "latest").splitlines()) == MOST_ROWS
    assert len(ask(root, sql, "csv", None, "latest").splitlines()) == MOST_ROWS + 6


def test_a_query_that_duckdb_refuses(root):
    with pytest.raises(RecipeError, match=r"query: .*nothing_here"):
        ask(root, "FROM nothing_here", "table", None, "latest")


def test_the_views_of_a_query_are_those_of_the_build(root, tiny):
    """The variables come from the manifest: sequence_tokens among them."""
    with opened(root, None, "latest") as (con, manifest, folder):
        assert folder == tiny.folder.resolve()
        (totals,) = rows_of(con, "FROM totals")
    assert totals["sequence_tokens"] == manifest.recipe["pack"]["sequence_tokens"]
    assert totals["tokens"] == 400_000
    assert 0.9 < totals["fill_share"] <= 1


def test_a_sequence_is_shown_segment_by_segment(root):
    with opened(root, None, "latest") as (con, _, _):
        rows = rows_of(con, "SELECT * FROM segments WHERE sequence_id = 3 ORDER BY place")
        text = show_sequence(root, "3", None, "latest", 160)
        lines = text.splitlines()
        assert [line for line in lines if len(line) > WIDTH] == []
        starts = [line for line in lines if line.startswith("  [")]
        assert [line.split(")")[0] for line in starts] == [
            f"  [{row['sequence_start']:,}, {row['sequence_stop']:,}" for row in rows
        ]
        for row in rows:
            query = "SELECT left(d.text, 160) FROM documents v JOIN tables.documents d USING (shard, row) WHERE v.document_id = ? AND verdict = 'kept'"
            ((opening,),) = con.execute(query, [row["document_id"]]).fetchall()
            assert f"document {row['document_id']}" in text
            assert "".join(repr(opening).split()) in "".join(text.split())
    assert "'" not in show_sequence(root, "3", None, "latest", 0)


def test_a_sequence_is_named_by_its_place_or_by_file_and_row(root):
    assert show_sequence(root, "0:3", None, "latest", 0).replace("0:3", "3") == show_sequence(
        root, "3", None, "latest", 0
    )


@pytest.mark.parametrize(
    ("sequence", "said"),
    [
        ("25", r"no sequence 25; choose one from 0 to 24$"),
        ("0:25", r"no row 25 in file 0; choose one from 0 to 24$"),
        ("1:0", r"no file 1; choose one from 0 to 0$"),
        ("-1", r"^'-1' is no sequence; name a place in the training order, as 3, or FILE:ROW, as 2:17$"),
        ("0:1:2", r"^'0:1:2' is no sequence"),
        (":1", r"^':1' is no sequence"),
    ],
)
def test_a_sequence_that_does_not_exist(root, sequence, said):
    with pytest.raises(RecipeError, match=said):
        show_sequence(root, sequence, None, "latest", 0)


def test_places_count_over_all_files(tmp_path):
    """The third sequence in the training order is the first of the second file."""
    with of_tables(sound(), tmp_path) as con:
        ids = [sequence_row(con, name, tmp_path)["sequence_id"] for name in ("0", "1", "2", "0:1", "1:0")]
        assert ids == [0, 1, 1 << 32, 1, 1 << 32]
        with pytest.raises(RecipeError, match=r"no row 1 in file 1; choose one from 0 to 0$"):
            sequence_row(con, "1:1", tmp_path)
