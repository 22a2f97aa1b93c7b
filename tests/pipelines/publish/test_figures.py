"""Cells as the card and the report show them."""

import duckdb

from pipelines.publish.figures import answer, heading, lengths, of_rows, shown
from schemas.lengths import BUCKETS
from tests.schemas.test_laws import reading, sound


def test_figures_are_exact_shares_are_percentages_and_no_value_is_a_dash():
    assert shown("n_tokens", 1_234_567) == "1,234,567"
    assert shown("mix_share", 0.12345) == "12.35%"
    assert shown("median", 0.12345) == "0.123"
    assert (shown("median", 0.001), shown("median", 0.00099), shown("median", 0.0)) == ("0.001", "9.90e-04", "0.000")
    assert shown("license", None) == "-"
    assert shown("license", "MIT") == "MIT"


def test_headings_are_words():
    assert (heading("near_copies"), heading("low"), heading("n_bytes")) == ("near copies", "10 %", "bytes")


def test_figures_are_told_from_text_by_their_values():
    con = duckdb.connect()
    query = (
        "SELECT * FROM (VALUES ('a', NULL, 1, 0.5::DOUBLE), ('b', 2, 3, NULL)) t (domain, pairs, documents, mix_share)"
    )
    found = answer(con, query)
    assert found.headings == ["domain", "pairs", "documents", "share of the mix"]
    assert found.rows == [["a", "-", "1", "50.00%"], ["b", "2", "3", "-"]]
    assert found.is_figure == [False, True, True, True]
    assert of_rows([{"domain": "a", "pairs": 1_000}]).rows == [["a", "1,000"]]


def test_lengths_have_a_column_for_each_bucket_and_sums():
    tables = sound()
    tables["DOCUMENTS"][1][1]["domain"] = "web"
    tables["TOKENS"][1][1] |= {"n_tokens": 1_024, "input_ids": [0] * 1_024}
    con = reading(tables)
    found = lengths(con, "tokens")
    assert found.headings == ["domain", *BUCKETS, "all"]
    zeros = ["0"] * 7
    assert found.rows == [
        ["book", "6", "0", *zeros, "6"], ["web", "0", "1,024", *zeros, "1,024"], ["all", "6", "1,024", *zeros, "1,030"],
    ]  # fmt: skip
