"""Models that can't be right are refused in one line, before a weight is loaded."""

import json
import struct

import pytest

from schemas.errors import RecipeError
from scorers.weights import Weights
from tests.scorers.small_models import CONFIGS, saved


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The configuration, the header of the weights and their bytes."""
    folder = saved(CONFIGS["llama"](), tmp_path_factory.mktemp("model") / "llama")
    data = (folder / "model.safetensors").read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads((folder / "config.json").read_text()), json.loads(data[8 : 8 + n]), data[8 + n :]


def safetensors(header, data, n_header=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if n_header is None else n_header) + raw + data


def first(header, **changes):
    name = next(name for name in header if name != "__metadata__")
    return header | {name: header[name] | changes}


CONFIG_TEXTS = {"empty": "", "a list": "[]", "null": "null", "BOM": "\ufeff{}", "deep": "[" * 100_000}
CONFIG_KEYS = [
    ("num_hidden_layers", 10**9), ("num_hidden_layers", -1), ("hidden_size", "big"), ("hidden_size", 10**9),
    ("vocab_size", 10**12), ("num_attention_heads", 0), ("max_position_embeddings", "many"), ("max_position_embeddings", -5),
]  # fmt: skip
WEIGHTS = {
    "empty": lambda *_: b"",
    "short": lambda *_: b"abc",
    "header of 2^60 bytes": lambda h, d: safetensors(h, d, 2**60),
    "no JSON": lambda _, d: safetensors(b"{{{", d),
    "a list": lambda _, d: safetensors([], d),
    "cut": lambda h, d: safetensors(h, d[:-100]),
    "longer": lambda h, d: safetensors(h, d + b"xx"),
    "offsets beyond": lambda h, d: safetensors(first(h, data_offsets=[0, 10**15]), d),
    "offsets reversed": lambda h, d: safetensors(first(h, data_offsets=[100, 0]), d),
    "negative offset": lambda h, d: safetensors(first(h, data_offsets=[-5, 10]), d),
    "absurd shape": lambda h, d: safetensors(first(h, shape=[10**9, 10**9]), d),
    "another shape": lambda h, d: safetensors(first(h, shape=[1]), d),
    "a shape of texts": lambda h, d: safetensors(first(h, shape=["x"]), d),
    "no tensors": lambda *_: safetensors({}, b""),
}


def refused(folder, config, weights):
    folder.mkdir()
    (folder / "config.json").write_text(config, encoding="utf-8")
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(RecipeError) as error:
        Weights.named(folder.parent, folder.name)
    assert str(error.value).startswith(str(folder))
    assert str(error.value).endswith("; fetch the model again")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("text", CONFIG_TEXTS.values(), ids=CONFIG_TEXTS)
def test_a_configuration_that_is_none(text, parts, tmp_path):
    refused(tmp_path / "m", text, safetensors(*parts[1:]))


@pytest.mark.parametrize(("key", "value"), CONFIG_KEYS)
def test_a_size_that_no_model_has(key, value, parts, tmp_path):
    refused(tmp_path / "m", json.dumps(parts[0] | {key: value}), safetensors(*parts[1:]))


@pytest.mark.parametrize("made", WEIGHTS.values(), ids=WEIGHTS)
def test_weights_whose_header_lies(made, parts, tmp_path):
    refused(tmp_path / "m", json.dumps(parts[0]), made(*parts[1:]))


def test_the_same_model_undamaged_is_taken(parts, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(parts[0]), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(safetensors(*parts[1:]))
    assert Weights.named(tmp_path, ".").hash
