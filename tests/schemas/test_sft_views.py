"""The views of a set of instruction samples, on the small set of sft_laws.py; empty for a mix of documents."""

import pytest

from pipelines.catalog import rows_of
from tests.schemas import sft_laws, test_laws
from tests.schemas.test_laws import reading

VIEWS = ("samples", "chosen", "choices", "chosen_by_domain", "influence_status", "quotas")


@pytest.fixture
def con():
    return reading(sft_laws.sound())


def test_they_are_empty_for_a_mix_of_documents():
    con = reading(test_laws.sound())
    assert [con.execute(f"FROM {view}").fetchall() for view in VIEWS] == [[]] * len(VIEWS)


def test_a_sample_has_its_lengths_its_scores_and_why(con):
    rows = {row["document_id"]: row for row in rows_of(con, "FROM samples")}
    assert sorted(rows) == ["a", "c", "d", "e", "n", "r", "s"]  # b is a copy
    a, r, n = rows["a"], rows["r"], rows["n"]
    assert (a["why"], a["reason"], a["place"], a["score"], a["n_tokens"]) == ("top", None, 1, 1.0, 8)
    assert (a["context_tokens"], a["response_tokens"], a["nll_gain"], a["alignment"]) == (3, 2, 1.0, 0.5)
    assert (r["token_status"], r["reason"], r["hmg_reason"], r["n_tokens"]) == ("refused", "refused", "refused", None)
    assert (n["reason"], n["cam_status"], n["hmg_status"]) == ("one segment", "too_short", "scored")
    assert rows["d"]["similar_id"] == "a"


def test_every_sample_is_counted_by_what_became_of_it(con):
    assert con.execute("FROM choices").fetchall() == [
        ("tip", "short", None, 1, 8), ("web", "top", None, 2, 16), ("web", None, "one segment", 1, 8),
        ("web", None, "outranked", 1, 8), ("web", None, "refused", 1, 0), ("web", None, "similar", 1, 8),
    ]  # fmt: skip


def test_the_chosen_are_in_the_order_of_their_ranks(con):
    rows = rows_of(con, "SELECT document_id, rank, why, source, nll_gain FROM chosen")
    assert [(r["document_id"], r["rank"], r["source"], r["nll_gain"]) for r in rows] == [
        ("a", 1, "web", 1.0), ("c", 2, "web", 1.0), ("s", None, "tips", None),
    ]  # fmt: skip


def test_the_chosen_are_compared_with_the_candidates_that_are_left():
    tables = sft_laws.sound()
    tables["SCORES_HMG"][1][1] |= {"nll_gain": 0.25}  # d
    tables["SCORES_CAM"][1][2] |= {"alignment": 0.1}  # e
    con = reading(tables)
    chosen, left = rows_of(con, "FROM chosen_by_domain")
    assert (chosen["domain"], chosen["is_chosen"], chosen["samples"]) == ("web", True, 2)
    assert (chosen["nll_gain"], chosen["alignment"], chosen["context_tokens"]) == (1.0, 0.5, 2.5)
    assert (left["is_chosen"], left["samples"], left["nll_gain"], left["alignment"]) == (False, 2, 0.625, 0.3)
    assert (left["n_tokens"], left["response_tokens"], left["context_tokens"]) == (8.0, 2.0, 3.0)


def test_parts_are_counted_by_status_and_reason(con):
    assert con.execute("FROM influence_status").fetchall() == [
        ("hmg", "scored", None, 5), ("hmg", "not_scored", "refused", 1), ("hmg", "not_scored", "short_source", 1),
        ("cam", "scored", None, 4), ("cam", "not_scored", "refused", 1), ("cam", "not_scored", "short_source", 1),
        ("cam", "too_short", "one segment", 1),
    ]  # fmt: skip


def test_quotas_have_their_shortfall(con):
    rows = rows_of(con, "FROM quotas")
    assert [(r["why"], r["domain"], r["target"], r["chosen"], r["shortfall"], r["similar"]) for r in rows] == [
        ("top", "web", 3, 2, 1, 1), ("short", None, 1, 1, 0, 0),
    ]  # fmt: skip


def test_rejections_and_sources_are_those_of_documents(con):
    assert con.execute("SELECT stage, reason, records FROM rejections").fetchall() == [("encode", "no_token", 1)]
    assert con.execute("SELECT source, documents, kept FROM sources ORDER BY 1").fetchall() == [
        ("tips", 1, 1),
        ("web", 7, 6),
    ]
