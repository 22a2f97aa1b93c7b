"""The scorers that a recipe can name: each has a table of its own, checks its sizes, and is told apart by its kind."""

import sys
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas.errors import RecipeError
from schemas.scores import REASON, STATUS
from schemas.tables import TABLES
from scorers import SCORERS, AnyScorer, table_of
from scorers.infogain import InfoGainParams
from scorers.lm import ModelParams, load
from scorers.longattn import LongAttnParams
from scorers.prolong import ProLongParams
from scorers.weights import Weights
from tests import scored

SMALL = {
    "prolong": ProLongParams(sample_size=6, chunk_size=16, window_size=128),
    "infogain": InfoGainParams(long_tokens=64, short_tokens=16, stride_tokens=8),
    "longattn": LongAttnParams(window_tokens=64, min_tokens=32),
}


def kind_of(params: type[BaseModel]) -> str:
    (kind,) = get_args(params.model_fields["kind"].annotation)
    return kind


@pytest.fixture(scope="module")
def lm():
    pytest.importorskip("torch")
    return load(ModelParams(weights=Weights.of(scored.MODEL / "model_opt_trained")))


def test_the_union_is_the_tuple():
    assert {kind_of(params) for params in SCORERS} == set(SMALL)
    for params in SCORERS:
        some = SMALL[kind_of(params)]
        assert type(some) is params
        assert TypeAdapter(AnyScorer).validate_python(some.model_dump()) == some
    for wrong in ({"kind": "chunk_gain"}, {}, {"kind": "infogain", "sample_size": 4}):
        with pytest.raises(ValidationError):
            TypeAdapter(AnyScorer).validate_python(wrong)


@pytest.mark.parametrize("params", SCORERS, ids=kind_of)
def test_a_scorer_has_a_table_whose_first_part_is_its_score(params):
    table = TABLES[table_of(kind_of(params))]
    assert table.names[:3] == ["document_id", "status", "reason"]
    assert [table.field(1), table.field(2)] == [STATUS, REASON]
    assert all(field.type == pa.float64() and field.nullable for field in list(table)[3:])
    assert table.names[3:] == list(sys.modules[params.__module__].PARTS)


@pytest.mark.parametrize("kind", SMALL)
def test_a_score_is_its_modules_and_its_parts_are_the_columns(kind, lm):
    params, ids = SMALL[kind], np.random.default_rng(0).integers(3, 500, 150)
    score = params.score(lm, ids)
    assert (score.status, score.reason) == ("scored", None)
    assert set(score.parts) == set(TABLES[table_of(kind)].names[3:])
    assert score.parts[TABLES[table_of(kind)].names[3]] is not None
    assert params.score(lm, ids).parts == score.parts  # also where a stream of random numbers is drawn from
    short = params.score(lm, ids[:20])
    assert (short.status, set(short.parts)) == ("too_short", set(score.parts))
    assert short.reason


@pytest.mark.parametrize(
    ("params", "window", "n_anchor"),
    [
        (InfoGainParams(long_tokens=99, short_tokens=16, stride_tokens=8), 100, 1),
        (InfoGainParams(long_tokens=100, short_tokens=16, stride_tokens=8), 100, 0),
        (InfoGainParams(short_tokens=98, stride_tokens=8), 100, 1),
        (LongAttnParams(window_tokens=100, min_tokens=100), 100, 1),
        (LongAttnParams(min_tokens=100), 100, 0),
        (ProLongParams(sample_size=1, chunk_size=50), 100, 1),
    ],
)
def test_sizes_that_just_fit_are_taken_and_one_token_less_is_not(params, window, n_anchor):
    params.check(window, n_anchor)
    with pytest.raises(RecipeError, match=rf"^{params.kind}: "):
        params.check(window - 1, n_anchor)


def test_the_anchor_takes_one_token():
    params = InfoGainParams(long_tokens=100, short_tokens=16, stride_tokens=8)
    with pytest.raises(RecipeError, match="at most 99"):
        params.check(100, 1)
