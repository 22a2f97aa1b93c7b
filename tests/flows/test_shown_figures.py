"""The summary of a build and the text of a plan: every figure is counted again by plain Python."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.forecast_text import forecast_text
from flows.summary import summary
from flows.tables import compact
from pipelines.catalog import write_catalog
from pipelines.forecast import EmbeddingForecast, Forecast, ScoringForecast
from pipelines.plan.cells import Cells
from pipelines.recipe import load
from pipelines.versions import Version
from schemas.lengths import BUCKETS
from tests.conftest import TINY
from tests.mixed import (
    ALL,
    DOMAINS,
    DRAWN,
    ENCODED,
    KEPT,
    REFUSED,
    REJECTED,
    SEQUENCE_TOKENS,
    SEQUENCES,
    TARGETS,
    bucket,
    tables,
)
from tests.schemas.test_laws import opened

DOMAIN_NAMES = sorted(DOMAINS)
CELLS = np.random.default_rng(3).integers(1, 99_999, (2, 3, 2, 9))  # corpus and mix, [d, 2, 9]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The lines of a summary, without indents."""
    root = tmp_path_factory.mktemp("summary")
    with opened(tables(), root, sequence_tokens=SEQUENCE_TOKENS, long_tokens=4096) as con:
        write_catalog(con, root / "catalog.duckdb", {"mix": "m"})
    version = Version(root, "m", "abc", is_new=True, mended=("a", "b", "c"))
    return [line.strip() for line in summary(version, Path("root"), 5).splitlines()]


def table_after(lines, title):
    """The rows of the table under a title, as lists of words, the headings first."""
    at = next(k for k, line in enumerate(lines) if line.startswith(title)) + 1
    rows = []
    for line in lines[at:]:
        if not line.split() or line.startswith("k = "):
            break
        rows.append(line.split())
    return rows


def of_lengths(figures):
    """The table of lengths of [d, 9] figures."""
    used = [b for b in range(9) if any(row[b] for row in figures)]
    rows = [*zip(DOMAIN_NAMES, figures, strict=True), ("all", [sum(column) for column in zip(*figures, strict=True)])]
    return [
        ["domain", *(BUCKETS[b] for b in used), "all"],
        *([name, *(compact(int(row[b])) for b in used), compact(int(sum(row)))] for name, row in rows),
    ]


def test_the_headline(made):
    tokens = sum(copy["stop"] for copy in DRAWN)
    filled = f"{tokens / (len(SEQUENCES) * SEQUENCE_TOKENS):.2%}"
    assert f"{tokens:,} tokens in {len(SEQUENCES):,} sequences of 4,096, {filled} filled" in made
    assert f"{len(ALL)} documents read, {len(KEPT)} kept" in made
    assert "damaged files that were made again: 3" in made
    (line,) = [line for line in made if line.startswith("rejected: ")]
    assert line.startswith(f"rejected: {len(REJECTED) + len(REFUSED)} records (")


def test_tokens_by_domain_and_length(made):
    cells = Counter()
    for copy in DRAWN:
        cells[copy["domain"], bucket(copy["n_tokens"])] += copy["stop"]
    figures = [[cells[domain, name] for name in BUCKETS] for domain in DOMAIN_NAMES]
    assert table_after(made, "Tokens in the mix, by domain") == of_lengths(figures)


def test_shares(made):
    corpus, mix = Counter(), Counter()
    for document in ENCODED:
        corpus[document["domain"]] += document["n_tokens"]
    for copy in DRAWN:
        mix[copy["domain"]] += copy["stop"]
    head, *rows = table_after(made, "Shares of the corpus and of the mix")
    assert head == ["domain", "corpus", "share", "mix", "share"]
    assert rows == [
        [d, compact(corpus[d]), f"{corpus[d] / corpus.total():.2%}", compact(mix[d]), f"{mix[d] / mix.total():.2%}"]
        for d in DOMAIN_NAMES
    ]


def forecast(**changes):
    cells = Cells(tuple(DOMAIN_NAMES), CELLS[0] // 100, CELLS[0], np.array([7_001, 3_001, 5_001]))
    scoring = ScoringForecast(123, 45_678, 1_025, is_exact=True, is_screened=False)
    embedding = EmbeddingForecast("wide", True, 384, 234, True, 56.0, 78, True)
    values = {
        "before": cells, "after": CELLS[1].sum(axis=1), "targets": pa.Table.from_pylist(TARGETS), "sampled": {}, "missing": (),
        "scoring": scoring, "n_drawn": 234, "embedding": embedding,
    }  # fmt: skip
    return Forecast(**values | changes)


@pytest.fixture(scope="module")
def planned():
    return [line.strip() for line in forecast_text(forecast(), load(TINY)).splitlines()]


def test_a_plan_has_the_corpus_then_the_mix(planned):
    assert table_after(planned, "Tokens that may be drawn") == of_lengths(CELLS[0].sum(axis=1).tolist())
    assert table_after(planned, "Tokens in the mix") == of_lengths(CELLS[1].sum(axis=1).tolist())
    recipe = load(TINY)
    assert planned[0] == f"tiny: {recipe.plan.budget_tokens:,} tokens in sequences of {recipe.pack.sequence_tokens:,}"


def test_a_plan_has_the_rates_of_each_domain(planned):
    head, *rows = table_after(planned, "Rates: how many times a document is drawn")
    assert head == ["domain", "share", "long", "short", "largest", "document"]
    budget = sum(t["target_tokens"] for t in TARGETS)
    for row, domain, tokens, largest in zip(
        rows, DOMAIN_NAMES, CELLS[0].sum(axis=(1, 2)), (7_001, 3_001, 5_001), strict=True
    ):
        own = {t["kind"]: t for t in TARGETS if t["domain"] == domain}
        share = sum(t["target_tokens"] for t in own.values()) / budget
        rates = [f"{own[kind]['rate']:.3f}" for kind in ("long", "short")]
        assert row == [domain, f"{share:.2%}", *rates, f"{largest / tokens:.1%}"]


def test_a_plan_says_what_the_encoder_reads(planned):
    text = " ".join(planned)
    assert (
        "Embedding: wide (a static table, 384 dimensions) reads the beginning of 234 drawn documents, about 56 CPU"
        in text
    )
    assert "machine over 78 documents of the corpus." in text


def test_a_sampled_forecast_says_how_much_was_read():
    text = forecast_text(forecast(sampled={"pages": 0.25, "speeches": 0.75}), load(TINY))
    assert "pages 25%, speeches 75%" in text
