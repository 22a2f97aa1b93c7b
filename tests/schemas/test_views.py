"""The views against plain counts on small tables, and what is generated for every table of scores."""

import re

import pyarrow as pa
import pytest

from pipelines.catalog import connect, rows_of
from pipelines.store import Store
from schemas.columns import part
from schemas.lengths import BUCKETS, bucket_of
from schemas.tables import TABLES
from schemas.views import comments, further_scores, views
from tests.schemas.test_laws import VARIABLES, document, put, reading, refuse, rejected, sound
from tests.tokens import refused_row, token_row


def test_buckets_are_those_of_the_plan():
    lengths = sorted(
        {edge + step for edge in (0, *(1024 << i for i in range(9))) for step in (-1, 0, 1) if edge + step >= 0}
    )
    con = reading(sound())
    for n in lengths:
        ((bucket,),) = con.execute("SELECT bucket_of(?)::VARCHAR", [n]).fetchall()
        assert bucket == BUCKETS[int(bucket_of(n))], n


def test_lengths_and_shares_count_what_was_kept_and_what_was_drawn():
    con = reading(sound())
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
def test_contained(small, large, expected):
    tables = {
        **sound(),
        "SIGNATURES": [[small, signature(0, [])], [signature(0, []), large]],
    }
    con = reading(tables)
    assert con.execute("SELECT document_id, inside_id, containment FROM contained").fetchall() == expected


def test_tables_that_are_empty_are_there(tmp_path):
    with connect(Store(tmp_path), {}, [], tmp_path, VARIABLES) as con:
        for name in (
            *(f"tables.{t}" for t in TABLES),
            *(view for view in comments() if view not in ("totals", "packing")),
        ):
            assert con.execute(f"FROM {name}").fetchall() == [], name
        ((sequences, *shares),) = con.execute(
            "SELECT sequences, padding_share, attention_share FROM packing"
        ).fetchall()
        assert (sequences, shares) == (0, [None, None])
        assert rows_of(con, "FROM totals") == [
            {
                **dict.fromkeys(("tokens", "pad_tokens", "sequences", "segments", "documents", "kept", "rejected", "refused"), 0),
                "screened": None, "scored": None, "sequence_tokens": 8, "fill_share": None,
            }
        ]  # fmt: skip


def test_rows_are_joined_by_place_where_an_id_stands_twice():
    """The same record twice in a file has one id on two rows."""
    tables = sound()
    tables["DOCUMENTS"][0][1] = document("a", "xx", 1)
    tables["DUPLICATES"][0][1]["document_id"] = tables["TOKENS"][0][1]["document_id"] = "a"
    con = reading(tables)
    rows = con.execute("SELECT record, verdict FROM documents WHERE document_id = 'a' ORDER BY record").fetchall()
    assert rows == [(0, "kept"), (1, "exact")]


def answers(view, *changes):
    tables = sound()
    for change in changes:
        change(tables)
    return reading(tables).execute(f"FROM {view}").fetchall()


def test_every_view_says_what_a_row_is():
    assert list(comments()) == re.findall(r"CREATE VIEW (\w+)", views())
    assert [view for view, comment in comments().items() if not comment.startswith("A row is ")] == []
    con = reading(sound())
    query = "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"
    assert dict(con.execute(query).fetchall()) == comments()


def test_the_columns_of_scores():
    con = reading(sound())
    columns = [column[0] for column in con.execute("FROM scores").description]
    assert columns == [
        "document_id", "content_hash", "source", "domain", "n_tokens", "length_bucket", "status", "reason", "score",
        "error", "near", "near_error", "n_pairs", "uncorrected", "uncorrected_near", "strong_share", "strength",
        "distance", "entropy_factor", "repeat_share", "recurrence", "order_z", "list_share", "shuffled", "refused",
        "lds", "infogain", "key_share", "ds", "du",
    ]  # fmt: skip


def test_equal_parts_of_two_further_scores_are_told_apart(monkeypatch):
    for kind in ("one", "two"):
        schema = pa.schema([part("score", "its score"), part("depth", "a part of both", shown=True)])
        monkeypatch.setitem(TABLES, f"SCORES_{kind.upper()}", schema)
    columns, _ = further_scores()
    assert '"one"."depth" AS "depth"' in columns
    assert '"two"."depth" AS "two_depth"' in columns


def test_other_scores_are_spread_by_domain():
    assert answers("other_scores") == [
        (kind, "book", score, 1, 0.5, 0.5, 0.5)
        for kind, score in (("infogain", "infogain"), ("longattn", "ds"), ("prolong", "lds"))
    ]


def test_judged_has_a_row_for_each_table_and_document():
    kinds = ("budget", "cheap", "chunk_gain", "infogain", "longattn", "prolong")
    rows = answers("judged")
    assert sorted((kind, document) for kind, _, _, document, _ in rows) == [(k, d) for k in kinds for d in "abcd"]
    assert {status for kind, _, _, _, status in rows if kind == "budget"} == {None}


def test_totals():
    (row,) = answers("totals")
    assert row == (14, 0, 3, 4, 4, 2, 1, 0, 2, 1, 8, 14 / 24)
    (row,) = answers("totals", refuse)
    assert row == (14, 0, 3, 4, 5, 3, 2, 1, 3, 1, 8, 14 / 24)


def test_totals_of_a_recipe_that_scores_nothing():
    def without_scores(tables):
        for name in [name for name in tables if name.startswith("SCORES_") or name == "BUDGET"]:
            del tables[name]

    (row,) = answers("totals", without_scores)
    assert row[8:10] == (None, None)


def only_rejected(tables):
    tables["REJECTED"][0].append(rejected(2) | {"source": "t", "reason": "not_utf8"})
    tables["REJECTED"][1].append(rejected(3))


def test_sources_count_what_was_dropped_and_rejected():
    assert answers("sources", only_rejected) == [("s", 4, 2, 1, 1, 2, 7), ("t", 0, 0, 0, 0, 1, 0)]
    assert answers("rejections", only_rejected) == [
        ("ingest", "not_json", "s", 2), ("ingest", "not_utf8", "t", 1),
    ]  # fmt: skip


def test_a_refused_document_counts_as_rejected_and_not_as_encoded():
    assert answers("sources", refuse) == [("s", 5, 3, 1, 1, 2, 10)]
    assert answers("rejections", refuse) == [("encode", "no_token", "s", 1), ("ingest", "not_json", "s", 1)]
    for view in ("lengths", "shares", "largest", "licenses", "scores_by_length", "targets", "refused"):
        expected = answers(view)
        if view == "refused":  # it counts the documents of the view scores
            expected = [(domain, n + 1, *rest) for domain, n, *rest in expected]
        assert answers(view, refuse) == expected, view
    assert answers("not_scored", refuse) == [
        ("book", "not_scored", "short", 1, 3), ("book", "not_scored", "refused", 1, 0),
    ]  # fmt: skip
    assert answers("not_scored_reasons", refuse) == [("short", 1, 3), ("refused", 1, 0)]
    con = reading(refused(sound()))
    rows = con.execute(
        "SELECT document_id, verdict, token_status, token_reason, n_tokens FROM documents ORDER BY 1"
    ).fetchall()
    assert rows == [
        ("a", "kept", "encoded", None, 6), ("b", "exact", "dropped", None, None), ("c", "near", "dropped", None, None),
        ("d", "kept", "encoded", None, 3), ("e", "kept", "refused", "no_token", None),
    ]  # fmt: skip


def test_a_domain_of_refused_documents_alone_has_no_largest():
    alone = answers("largest", refuse, lambda tables: tables["DOCUMENTS"][1][2].update(domain="web"))
    assert alone == answers("largest")


def refused(tables):
    refuse(tables)
    return tables


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("no_token", "use one with an unk_token or with byte_fallback"),
        ("eos_in_text", "use another tokenizer or eos_token"),
        ("bos_in_text", "use another tokenizer or bos_token"),
        ("tokenizer_error", "use another tokenizer, or remove the document"),
    ],
)
def test_a_refused_document_is_rejected_with_what_to_do(reason, remedy):
    tables = refused(sound())
    tables["TOKENS"][1][2] = refused_row("e", reason)
    con = reading(tables)
    first, second = rows_of(con, "SELECT * FROM rejected ORDER BY stage DESC")
    assert first == {
        "stage": "ingest", "source": "s", "file": "a.jsonl", "record": 1, "reason": "not_json",
        "detail": "at character 0 of the record", "n_bytes": 1, "record_hash": "0", "head": "?",
    }  # fmt: skip
    assert list(first) == list(second)
    detail = second.pop("detail")
    assert second == {
        "stage": "encode", "source": "s", "file": "a.jsonl", "record": 3, "reason": reason, "n_bytes": 3,
        "record_hash": "hash of ???", "head": "???",
    }  # fmt: skip
    assert detail.endswith(f"; {remedy}")


@pytest.mark.parametrize(
    ("raw", "head"),
    [
        (b"a\n\n b\tc", "a b c"),
        ("中文".encode(), "中文"),
        ("中文".encode()[:-1] + b" x", r"\xE4\xB8\xAD\xE6\x96 x"),
        (b"w" * 300, "w" * 60),
        (b"", ""),
    ],
    ids=["white space", "UTF-8", "cut inside a character", "long", "empty"],
)
def test_a_head_is_one_short_line_whatever_the_bytes(raw, head):
    tables = sound()
    tables["REJECTED"][1][0]["head"] = raw
    con = reading(tables)
    assert con.execute("SELECT head FROM rejected").fetchall() == [(head,)]


def test_encoding_counts_by_source():
    tables = refused(sound())
    tables["TOKENS"][0][0] |= {"decodes": False, "fell_back": "hostile"}
    tables["TOKENS"][0][1] |= {"fell_back": "hostile"}
    tables["TOKENS"][1][1] |= {"decodes": False}
    columns = ("source", "documents", "n_bytes", "tokens", "bytes_per_token", "refused", "sampled", "lossy", "fell_back_shards")  # fmt: skip
    con = reading(tables)
    assert rows_of(con, "FROM encoding") == [dict(zip(columns, ("s", 2, 3, 9, 3 / 9, 1, 2, 2, 1), strict=True))]
    tables["DOCUMENTS"][1][2]["source"] = "t"
    con = reading(tables)
    first, second = rows_of(con, "FROM encoding")
    assert first == dict(zip(columns, ("s", 2, 3, 9, 3 / 9, 0, 2, 2, 1), strict=True))
    assert second == dict(zip(columns, ("t", 0, 0, 0, None, 1, 0, 0, 0), strict=True))


def test_licenses_count_each_document_once_and_each_copy_of_its_tokens():
    """a has two copies of 6 tokens, 2 tokens of d are drawn; the license of a dropped copy of a is not that of a."""
    licensed = (put("DOCUMENTS", 1, 1, license="MIT"), put("DOCUMENTS", 0, 1, license="GPL-2.0-only"))
    assert answers("licenses", *licensed) == [(None, 1, 12), ("MIT", 1, 2)]


def test_the_largest_document_of_a_domain():
    assert answers("largest") == [("book", 6 / 9, 6, "s", "a.jsonl", "a")]


def test_refused_documents_are_counted_by_reason():
    refused = (put("SCORES_CHEAP", 1, 1, refused="list", shuffled=True), put("SCORES_CHEAP", 0, 1, refused="list"))
    assert answers("refused", *refused) == [("book", 2, 0, 1, 0, 1, 3)]  # the dropped copy does not count
    assert answers("refused", put("SCORES_CHEAP", 0, 0, refused="repeats")) == [("book", 2, 1, 0, 0, 0, 6)]
    assert answers("refused", put("SCORES_CHEAP", 0, 0, refused="stitched")) == [("book", 2, 0, 0, 1, 0, 6)]


def test_documents_without_a_score_are_counted_by_reason():
    assert answers("not_scored") == [("book", "not_scored", "short", 1, 3)]
    no_reason = put("SCORES_CHUNK_GAIN", 1, 1, status="error", reason=None)
    assert answers("not_scored_reasons", no_reason) == [("error", 1, 3)]


def test_scores_by_length():
    assert answers("scores_by_length", put("SCORES_CHEAP", 1, 1, refused="list")) == [
        ("book", "0-1K", 2, 1, 2, 1, 0.5, 0.5, 0.5, 0.5, 0.5)
    ]


def test_targets_have_their_shortfall():
    rows = answers("targets", put("TARGETS", 0, 1, target_tokens=15))
    left_out = [0] * 6
    assert rows == [("book", "short", 2, 6, 2, 1.0, *left_out, 0), ("book", "long", 15, 12, 12, 1.0, *left_out, 3)]


def keep_b(tables):
    tables["DUPLICATES"][0][1] |= {"verdict": "kept", "kept_id": None, "similarity": None}
    tables["TOKENS"][0][1] = token_row("b", [0])


def test_containers_count_the_documents_inside_them():
    """a and b, here a document of its own, are inside d, and make up two thirds of it."""

    def inside(tables):
        small, large = signature(100, [1, 2, 3, 4, 5]), signature(300, [1, 2, 3, 4, 5, 6])
        tables["SIGNATURES"] = [[small, small], [signature(0, []), large]]

    assert answers("containers", keep_b, inside) == [("d", "book", "s", "a.jsonl", 2, pytest.approx(2 / 3))]
    assert answers("containers", inside) == [("d", "book", "s", "a.jsonl", 1, pytest.approx(1 / 3))]


def test_documents_that_overlap_inside_another_are_at_most_all_of_it():
    def inside(tables):
        small = signature(100, [1, 2, 3, 4, 5])
        tables["SIGNATURES"] = [[small] * 2 + [small] * 2, [signature(0, []), signature(300, [1, 2, 3, 4, 5, 6])]]
        for k in (2, 3):
            for name in ("DOCUMENTS", "DUPLICATES", "TOKENS"):
                tables[name][0].append(tables[name][0][0] | {"document_id": f"a{k}"})

    assert answers("containers", keep_b, inside) == [("d", "book", "s", "a.jsonl", 4, 1.0)]
