"""The configuration of a model, and whether two tokenizers are the same."""

import json

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from schemas.errors import RecipeError
from scorers.configs import check_tokenizers, config_of
from scorers.weights import Weights


def model(folder, words, added):
    folder.mkdir()
    tokenizer = Tokenizer(WordLevel(words, unk_token="a"))
    tokenizer.add_special_tokens([added])
    tokenizer.save(str(folder / "tokenizer.json"))
    return Weights(path=str(folder), hash=folder.name)


def test_tokenizers_are_the_same_but_for_added_tokens(tmp_path):
    one, same = model(tmp_path / "one", {"a": 0, "b": 1}, "<x>"), model(tmp_path / "same", {"a": 0, "b": 1}, "<y>")
    check_tokenizers(one, same)
    with pytest.raises(RecipeError, match="has another tokenizer than"):
        check_tokenizers(one, model(tmp_path / "other", {"a": 1, "b": 0}, "<x>"))


def test_a_configuration_has_the_defaults_of_its_kind(tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 77}))
    config = config_of(tmp_path)
    assert (config.max_position_embeddings, config.rms_norm_eps) == (77, 1e-6)
    with pytest.raises(RecipeError, match=r"config\.json: no such file"):
        config_of(tmp_path / "missing")
