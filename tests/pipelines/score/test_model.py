"""What is refused of a scoring model before a byte of a corpus is read."""

import json
import shutil
import sys

import pytest

from pipelines.build import build
from pipelines.encode import load
from pipelines.score.model import config_of, reader_of
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError
from scorers.weights import Weights
from tests import scored

torch = pytest.importorskip("torch")

OPT = scored.MODEL / "model_opt_trained"  # window of 2,048, anchor 0


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return scored.recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture
def folder(tmp_path):
    """A copy of the model, to spoil."""
    return shutil.copytree(OPT, tmp_path / "model")


def read(recipe, folder=OPT, also=(), chunk_tokens=32, **model):
    """reader_of a recipe that asks for something else. The weights go by their path: some have nothing to hash."""
    named = recipe.score.model.model_copy(update={"weights": Weights(path=str(folder), hash="x"), **model})
    raw = {**recipe.score.model_dump(), "model": named, "also": also, "chunk_tokens": chunk_tokens}
    return reader_of(type(recipe.score).model_validate(raw), recipe.encode)


def refused(message, *args, **kwargs):
    with pytest.raises(RecipeError, match=message) as caught:
        read(*args, **kwargs)
    return str(caught.value)


# -- whose tokens are read


def test_a_model_of_the_recipes_vocabulary_reads_its_tokens_and_another_its_own_without_a_bos(recipe):
    other = recipe.encode.model_copy(update={"bos_token": "<|im_start|>"})
    own = reader_of(recipe.score, other)
    assert own.tokenizer == HashedFile.of(OPT / "tokenizer.json") != other.tokenizer
    assert own.bos_token is None
    same = own.model_copy(update={"bos_token": "<s>"})
    assert reader_of(recipe.score, same) == same


# -- the machine


def test_a_gpu_that_is_not_there_is_said_before_anything_is_read(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = r'device = "cuda", but torch finds no GPU here; set device = "cpu"'
    refused(said, recipe, device="cuda")
    model = recipe.score.model.model_copy(update={"device": "cuda"})
    on_gpu = recipe.model_copy(update={"score": recipe.score.model_copy(update={"model": model})})
    with pytest.raises(RecipeError, match=said):
        build(on_gpu, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_torch_that_is_not_there_is_said_before_anything_is_read(recipe, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    refused(r'pip install "longmix\[model\]"', recipe)


# -- the model's files


def test_a_model_without_a_configuration_is_refused(recipe, folder):
    (folder / "config.json").unlink()
    assert str(folder / "config.json") in refused("no such file; put the model's own there", recipe, folder)


@pytest.mark.parametrize("text", ["{", "[]", "", '{"model_type": "nonesuch"}'])
def test_a_broken_configuration_is_refused(text, recipe, folder):
    (folder / "config.json").write_text(text)
    what = (
        "not a model that transformers knows .*put the model's own there" if "nonesuch" in text else "not a JSON object"
    )
    said = refused(what, recipe, folder)
    assert str(folder / "config.json") in said
    assert "\n" not in said


def nested(folder, **text):
    raw = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", **text}}
    (folder / "config.json").write_text(json.dumps(raw))


def test_a_configuration_in_another_is_read(recipe, folder):
    nested(folder, vocab_size=510, max_position_embeddings=80, eos_token_id=[7, 8])
    found = read(recipe, folder)
    assert found.tokenizer.path == str(folder / "tokenizer.json")
    assert load(found.tokenizer).token_to_id(found.eos_token) == 7
    refused("pass its window of 80 tokens", recipe, folder, chunk_tokens=64)
    nested(folder, vocab_size=300, max_position_embeddings=80)
    refused("the model 300 tokens", recipe, folder)


def test_what_a_configuration_leaves_out_is_what_transformers_takes(folder):
    nested(folder)  # the small Gemma 3 say no more than their sizes
    config = config_of(folder)
    assert (config.vocab_size, config.max_position_embeddings) == (262_208, 131_072)
    (folder / "config.json").write_text('{"model_type": "gpt2", "n_positions": 77}')
    assert config_of(folder).max_position_embeddings == 77


# -- sizes


def test_a_window_over_the_models_own_is_refused(recipe):
    read(recipe, window_tokens=2048)
    said = refused(r"window_tokens = 2,049, but the model was made for 2,048", recipe, window_tokens=2049)
    assert str(OPT) in said


def test_two_chunks_and_the_anchor_fit_the_window(recipe):
    read(recipe, window_tokens=65)
    refused(r"two chunks of score\.chunk_tokens = 32 pass its window of 64", recipe, window_tokens=64)


INFOGAIN = {"kind": "infogain", "long_tokens": 2047, "short_tokens": 512, "stride_tokens": 256}
LONGATTN = {"kind": "longattn", "window_tokens": 2048, "min_tokens": 1024}
PROLONG = {"kind": "prolong", "sample_size": 20, "chunk_size": 1024}


@pytest.mark.parametrize(
    "scorer",
    [
        INFOGAIN,
        INFOGAIN | {"long_tokens": None, "short_tokens": 2046},
        LONGATTN,
        LONGATTN | {"window_tokens": None, "min_tokens": 2048},
        PROLONG,
    ],
)
def test_sizes_that_just_fit_are_taken(scorer, recipe):
    read(recipe, also=(scorer,))


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (INFOGAIN | {"long_tokens": 2048}, "long_tokens at most 2,047"),
        (INFOGAIN | {"short_tokens": 2047}, "short_tokens = 2,047, long_tokens = 2,047: each must be less than"),
        (INFOGAIN | {"stride_tokens": 512}, "stride_tokens = 512, short_tokens = 512"),
        (INFOGAIN | {"long_tokens": None, "short_tokens": 2047}, "long_tokens = 2,047: each must be less than"),
        (LONGATTN | {"window_tokens": 2049}, "at most the model's window of 2,048"),
        (LONGATTN | {"window_tokens": 1023}, "min_tokens = 1,024, window_tokens = 1,023"),
        (LONGATTN | {"window_tokens": None, "min_tokens": 2049}, "min_tokens = 2,049, window_tokens = 2,048"),
        (PROLONG | {"chunk_size": 1025}, "two chunks of chunk_size = 1,025 exceed the model's window of 2,048"),
    ],
)
def test_sizes_that_can_not_work_are_refused(scorer, message, recipe):
    others = (INFOGAIN, scorer) if scorer["kind"] != "infogain" else (LONGATTN, scorer)
    refused(rf"^score\.also: {scorer['kind']}: .*{message}", recipe, also=others)


def test_the_window_of_the_recipe_counts(recipe):
    also = ({"kind": "infogain", "short_tokens": 255, "stride_tokens": 8},)
    read(recipe, window_tokens=257, also=also)
    refused("short_tokens = 255, long_tokens = 255", recipe, window_tokens=256, also=also)
