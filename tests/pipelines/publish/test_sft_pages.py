"""Card, report and summary of a set of instruction samples, from the views of a sound set."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows.summary import summary
from flows.tables import WIDTH
from pipelines import findings
from pipelines.catalog import materialise, write_catalog
from pipelines.publish.sft_card import sft_card
from pipelines.publish.sft_report import method, sft_report
from pipelines.recipe import load
from pipelines.versions import Version
from tests.schemas import sft_laws
from tests.schemas.test_laws import opened

RECIPE = """
mix = "m"
[encode]
tokenizer = "{tokenizer}"
eos_token = "<|endoftext|>"
[samples]
[choose]
by = "random"
[pack]
packer = "best_fit"
sequence_tokens = 8
[[sources]]
name = "web"
domain = "web"
path = "web.jsonl"
"""
TOKENIZER = Path(__file__).parents[3] / "examples" / "tokenizer" / "tokenizer.json"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "m.toml"
    path.write_text(RECIPE.format(tokenizer=TOKENIZER))
    return load(path)


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    with opened(sft_laws.sound(), tmp_path_factory.mktemp("set")) as con:
        materialise(con)
        yield con


class Balanced(HTMLParser):
    """Raises an AssertionError at a tag that does not close the last open one."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.texts = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 the parser's own signature
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(html):
    page = Balanced()
    page.feed(html)
    assert not page.open
    return page.texts


def test_the_report_is_balanced_html_with_a_table_for_each_question(con, recipe):
    html = sft_report(con, recipe, "abc")
    texts = read(re.sub(r"<p class=short>", "<p>", html))
    for title in (
        "Samples by domain", "Chosen samples against those left", "Chosen against left, by domain", "Quotas",
        "Chosen samples by length", "Samples that are not chosen", "Highest scores", "Packing", "Rejected records",
        "Licenses of the documents in the mix", "Samples without a part of the score",
    ):  # fmt: skip
        assert title in texts, title
    assert "<script" not in html
    assert "http" not in html
    assert method(recipe) in texts
    assert "Shortfall: 1 of 3 samples that choose.top asks for cannot be supplied and are not substituted." in texts
    assert "Passed over: 1 sample, each similar to a higher chosen one (choose.max_similarity)." in texts


def row_of(table, first):
    return next(
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith(f"| {first} |")
    )


def test_the_card_says_what_is_in_the_set_and_how_to_load_it(con, recipe):
    card = sft_card(con, recipe, "abc")
    assert card.startswith("---\npretty_name: m\n")
    assert "data_files: messages-*.parquet" in card
    assert (
        "2 instruction samples chosen by their score and 1 short instruction, of 7 that dedup kept. The template is `paper`. "
        "10 of 24 tokens are trained on"
    ) in card
    assert 'load_dataset("parquet", data_files="sequences-*.parquet", split="train")' in card
    assert "SFTTrainer" in card
    assert row_of(card, "web") == ["web", "6", "5", "2", "16"]  # samples, scored, chosen, tokens
    assert row_of(card, "chosen")[:4] == ["chosen", "2", "3", "2"]  # contexts of 3 and 2 tokens, rounded
    assert row_of(card, "left")[1] == "3"


def test_the_summary_fits_into_80_columns_and_counts_what_was_passed_over(tmp_path, recipe):
    with opened(sft_laws.sound(), tmp_path) as con:
        write_catalog(con, tmp_path / "catalog.duckdb", {"mix": "m", "recipe": recipe.identity()})
    text = summary(Version(tmp_path, "m", "abc", is_new=True), Path("root"), 3)
    lines = text.splitlines()
    assert "m abc: made in 3 s" in lines
    assert "  8 samples read, 7 kept, 5 scored" in lines
    assert "  2 chosen by rank, 1 short instruction" in lines
    assert "Passed over: 1 sample, each similar to a higher chosen one (choose.max_similarity)." in text.replace(
        "\n", " "
    )
    assert [line.split() for line in lines if line.startswith("  similar ")] == [["similar", "1", "8"]]
    assert 'query root "FROM choices"' in text
    shown = lines[3 : lines.index("Next, for example:")]
    assert [line for line in shown if len(line) > WIDTH] == []


QUOTAS = [
    {"why": "top", "target": 9, "chosen": 9},
    {"why": "top", "target": 2, "chosen": 1},
    {"why": "short", "target": 5, "chosen": 2},
]


def test_sentences_on_a_choice():
    left = [{"reason": r, "samples": n} for r, n in (("similar", 2), ("similar", 3), ("budget", 1), ("outranked", 7))]
    assert findings.choice(QUOTAS, left) == [
        "Shortfall: 1 of 11 samples that choose.top asks for cannot be supplied and are not substituted.",
        "Shortfall: 3 of 5 samples that choose.short_share asks for cannot be supplied and are not substituted.",
        "Passed over: 5 samples, each similar to a higher chosen one (choose.max_similarity).",
        "Not scored: 1 sample, since influence.budget_tokens was spent.",
    ]
    assert findings.choice(QUOTAS[:1], left[3:]) == []
