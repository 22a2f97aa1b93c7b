"""The card says what the corpus could not supply, and is Markdown with front matter for the hub."""

from pipelines.publish.card import card, table
from pipelines.publish.figures import Answer
from pipelines.recipe import load
from tests.conftest import TINY
from tests.schemas.test_laws import opened, put, sound


def written(tmp_path, *changes):
    tables = sound()
    for change in changes:
        change(tables)
    with opened(tables, tmp_path) as con:
        return card(con, load(TINY), "abc")


def test_a_table_aligns_figures_to_the_right():
    shown = Answer(["domain", "tokens"], [["a", "1,000"]], [False, True])
    assert table(shown) == "| domain | tokens |\n| --- | ---: |\n| a | 1,000 |"


def test_the_card_of_a_budget_that_is_met(tmp_path):
    text = written(tmp_path)
    assert text.startswith("---\npretty_name: tiny\n")
    assert "14 tokens in 3 sequences of at most 8 tokens (58.33% filled)" in text
    assert "The budget can be met: the corpus supplies all 14 tokens." in text
    assert "shortfall" not in text
    assert "| not stated | 2 | 14 |" in text


def test_a_shortfall_is_a_sentence_and_a_table(tmp_path):
    text = written(tmp_path, put("TARGETS", 0, 1, target_tokens=1_012), put("TARGETS", 0, 0, over_share_tokens=5))
    assert "Shortfall: 1,000 of 1,014 tokens cannot be supplied and are not substituted." in text
    assert "| domain | kind | target | available | shortfall |" in text
    assert "| book | long | 1,012 | 12 | 1,000 |" in text
    assert "| book | short |" not in text
    assert "Left out by plan.max_document_share: 5 tokens." in text


def test_a_rejected_record_is_counted_at_its_source(tmp_path):
    assert "| s | 4 | 2 | 1 | 1 | 1 |" in written(tmp_path)
