"""A model's own tokenizer, and the refusal of a model that can't read a recipe's tokens."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines import influence
from pipelines.encode import EncodeParams
from pipelines.own_tokenizer import own_tokenizer, reads_tokens_of
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError
from scorers.influence import InfluenceParams, ShortParams
from scorers.lm import ModelParams
from scorers.weights import Weights
from tests import scored

OPT = scored.MODEL / "model_opt_trained"
OTHER = Path(__file__).parents[2] / "examples" / "tokenizer" / "tokenizer.json"


def encode(path):
    return EncodeParams(tokenizer=HashedFile.of(path), eos_token="</s>")


def test_a_tokenizer_of_the_same_vocabulary_has_the_models_tokens(tmp_path):
    own = HashedFile.of(OPT / "tokenizer.json")
    spaced = tmp_path / "tokenizer.json"
    spaced.write_text((OPT / "tokenizer.json").read_text() + "\n")
    assert reads_tokens_of(own, encode(spaced))
    assert HashedFile.of(spaced).hash != own.hash
    assert not reads_tokens_of(own, encode(OTHER))


def test_a_tokenizer_that_is_missing_or_of_another_model_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"has no tokenizer\.json"):
        own_tokenizer(tmp_path, SimpleNamespace(vocab_size=9))
    for n_vocab in (9, None):
        with pytest.raises(RecipeError, match="does not belong to the model: it has ids up to"):
            own_tokenizer(OPT, SimpleNamespace(vocab_size=n_vocab))


def params(**model):
    named = ModelParams(weights=Weights.of(OPT), **model)
    return InfluenceParams(model=named, short=ShortParams(context_tokens=8), parts=("hmg",))


def test_a_model_of_another_vocabulary_is_refused_before_anything_is_read():
    pytest.importorskip("torch")
    with pytest.raises(RecipeError, match=r"another vocabulary than encode.tokenizer.*set encode.tokenizer to"):
        influence.check(params(), encode(OTHER))
    with pytest.raises(RecipeError, match="the model was made for"):
        influence.check(params(window_tokens=1 << 20), encode(OPT / "tokenizer.json"))


def test_a_model_of_the_recipes_vocabulary_is_loaded():
    pytest.importorskip("torch")
    assert influence.check(params(), encode(OPT / "tokenizer.json")) is None
