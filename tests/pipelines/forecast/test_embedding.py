"""The forecast of an encoder: what it counts is exact, and its rate is that of the documents that it timed."""

import numpy as np
import pytest

from flows.forecast_text import embedding as sentence
from pipelines.forecast import embedding
from pipelines.forecast.embedding import drawn_documents, embedding_forecast, timed, timed_texts
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from scorers.embedding import EncoderParams, load
from scorers.weights import Weights
from tests.encoders import saved_bert, saved_table
from tests.pipelines.test_embed import documents, draws, text_of


@pytest.fixture
def engine(tmp_path):
    return Engine(Store(tmp_path), Runner(workers=1))


@pytest.fixture
def table(tmp_path):
    return EncoderParams(weights=Weights.of(saved_table(tmp_path / "table")), window_tokens=16)


class Clock:
    """An encoder that takes 0.25 CPU seconds a document."""

    dimensions, n_chars = 16, 128

    def __init__(self, monkeypatch):
        self.now, self.read = 0.0, []
        monkeypatch.setattr(embedding.time, "process_time", lambda: self.now)

    def vectors(self, texts):
        self.now += 0.25 * len(texts)
        self.read += texts.to_pylist()
        return texts


def test_the_rate_is_that_of_the_timed_documents(monkeypatch, engine):
    clock = Clock(monkeypatch)
    texts = timed_texts(clock, engine, documents(engine.store, range(60)))
    monkeypatch.setattr(embedding, "SECONDS", 1.0)
    assert timed(clock, texts) == (0.25, 7)  # one, two and four, then a second is over
    assert len(clock.read) == 8  # one to compile
    assert len(set(clock.read)) > 4
    assert timed(clock, texts[:2]) == (0.25, 2)
    assert timed(clock, texts[:0]) == (0.0, 0)


def test_seconds_are_for_all_documents(monkeypatch, engine, table):
    clock = Clock(monkeypatch)
    monkeypatch.setattr(embedding, "load", lambda _: clock)
    forecast = embedding_forecast(table, 1_000, engine, is_exact=False)
    assert (forecast.cpu_seconds, forecast.n_timed, forecast.is_exact) == (250.0, 3, False)
    assert {len(text) for text in clock.read} == {clock.n_chars}


def test_texts_are_heads_of_all_documents_or_of_drawn_ones(engine, table):
    encoder, numbers = load(table), [*range(9), *range(100, 130)]
    shards = documents(engine.store, numbers, rows=9)
    assert timed_texts(encoder, engine, shards).to_pylist() == [text_of(k)[:128] for k in numbers]
    drawn = [0, 8, 100, 129]
    texts = timed_texts(encoder, engine, shards, draws(engine.store, drawn))
    assert texts.to_pylist() == [text_of(k)[:128] for k in drawn]
    assert timed_texts(encoder, engine, documents(engine.store, [3])).to_pylist() == [text_of(3)[:128]]
    assert timed_texts(encoder, engine, shards, draws(engine.store, [777])).to_pylist() == []


def test_of_many_documents_texts_are_taken_from_every_shard(engine, table):
    texts = timed_texts(load(table), engine, documents(engine.store, range(600), rows=200)).to_pylist()
    assert len(texts) == 128
    assert (texts[0], texts[-1]) == (text_of(0)[:128], text_of(599)[:128])
    numbers = [start + i for start in np.linspace(0, 592, 16).astype(int).tolist() for i in range(8)]
    assert texts == [text_of(k)[:128] for k in numbers]


def test_drawn_documents_are_counted_once(engine):
    shards = draws(engine.store, list(range(30)))
    assert sum(shard.n_rows for shard in shards) == 45
    assert drawn_documents(shards, engine) == 30


def test_the_sentence_of_a_plan(tmp_path, engine, table):
    params = EncoderParams(weights=Weights.of(saved_bert(tmp_path / "bert")), window_tokens=16)
    real = sentence(embedding_forecast(params, 3_021, engine, documents(engine.store, range(20))))
    assert real.startswith(
        "Embedding: bert (a transformer, 32 dimensions) reads the beginning of 3,021 drawn documents, about "
    )
    assert "20 documents of the corpus" in real
    guess = sentence(embedding_forecast(table, 40, engine, is_exact=False))
    assert "table (a static table, 16 dimensions) reads the beginning of about 40 drawn documents" in guess
    assert "128 texts as long as its window" in guess
