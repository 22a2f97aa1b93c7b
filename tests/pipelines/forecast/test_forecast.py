"""`longmix plan`: exact where the tables exist, close where they don't, and plain about what can't be met."""

import gzip
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zstandard

from flows.text import scoring, told
from pipelines.encode import encode_texts
from pipelines.forecast import asked_of_samples, forecast, shortest
from pipelines.forecast.estimate import READ_BYTES, Sample, estimated, sample
from pipelines.ingest.source import Source
from pipelines.plan.selection import SelectParams
from pipelines.recipe import load
from pipelines.score import Columns, ScoreParams
from pipelines.store import Store
from pipelines.versions import find_version, shards_of
from schemas.manifest import Manifest
from tests import scored
from tests.conftest import TINY


def recipe(**plan):
    found = load(TINY)
    return found.model_copy(update={"plan": found.plan.model_copy(update=plan)})


def test_a_plan_from_tables_is_what_the_build_did(tiny):
    root = tiny.folder.parents[2]
    found = forecast(load(TINY), root)
    assert not found.sampled
    assert found.after.sum() == 400_000
    from flows.query import opened

    with opened(find_version(root), None, "latest") as (con, _, _):
        drawn = dict(con.execute("SELECT domain, sum(drawn_tokens)::BIGINT FROM draws GROUP BY ALL").fetchall())
        kept = dict(
            con.execute(
                "SELECT domain, sum(n_tokens)::BIGINT FROM documents WHERE verdict = 'kept' GROUP BY ALL"
            ).fetchall()
        )
    assert dict(zip(found.before.domains, found.after.sum(axis=1).tolist(), strict=True)) == drawn
    assert dict(zip(found.before.domains, found.before.tokens.sum(axis=(1, 2)).tolist(), strict=True)) == kept
    assert "Exact, from the tables that exist." in told(found, load(TINY))


def test_a_plan_without_tables_is_close_and_says_so(tiny, tmp_path):
    guess, exact = forecast(load(TINY), tmp_path), forecast(load(TINY), tiny.folder.parents[2])
    assert min(guess.sampled.values()) > 0.5  # of the folder of books eight files are read
    assert guess.before.tokens.sum() == pytest.approx(exact.before.tokens.sum(), rel=0.1)
    assert "Estimated: the corpus was not read yet" in told(guess, load(TINY))
    assert not list(tmp_path.iterdir())  # nothing was made


def test_what_cant_be_met_is_said_with_what_is_missing(tiny):
    asked = recipe(budget_tokens=5_000_000)
    found = forecast(asked, tiny.folder.parents[2])
    missing = sum(s.missing for s in found.targets.shortfalls)
    assert found.after.sum() == 5_000_000 - missing
    text = told(found, asked)
    assert f"Can't be met: {missing:,} of 5,000,000 tokens are missing" in text
    assert re.search(r"c4: no document of 16-32K, 32-64K, 64-128K, 128K\+ tokens", text)


def test_the_cap_on_one_documents_share_is_said(tiny):
    asked = recipe(max_document_share=0.5)
    found = forecast(asked, tiny.folder.parents[2])
    assert found.left_out > 0
    assert f"Left out by max_document_share = 0.5: {found.left_out:,} tokens" in told(found, asked)


def written(path: Path, rows: list[dict]) -> None:
    raw = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(raw))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.ZstdCompressor().compress(raw))
    else:
        path.write_bytes(raw)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_large_source_is_read_in_part_and_taken_to_be_alike(tmp_path, monkeypatch, suffix):
    rng = np.random.default_rng(0)
    words = np.array(["whale", "sea", "ship", "the", "of", "harpoon", "1,024"])
    rows = [{"text": " ".join(rng.choice(words, int(n)))} for n in rng.integers(50, 3_000, 1_600)]
    path = tmp_path / f"a.jsonl{suffix}"
    written(path, rows)
    monkeypatch.setattr("pipelines.forecast.estimate.READ_BYTES", 2_000_000)
    source = Source(name="a", domain="sea", path=str(path))
    found = sample(source, load(TINY).encode)
    assert 0.05 < found.part < 0.3
    cells = estimated([found], 4096)
    import pyarrow as pa

    true = [
        len(ids) for ids in encode_texts(pa.array([row["text"] for row in rows], pa.large_string()), load(TINY).encode)
    ]
    assert cells.tokens.sum() == pytest.approx(sum(true), rel=0.15)
    assert cells.documents.sum() == pytest.approx(1_600, rel=0.15)
    assert READ_BYTES > 1_000_000


MIN_TOKENS = 5_000  # inside the bucket 4-8K, and some documents of the small mix are refused above it


def lengths_and_refusals(tiny) -> list[tuple[int, str | None]]:
    """Of each document of the small mix its tokens, 0 where it was dropped, and why the cheap tier refuses it."""
    store, tables = Store(tiny.folder.parents[2]), shards_of(Manifest.of(tiny.folder))
    rows = (
        [row for s in tables[name] for row in store.read(s, [column]).to_pylist()]
        for name, column in (("TOKENS", "n_tokens"), ("SCORES_CHEAP", "refused"))
    )
    return [(ids["n_tokens"] or 0, cheap["refused"]) for ids, cheap in zip(*rows, strict=True)]


def test_the_documents_that_the_model_is_asked_of_are_counted_as_they_are(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.forecast.reader_of", lambda _, encode: encode)
    asked = scored.recipe(tmp_path, min_tokens=MIN_TOKENS)
    found = forecast(asked, tiny.folder.parents[2])
    rows = lengths_and_refusals(tiny)
    here = [n for n, refused in rows if n >= MIN_TOKENS and refused is None]
    assert sum(n >= MIN_TOKENS for n, _ in rows) > len(here) > sum(n >= 8192 and not refused for n, refused in rows) > 0
    assert (found.asked.n_documents, found.asked.n_tokens) == (len(here), sum(here))
    said = f"Scoring: {len(here):,} documents of 5,000 tokens and more ({sum(here):,} tokens). A near"
    assert said in told(found, asked)


def test_what_the_plan_selects_takes_nothing_from_what_is_scored(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.forecast.reader_of", lambda _, encode: encode)
    cheap = shards_of(Manifest.of(tiny.folder))["SCORES_CHEAP"]
    monkeypatch.setattr("pipelines.forecast.scores", lambda *_: {"SCORES_CHEAP": cheap})
    asked = scored.recipe(tmp_path, min_tokens=MIN_TOKENS)
    select = SelectParams(by="recurrence", top_share=0.1)
    chosen = asked.model_copy(update={"plan": asked.plan.model_copy(update={"select": select})})
    all_of_it, found = (forecast(r, tiny.folder.parents[2]) for r in (asked, chosen))
    assert found.before.tokens[:, :, 4:].sum() < all_of_it.before.tokens[:, :, 4:].sum()
    assert found.asked == all_of_it.asked


def test_what_is_not_known_of_the_scoring_is_said(tiny, tmp_path):
    """The model has a tokenizer of its own, and the cheap tier was not asked in this way."""
    asked = scored.recipe(tmp_path, min_tokens=MIN_TOKENS)
    asked = asked.model_copy(update={"screen": asked.screen.model_copy(update={"max_list_share": 0.123})})
    long = [n for n, _ in lengths_and_refusals(tiny) if n >= MIN_TOKENS]
    found = forecast(asked, tiny.folder.parents[2])
    assert not found.sampled
    said = f"Scoring: about {len(long):,} documents of 5,000 tokens and more ({sum(long):,} tokens), before the cheap tier refuses some."
    assert said in told(found, asked)


@pytest.mark.parametrize(("n_tokens", "min_tokens"), [(60_000, 40_000), (300_000, 200_000), (40_000, 40_000)])
def test_a_sample_knows_lengths_inside_a_bucket(n_tokens, min_tokens):
    params = ScoreParams.model_construct(min_tokens=min_tokens, chunk_tokens=128, budget_tokens=1_000_000)
    samples = [
        Sample("a", "x", np.array([n_tokens] * 10 + [min_tokens - 1] * 3), 0.5),
        Sample("b", "x", np.array([n_tokens]), 1.0),
        Sample("none", "x", np.array([], np.int64), 0.0),
    ]
    said = scoring(asked_of_samples(samples, params), params)
    assert said.startswith(
        f"Scoring: about 21 documents of {min_tokens:,} tokens and more ({21 * n_tokens:,} tokens), before the cheap tier"
    )
    assert "at most 16,170 model tokens" in said  # 21 * (2 * 127 + 4 * 129)


def test_a_plan_without_tables_counts_in_the_sample(tmp_path):
    written(tmp_path / "a.jsonl", [{"text": f"{k} " + "whale sea " * 6_000} for k in range(10)])
    asked = scored.recipe(tmp_path, min_tokens=5_000)
    asked = asked.model_copy(update={"sources": (Source(name="a", domain="sea", path=str(tmp_path / "a.jsonl")),)})
    found = forecast(asked, tmp_path / "root")
    assert found.sampled
    assert "Scoring: about 10 documents of 5,000 tokens and more" in told(found, asked)


@pytest.mark.parametrize("chunk_tokens", [32, 128, 999])
def test_the_shortest_is_where_the_model_begins_to_look(chunk_tokens):
    params = ScoreParams.model_construct(min_tokens=5_000, chunk_tokens=chunk_tokens)
    n = shortest(params)
    assert n == 5_000 or chunk_tokens == 999  # whose fewest chunks are longer
    columns = SimpleNamespace(n_tokens=np.array([n - 1, n]), refused=np.array(["", ""], object))
    assert (Columns.reasons(columns, params) == "").tolist() == [False, True]
