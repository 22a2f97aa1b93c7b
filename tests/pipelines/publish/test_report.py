"""The report: what it says of a shortfall and of scores, exact figures, and nothing of what a recipe does not do."""

import re
from html import escape
from pathlib import Path

import numpy as np
import pytest

from pipelines.publish.card import Edition
from pipelines.publish.figures import Answer
from pipelines.publish.report import bar, report, table
from pipelines.recipe import load
from tests.conftest import TINY
from tests.schemas.test_laws import put, reading, refuse, sound, with_path

EDITION = Edition("abc", Path("/root/datasets/tiny/abc"), ())


def written(*changes):
    tables = sound()
    for change in changes:
        change(tables)
    return report(reading(tables), load(TINY), EDITION)


def cells(html, title):
    """The cells of the table under a heading, row by row."""
    part = html.partition(f"<h2>{title}</h2>")[2].partition("<h2>")[0]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in part.split("<tr")[2:]]


def without(*prefixes):
    def change(tables):
        for name in [name for name in tables if name.startswith(prefixes)]:
            del tables[name]

    return change


def test_scores_are_shown_where_a_model_was_run():
    html = written()
    (row,) = cells(html, "Long dependencies")
    assert row == ["book", "0-1K", "2", "1", "2", "0", "0.500", "0.500", "0.500", "0.500", "0.500"]
    assert cells(html, "Documents without a chunk_gain score") == [["short", "1", "3"]]
    assert cells(html, "Documents that the cheap tier refuses") == [["book", "2", "0", "0", "0", "0", "0"]]


def test_no_document_has_a_score():
    unscored = dict.fromkeys(("score", "error", "near"))
    html = written(put("SCORES_CHUNK_GAIN", 0, 0, status="not_scored", reason="budget", **unscored))
    assert cells(html, "Long dependencies") == []
    assert '<p class="note">none</p>' in html.partition("<h2>Long dependencies</h2>")[2].partition("<h2>")[0]
    assert cells(html, "Documents without a chunk_gain score") == [["budget", "1", "6"], ["short", "1", "3"]]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("BUDGET", "SCORES_CHUNK_GAIN", "SCORES_PROLONG", "SCORES_INFOGAIN", "SCORES_LONGATTN"), [False, True]),
        (("BUDGET", "SCORES_"), [False, False]),
    ],
    ids=["no model", "no scores"],
)
def test_a_recipe_without_scores_has_no_section_on_them(names, shown):
    html = written(without(*names))
    assert [title in html for title in ("chunk_gain", "Documents that the cheap tier refuses")] == shown


def test_a_shortfall_is_a_sentence_in_red_and_a_row_of_the_targets():
    html = written(put("TARGETS", 0, 1, target_tokens=1_012, not_selected_documents=1, not_selected_tokens=7))
    sentence = "Shortfall: 1,000 of 1,014 tokens cannot be supplied and are not substituted."
    assert f"<p class=short>{sentence}</p>" in html
    assert "<p>Left out by plan.select.top_share: 1 document, 7 tokens.</p>" in html
    short = "".join(f'<td class="figure">{n}</td>' for n in ("1,012", "12", "1,000"))
    assert f"<td>book</td><td>long</td>{short}</tr></table>" in html.partition("<h2>")[0]
    assert cells(html, "Targets of the plan") == [
        ["book", "short", "2", "6", "2", "0", "1.000", "0", "0", "0"],
        ["book", "long", "1,012", "12", "12", "1,000", "1.000", "0", "0", "7"],
    ]
    assert "class=short" not in written()


def test_what_the_plan_leaves_out_is_a_table_by_domain_and_reason():
    html = written(put("SCORES_CHEAP", 1, 1, refused="list"))
    assert "<p>Left out by reason: list 1 document (3 tokens).</p>" in html
    assert cells(html, "Documents that the plan leaves out") == [["book", "list", "1", "3", "33.33%"]]
    assert cells(written(), "Documents that the plan leaves out") == []


def test_what_the_tokenizer_refused_or_lost_is_a_sentence_in_red():
    html = written(refuse, put("TOKENS", 0, 0, decodes=False), put("TOKENS", 1, 1, fell_back="document"))
    remedy = "Use a tokenizer with byte_fallback or with all 256 bytes."
    for sentence in (
        "Refused by the tokenizer: 1 document (s: 1). The view rejected says why.",
        f"Lossy tokenizer: 1 of 1 sampled document cannot be decoded to the same text (s: 1). {remedy}",
        "Encoded by tokenizers, since fastokens gave other ids: 1 shard (s: 1). The ids are right; encoding was slower.",
    ):
        assert f"<p class=short>{sentence}</p>" in html.partition("<h2>")[0]
    assert cells(html, "Encoding") == [["s", "2", "3", "9", "0.333", "1", "1", "1", "1"]]
    assert cells(html, "Rejected records") == [["encode", "no_token", "s", "1"], ["ingest", "not_json", "s", "1"]]
    assert "<b>2</b>records rejected" in html


def test_where_all_is_well_there_is_no_sentence_on_the_tokenizer():
    html = written()
    assert "class=short" not in html
    assert cells(html, "Encoding") == [["s", "2", "3", "9", "0.333", "0", "0", "0", "0"]]


def test_lengths_are_exact_and_have_a_sum():
    html = written()
    zeros = ["0"] * 8
    assert cells(html, "Tokens in the mix, by domain and length of the document") == [
        ["book", "14", *zeros, "14"], ["all", "14", *zeros, "14"],
    ]  # fmt: skip
    assert cells(html, "Tokens that dedup kept, by domain and length") == [
        ["book", "9", *zeros, "9"], ["all", "9", *zeros, "9"],
    ]  # fmt: skip


def test_a_table_escapes_its_cells_and_marks_figures_and_the_sum():
    shown = Answer(["a<b", "n"], [["<script>", "1"], ["all", "1"]], [False, True])
    html = table(shown, has_sum=True)
    assert "<th>a&lt;b</th>" in html
    assert '<tr><td>&lt;script&gt;</td><td class="figure">1</td></tr><tr class="sum">' in html
    assert table(Answer(["a"], [], [False])) == '<p class="note">none</p>'


def test_a_bar_is_divided_by_the_shares_of_its_buckets():
    widths = [float(re.search(r'width="([\d.]+)"', r)[1]) for r in bar(np.array([1, 0, 3, 0, 0, 0, 0, 0, 0]), "t", 0)]
    assert widths == [172.5, 0, 517.5, *[0] * 6]


def test_the_report_loads_nothing():
    html = written()
    assert not re.search(r"<script|<link|<img|https?://", html)


def test_a_path_is_shown_where_the_mix_has_an_order():
    html = written(with_path)
    assert cells(html, "Path through related documents") == [["0", "2", "2", "0", "1", "0", "0.500", "0.500"]]
    assert cells(html, "Nearest documents in the same sequence") == [["0", "2", "2", "2"]]
    assert [row[0] for row in cells(html, "Partitions")] == ["0", "1"]
    assert "Path: 2 documents, 0 restarts. Mean cosine of consecutive documents: 0.500, of at most 0.500." in html
    assert "<h2>Groups</h2>" not in html
    ((sequences, padding, *_),) = cells(html, "Packing")
    assert (sequences, padding) == ("3", "41.67%")


def test_without_an_order_the_report_says_how_rows_are_packed_and_nothing_of_a_path():
    html = written()
    assert len(cells(html, "Packing")) == 1
    assert "Path" not in html
    assert "<h2>Partitions</h2>" not in html


def test_several_groups_are_held_against_the_mix():
    tables = sound()
    first = tables["DRAWS"][0]
    html = written(lambda t: t["DRAWS"].__setitem__(slice(None), [first[:2], first[2:]]))
    assert cells(html, "Groups") == [["0", "12", "0.000"], ["1", "2", "0.000"]]


def test_what_data_says_is_no_html():
    hostile = "<script>x</script>\"'&"
    tables = sound()
    for name in ("DOCUMENTS", "DRAWS", "TARGETS"):
        for row in (row for shard in tables[name] for row in shard):
            row["domain"] = hostile
    for row in (row for shard in tables["DOCUMENTS"] for row in shard):
        row["license"] = hostile
    con = reading(tables)
    html = report(con, load(TINY), Edition("abc", Path("/root"), (f"source s: {hostile}",)))
    assert "<script" not in html
    assert html.count(escape(hostile)) > 5
    assert f"<p class=short>source s: {escape(hostile)}</p>" in html
