"""views.sql against plain code on small tables."""

import pytest

from pipelines.catalog import connect
from pipelines.store import Store
from schemas.lengths import BUCKETS, bucket_of
from schemas.tables import TABLES
from tests.schemas.test_laws import VARIABLES, document, opened, sound


def test_buckets_are_those_of_the_plan(tmp_path):
    lengths = sorted(
        {edge + step for edge in (0, *(1024 << i for i in range(9))) for step in (-1, 0, 1) if edge + step >= 0}
    )
    with opened(sound(), tmp_path) as con:
        for n in lengths:
            ((bucket,),) = con.execute("SELECT bucket_of(?)::VARCHAR", [n]).fetchall()
            assert bucket == BUCKETS[int(bucket_of(n))], n


def test_lengths_and_shares_count_what_was_kept_and_what_was_drawn(tmp_path):
    with opened(sound(), tmp_path) as con:
        assert con.execute("FROM lengths").fetchall() == [("book", "0-1K", 2, 9, 3, 14)]
        assert con.execute("FROM shares").fetchall() == [("book", 9, 14, 1.0, 1.0)]
        assert con.execute("SELECT sequence_start, sequence_stop FROM segments WHERE sequence_id = 0 ORDER BY place").fetchall() == [
            (0, 4), (4, 6),
        ]  # fmt: skip


def signature(n_shingles, sketch):
    return {"n_shingles": n_shingles, "signature": [0] * 128, "sketch": sketch}


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        (signature(100, [1, 2, 3, 4, 5]), signature(300, [1, 2, 3, 4, 5, 6]), [("a", "d", 1.0)]),
        (signature(100, [1, 2, 3, 4, 5]), signature(299, [1, 2, 3, 4, 5, 6]), []),  # not three times the size
        (signature(100, [1, 2, 3, 4]), signature(300, [1, 2, 3, 4, 5, 6]), []),  # too few to tell
        (signature(100, list(range(10))), signature(300, list(range(1, 40))), [("a", "d", 0.9)]),
        (signature(100, list(range(10))), signature(300, list(range(2, 40))), []),
    ],
)
def test_contained(tmp_path, small, large, expected):
    tables = {
        **sound(),
        "SIGNATURES": [[small, signature(0, [])], [signature(0, []), large]],
    }
    with opened(tables, tmp_path) as con:
        assert con.execute("SELECT document_id, inside_id, containment FROM contained").fetchall() == expected


def test_tables_that_are_empty_are_there(tmp_path):
    with connect(Store(tmp_path), {}, [], tmp_path, VARIABLES) as con:
        for name in (
            *(f"tables.{t}" for t in TABLES),
            "documents",
            "draws",
            "segments",
            "lengths",
            "shares",
            "contained",
        ):
            assert con.execute(f"FROM {name}").fetchall() == []


def test_rows_are_joined_by_place_where_an_id_stands_twice(tmp_path):
    """The same record twice in a file has one id on two rows."""
    tables = sound()
    tables["DOCUMENTS"][0][1] = document("a", "xx", 1)
    tables["DUPLICATES"][0][1]["document_id"] = tables["TOKENS"][0][1]["document_id"] = "a"
    with opened(tables, tmp_path) as con:
        rows = con.execute("SELECT record, verdict FROM documents WHERE document_id = 'a' ORDER BY record").fetchall()
    assert rows == [(0, "kept"), (1, "exact")]
