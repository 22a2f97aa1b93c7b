"""Which documents a forecast expects the model to score: those of at least as many tokens as it needs."""

from types import SimpleNamespace

import pyarrow as pa
import pytest

from pipelines import forecast
from pipelines.forecast import ScoringForecast, is_accepted, scoring_of_samples, scoring_of_tables
from pipelines.forecast.estimate import Sample
from schemas.errors import NotMade
from schemas.tables import TABLES
from tests.pipelines.corpora import engine_in
from tests.schemas.test_laws import cheap
from tests.tokens import token_row

LENGTHS = [8, 9, 10, 300]
PARAMS = SimpleNamespace(min_tokens=9, chunk_tokens=0)
RECIPE = SimpleNamespace(encode=SimpleNamespace(n_marks=1), model_copy=lambda **_: None)


def shard(engine, table, rows):
    return engine.store.write(table, pa.Table.from_pylist(rows, schema=TABLES[table]))


@pytest.fixture
def engine(tmp_path):
    return engine_in(tmp_path)


@pytest.mark.parametrize("is_screened", [False, True])
def test_documents_of_exactly_as_many_tokens_are_scored(engine, monkeypatch, is_screened):
    names = [f"d{n}" for n in LENGTHS]
    tokens = [token_row(name, [1] * n) for name, n in zip(names, LENGTHS, strict=True)]
    tokens.append(token_row("dropped", None))
    screened = [
        cheap("d8"),
        cheap("d9"),
        cheap("d10") | {"refused": "list"},
        cheap("d300"),
        cheap("dropped", "dropped"),
    ]
    made = {"SCORES_CHEAP": [shard(engine, "SCORES_CHEAP", screened)]} if is_screened else {}

    def not_made(*_):
        raise NotMade("encode")

    monkeypatch.setattr(forecast.build, "model_tokens", not_made)
    monkeypatch.setattr(forecast.build, "scores", lambda *_: made)
    tables = {"TOKENS": [shard(engine, "TOKENS", tokens)]}
    scored = [9, 300] if is_screened else [9, 10, 300]
    assert scoring_of_tables(RECIPE, PARAMS, tables, engine, {}) == ScoringForecast(
        len(scored), sum(scored), 9, is_exact=False, is_screened=is_screened
    )


def test_a_sample_counts_for_its_source():
    sample = Sample("s", "web", pa.array(LENGTHS).to_numpy(), 0.5)
    expected = ScoringForecast(2 * 3, 2 * 319, 9, is_exact=False, is_screened=False)
    assert scoring_of_samples([sample], PARAMS, RECIPE.encode) == expected


def test_what_is_refused_or_not_scored_is_not_read_by_the_model():
    rows = [
        cheap("a"),
        cheap("b") | {"refused": "list"},
        cheap("c", "dropped"),
        cheap("d", "not_scored") | {"refused": "list"},
    ]
    table = pa.Table.from_pylist(rows, schema=TABLES["SCORES_CHEAP"])
    assert is_accepted(table).tolist() == [True, False, False, False]
