"""Wording: what is said, in at most 80 columns, whatever the figures and names."""

import re
from pathlib import Path

import numpy as np
import pytest

from flows import text
from flows.forecast_text import absent_lengths
from flows.tables import WIDTH
from pipelines.actions import Reused
from pipelines.supply import SETTINGS
from pipelines.versions import Version
from schemas.tables import TABLES
from schemas.views import comments

LONG_NAME = "a-domain-with-a-name-that-is-far-too-long-for-a-table"
BILLIONS = 123_456_789_012


def target(domain, kind, target_tokens, available, **more):
    return {
        "domain": domain, "kind": kind, "target_tokens": target_tokens, "available_tokens": available,
        "drawn_tokens": min(target_tokens, available), "rate": 1.5,
        **{f"{name}_{what}": 0 for name in SETTINGS.values() for what in ("documents", "tokens")}, **more,
    }  # fmt: skip


def totals(**more):
    return {
        "tokens": BILLIONS, "sequences": 10**6, "segments": 10**7, "documents": 10**8, "kept": 10**8, "rejected": 0,
        "sequence_tokens": 131_072, "fill_share": 0.987654, **more,
    }  # fmt: skip


SCORED = {
    "domain": LONG_NAME, "length_bucket": "64-128K", "documents": 1_234_567, "scored": 1_234_567, "low": -0.123456,
    "median": 0.2, "high": 1.5, "error": 0.01, "near": 0.9,
}  # fmt: skip
DIFFERENCE = {
    "domain": LONG_NAME, "what": "corpus", "documents_in": 1_234_567, "renamed": 2, "documents_out": 1_234_567, "tokens_in": BILLIONS,
    "tokens_out": BILLIONS,
}  # fmt: skip
REJECTION = {"stage": "ingest", "reason": "not_json", "source": "a", "records": BILLIONS}
ENCODING = {
    "documents": 1,
    "source": LONG_NAME,
    "refused": BILLIONS,
    "sampled": BILLIONS,
    "lossy": BILLIONS,
    "fell_back_shards": BILLIONS,
}
LEFT_OUT = {"domain": LONG_NAME, "reason": "list", "documents": BILLIONS, "tokens": BILLIONS, "domain_share": 1.0}
SHARE = {"domain": LONG_NAME, "tokens": BILLIONS, "corpus_share": 1.0, "drawn_tokens": BILLIONS, "mix_share": 1.0}


@pytest.mark.parametrize(
    "lines",
    [
        text.length_table([LONG_NAME, "b"], np.full((2, 9), BILLIONS)),
        text.supply(
            [
                target(
                    LONG_NAME,
                    "short",
                    2 * BILLIONS,
                    BILLIONS,
                    over_share_documents=BILLIONS,
                    over_share_tokens=BILLIONS,
                )
            ]
        ),
        text.left_out([LEFT_OUT, {**LEFT_OUT, "reason": "outranked"}]),
        absent_lengths([LONG_NAME], np.zeros((1, 9)), [target(LONG_NAME, "long", 1, 0)]),
        text.headline(
            Version(Path("/r"), "m" * 20, "a" * 12, is_new=True),
            totals(),
            [REJECTION, {**REJECTION, "stage": "encode", "reason": "no_token"}],
            100_000,
        ),
        text.encoding([ENCODING]),
        text.shares([SHARE]),
        text.gains([SCORED]),
        text.reasons([{"reason": "the model's nll is not a finite number", "documents": 10**8, "tokens": BILLIONS}]),
        text.difference([DIFFERENCE], "a" * 12, "b" * 12).splitlines(),
    ],
    ids=["lengths", "supply", "left out", "absent", "headline", "encoding", "shares", "gains", "reasons", "difference"],
)
def test_everything_fits_into_80_columns(lines):
    assert [line for line in lines if len(line) > WIDTH] == []
    assert lines


def test_buckets_that_no_domain_has_are_left_out():
    tokens = np.zeros((2, 9), np.int64)
    tokens[0, 0], tokens[1, 3] = 1_500, 7
    head, first, second, both = text.length_table(["a", "b"], tokens)
    assert head.split() == ["domain", "0-1K", "4-8K", "all"]
    assert first.split() == ["a", "1.50k", "-", "1.50k"]
    assert second.split() == ["b", "-", "7", "7"]
    assert both.split() == ["all", "1.50k", "7", "1.51k"]


def test_supply_lists_the_cells_that_fall_short_after_the_sentence():
    rows = [target("a", "long", 9, 4), target("a", "short", 1, 4, not_selected_documents=1, not_selected_tokens=2)]
    sentence, _, cell, left_out = text.supply(rows)
    assert sentence == "Shortfall: 5 of 10 tokens cannot be supplied and are not substituted."
    assert cell.split() == ["a", "long", "9", "4", "5"]
    assert left_out == "Left out by plan.select.top_share: 1 document, 2 tokens."
    assert text.supply([]) == []


def test_a_headline_tells_of_rejected_records_and_of_shards_made_again():
    plain = text.headline(Version(Path("/r"), "m", "v", is_new=True), totals(), [], 1)
    assert len(plain) == 4
    assert "rejected" not in "".join(plain)
    lines = text.headline(Version(Path("/r"), "m", "v", is_new=True, mended=("T/1", "T/2")), totals(), [REJECTION], 1)
    assert "  damaged files that were made again: 2" in lines
    assert lines[-1] == f"  rejected: {BILLIONS:,} records ({BILLIONS:,} not_json)"


def test_a_headline_counts_reused_rows_by_stage():
    reused = {"signatures": Reused(28_195, 29_711), "encode": Reused(27_547, 29_711), "screen": Reused(0, 29_711)}
    lines = text.headline(Version(Path("/r"), "m", "v", is_new=True, reused=reused), totals(), [], 1)
    assert lines[2:4] == [
        "  rows of unchanged documents reused: signatures 28,195 of 29,711, encode 27,547",
        "  of 29,711",
    ]
    assert len(lines) == 6


def test_a_difference_has_a_row_for_each_domain():
    lines = text.difference([DIFFERENCE | {"domain": "a", "documents_in": 12}], "v1", "v2").splitlines()
    assert lines[0] == "From v1 to v2"
    assert lines[2].split() == ["a", "corpus", "12", "1,234,567", f"{BILLIONS:,}", f"{BILLIONS:,}"]
    assert " ".join(lines[3:]).startswith("Renamed: 2 documents of the corpus")
    assert len(text.difference([DIFFERENCE | {"renamed": 0}], "v1", "v2").splitlines()) == 3


def test_a_score_without_an_error_is_shown():
    assert text.gains([SCORED | {"domain": "a", "error": None}])[1].split()[-2:] == ["-", "0.900"]


def test_the_help_of_a_query_has_a_line_for_each_view():
    lines = text.views_help(comments(), TABLES).splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    assert [line.split()[0] for line in lines if re.match(r"  \w", line)] == list(comments())
    assert "  rejections          a stage (ingest, encode), a reason and a source: how many" in lines
    assert all(f"tables.{name}" in " ".join(lines) for name in TABLES)


def test_a_location_says_when_nothing_was_made():
    assert text.location(Version(Path("/r"), "m", "v", is_new=True)) == "**/r**"
    assert text.location(Version(Path("/r"), "m", "v", is_new=False)).endswith("nothing was made.")
