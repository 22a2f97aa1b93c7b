"""`longmix plan`: exact where the tables exist, close where they do not, and clear on what cannot be supplied."""

import json
from types import SimpleNamespace

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from flows.forecast_text import forecast_text, scoring
from flows.tables import WIDTH
from pipelines.documents import Chunking
from pipelines.encode import tokenizer
from pipelines.findings import encoding
from pipelines.forecast import Embedded, forecast, is_accepted, scoring_of_samples, shortest
from pipelines.forecast.estimate import Sample
from pipelines.ingest.source import Source
from pipelines.plan.selection import SelectParams
from pipelines.recipe import load, read
from pipelines.score import ScoreParams, reasons
from pipelines.store import Store
from pipelines.versions import shards_of
from schemas.errors import RecipeError
from schemas.manifest import Manifest
from tests import scored
from tests.conftest import TINY


def recipe(**plan):
    return recipe_of(load(TINY), **plan)


def recipe_of(other, **plan):
    return other.model_copy(update={"plan": other.plan.model_copy(update=plan)})


def shortfall(forecast):
    return sum(row["target_tokens"] - row["drawn_tokens"] for row in forecast.targets.to_pylist())


def test_a_forecast_from_tables_is_the_build(tiny):
    root = tiny.folder.parents[2]
    exact = forecast(load(TINY), root)
    assert not exact.sampled
    assert exact.after.sum() == 400_000
    with duckdb.connect(str(tiny.folder / "catalog.duckdb"), read_only=True) as con:
        left_out = "coalesce((SELECT sum(tokens) FROM left_out WHERE left_out.domain = shares.domain), 0)::BIGINT"
        rows = con.execute(f"SELECT domain, tokens - {left_out}, drawn_tokens FROM shares").fetchall()
        assert con.execute("SELECT count(*) FROM left_out WHERE reason IN ('repeats', 'list')").fetchall() > [(0,)]
    figures = (exact.before.tokens.sum(axis=(1, 2)), exact.after.sum(axis=1))
    assert list(zip(exact.before.domains, *(f.tolist() for f in figures), strict=True)) == rows
    (shard,) = shards_of(Manifest.of(tiny.folder))["TARGETS"]
    assert exact.targets.equals(Store(root).read(shard))
    assert "Exact, from the tables of the last build." in forecast_text(exact, load(TINY))


def test_nothing_is_timed_or_loaded_where_the_tables_exist(tiny, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("a library or a model is loaded")

    for name in ("pipelines.encode.tokenizer.Tokenizer", "pipelines.encode.fast.new", "scorers.embedding.load"):
        monkeypatch.setattr(name, refused)
    tokenizer.load.cache_clear()
    monkeypatch.setattr("pipelines.forecast.embedding_forecast", refused)
    made = read(TINY)
    exact = forecast(made, tiny.folder.parents[2])
    assert exact.embedding == Embedded("encoder", exact.n_drawn)
    text = " ".join(forecast_text(exact, made).split())
    assert f"nothing is left to embed; encoder read {exact.n_drawn} drawn documents." in text
    with pytest.raises(AssertionError, match="is loaded"):
        forecast(recipe_of(made, budget_tokens=300_000), tiny.folder.parents[2])  # other documents are drawn


def test_a_token_that_the_tokenizer_lacks_is_named_by_a_forecast(tiny, tmp_path):
    text = TINY.read_text().replace("../", f"{TINY.parents[1]}/")
    path = tmp_path / "a.toml"
    path.write_text(text.replace("<|endoftext|>", "</s>"))
    for root in (tiny.folder.parents[2], tmp_path / "none"):
        with pytest.raises(RecipeError, match=r"encode\.eos_token '</s>' is not in its vocabulary"):
            forecast(read(path), root)


def test_what_the_tokenizer_lost_is_read_from_the_tables(tiny, monkeypatch):
    rows = [{"source": "a", "documents": 9, "refused": 0, "sampled": 9, "lossy": 2, "fell_back_shards": 0}]
    monkeypatch.setattr("pipelines.forecast.encoding_rows", lambda *_: rows)
    exact = forecast(load(TINY), tiny.folder.parents[2])
    assert exact.notes == tuple(encoding(rows))
    text = forecast_text(exact, load(TINY))
    assert "Lossy tokenizer: 2 of 9 sampled documents" in text
    assert "no token for 8 byte values" not in text


def test_a_forecast_without_tables_is_close_and_says_so(tiny, tmp_path):
    guess, exact = forecast(load(TINY), tmp_path), forecast(load(TINY), tiny.folder.parents[2])
    assert guess.targets.schema == exact.targets.schema
    assert guess.targets["domain"] == exact.targets["domain"]
    assert sum(guess.targets["target_tokens"].to_pylist()) == 400_000
    assert min(guess.sampled.values()) > 0.5  # of the folder of books eight files are read
    of_all = exact.before.tokens.sum() + sum(exact.targets["dropped_tokens"].to_pylist())  # a sample has no scores
    assert guess.before.tokens.sum() == pytest.approx(of_all, rel=0.1)
    assert exact.before.tokens.sum() < 0.9 * of_all
    assert (guess.missing, exact.missing) == (("SCORES_CHEAP",), ())
    assert "Estimated from a sample: the corpus was not read yet" in forecast_text(guess, load(TINY))
    assert "no token for 8 byte values" in forecast_text(guess, load(TINY))
    assert not list(tmp_path.iterdir())  # nothing was made


def test_a_shortfall_is_counted_and_not_substituted(tiny):
    large = recipe(budget_tokens=5_000_000)
    exact = forecast(large, tiny.folder.parents[2])
    missing = shortfall(exact)
    assert missing > 0
    assert exact.after.sum() == 5_000_000 - missing
    text = forecast_text(exact, large)
    assert f"Shortfall: {missing:,} of 5,000,000 tokens cannot be supplied and are not substituted." in " ".join(
        text.split()
    )
    assert "c4: 16-32K, 32-64K, 64-128K, 128K+" in text
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


def test_documents_over_their_share_are_counted(tiny):
    capped = recipe(max_document_share=0.5)
    exact = forecast(capped, tiny.folder.parents[2])
    over = sum(exact.targets["over_share_tokens"].to_pylist())
    assert over > 0
    n = sum(exact.targets["over_share_documents"].to_pylist())
    said = f"Left out by plan.max_document_share: {n:,} document{'s' * (n > 1)}, {over:,} tokens."
    assert said in forecast_text(exact, capped)


def test_a_selection_by_scores_that_do_not_exist_is_named(tiny, tmp_path):
    select = SelectParams(by="chunk_gain", top_share=0.1)
    selecting = scored.recipe(tmp_path, min_tokens=5_000)
    selecting = selecting.model_copy(update={"plan": selecting.plan.model_copy(update={"select": select})})
    for root in (tiny.folder.parents[2], tmp_path / "none"):
        found = forecast(selecting, root)
        assert found.missing == ("SCORES_CHEAP", "SCORES_CHUNK_GAIN")
        assert not any(found.targets["not_selected_tokens"].to_pylist())
        sentence = "plan.select: SCORES_CHUNK_GAIN does not exist yet"
        assert sentence in forecast_text(found, selecting)
        assert sentence not in forecast_text(forecast(recipe(), root), recipe())


MIN_TOKENS = 5_000  # inside the bucket 4-8K, and some documents of the small mix are refused above it


def lengths_and_refusals(tiny) -> list[tuple[int, str | None]]:
    """For each document of the small mix its tokens, 0 where it was dropped, and why the cheap tier refuses it."""
    store, tables = Store(tiny.folder.parents[2]), shards_of(Manifest.of(tiny.folder))
    rows = (
        [row for s in tables[name] for row in store.read(s, [column]).to_pylist()]
        for name, column in (("TOKENS", "n_tokens"), ("SCORES_CHEAP", "refused"))
    )
    return [(ids["n_tokens"] or 0, cheap["refused"]) for ids, cheap in zip(*rows, strict=True)]


def test_the_documents_that_the_model_will_score_are_counted(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.build.reader_of", lambda _, encode: encode)
    scoring = scored.recipe(tmp_path, min_tokens=MIN_TOKENS)
    exact = forecast(scoring, tiny.folder.parents[2])
    rows = lengths_and_refusals(tiny)
    here = [n for n, refused in rows if n >= MIN_TOKENS and refused is None]
    assert sum(n >= MIN_TOKENS for n, _ in rows) > len(here) > sum(n >= 8192 and not refused for n, refused in rows) > 0
    assert (exact.scoring.n_documents, exact.scoring.n_tokens) == (len(here), sum(here))
    sentence = f"Scoring: {len(here):,} documents of at least 5,000 tokens ({sum(here):,} tokens). A near"
    assert sentence in " ".join(forecast_text(exact, scoring).split())


def test_a_selection_takes_nothing_from_what_is_scored(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.build.reader_of", lambda _, encode: encode)
    cheap = shards_of(Manifest.of(tiny.folder))["SCORES_CHEAP"]
    monkeypatch.setattr("pipelines.build.scores", lambda *_: {"SCORES_CHEAP": cheap})
    scoring = scored.recipe(tmp_path, min_tokens=MIN_TOKENS)
    select = SelectParams(by="recurrence", top_share=0.1)
    selecting = scoring.model_copy(update={"plan": scoring.plan.model_copy(update={"select": select})})
    every, some = (forecast(r, tiny.folder.parents[2]) for r in (scoring, selecting))
    assert some.before.tokens[:, :, 4:].sum() < every.before.tokens[:, :, 4:].sum()
    assert sum(some.targets["not_selected_tokens"].to_pylist()) > 0
    assert some.missing == ()
    assert some.scoring == every.scoring


def test_an_inexact_scoring_says_so(tiny, tmp_path):
    """The model has a tokenizer of its own, and the cheap tier was not run with these settings."""
    scoring = scored.recipe(tmp_path, min_tokens=MIN_TOKENS)
    screen = scoring.screen.model_copy(update={"max_list_share": 0.123})
    scoring = scoring.model_copy(update={"screen": screen})
    long = [n for n, _ in lengths_and_refusals(tiny) if n >= MIN_TOKENS]
    exact = forecast(scoring, tiny.folder.parents[2])
    assert not exact.sampled
    sentence = f"Scoring: about {len(long):,} documents of at least 5,000 tokens ({sum(long):,} tokens), before the cheap tier refuses some of them."
    assert sentence in " ".join(forecast_text(exact, scoring).split())


@pytest.mark.parametrize(("n_tokens", "min_tokens"), [(60_000, 40_000), (300_000, 200_000), (40_000, 40_000)])
def test_lengths_inside_a_bucket_are_counted_in_a_sample(n_tokens, min_tokens):
    params = ScoreParams.model_construct(min_tokens=min_tokens, chunk_tokens=128, budget_tokens=1_000_000)
    samples = [
        Sample("a", "x", np.array([n_tokens] * 10 + [min_tokens - 1] * 3), 0.5),
        Sample("b", "x", np.array([n_tokens]), 1.0),
        Sample("none", "x", np.array([], np.int64), 0.0),
    ]
    sentence = scoring(scoring_of_samples(samples, params, load(TINY).encode), params)
    assert sentence.startswith(
        f"Scoring: about 21 documents of at least {min_tokens:,} tokens ({21 * n_tokens:,} tokens), before the cheap tier"
    )
    assert "at most 16,170 model tokens" in sentence  # 21 * (2 * 127 + 4 * 129)


def test_a_forecast_without_tables_counts_in_the_sample(tmp_path):
    rows = [{"text": f"{k} " + "whale sea " * 6_000} for k in range(10)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scoring = scored.recipe(tmp_path, min_tokens=5_000)
    source = Source(name="a", domain="sea", path=str(tmp_path / "a.jsonl"))
    scoring = scoring.model_copy(update={"sources": (source,)})
    estimate = forecast(scoring, tmp_path / "root")
    assert estimate.sampled
    assert "Scoring: about 10 documents of at least 5,000 tokens" in forecast_text(estimate, scoring)


def test_the_model_reads_what_the_cheap_tier_scored_and_did_not_refuse():
    status = ["scored", "scored", "not_scored", "dropped"]
    cheap = pa.table({"status": status, "refused": pa.array([None, "list", None, None], pa.string())})
    assert is_accepted(cheap).tolist() == [True, False, False, False]


@pytest.mark.parametrize("bos_token", [None, "<s>"])
@pytest.mark.parametrize("chunk_tokens", [32, 128, 999])
def test_the_shortest_document_is_the_shortest_that_is_scored(chunk_tokens, bos_token):
    params = ScoreParams.model_construct(min_tokens=5_000, chunk_tokens=chunk_tokens)
    encode = load(TINY).encode.model_copy(update={"bos_token": bos_token})
    n = shortest(params, encode)
    assert n == 5_000 or chunk_tokens == 999  # whose fewest chunks are longer
    documents = SimpleNamespace(n_tokens=np.array([n - 1, n]))
    nulls = pa.nulls(2, pa.string())
    columns = pa.table({"status": ["encoded"] * 2, "reason": nulls, "refused": nulls})
    why = reasons(documents, columns, 5_000, Chunking(chunk_tokens, encode.n_marks))
    assert (why == "").tolist() == [False, True]
