"""Which kind of encoder a folder holds, what its vectors depend on, and what is refused."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import pyarrow as pa
import pytest
import safetensors.numpy

from schemas.errors import RecipeError
from scorers.embedding import EncoderParams, check_encoder, fingerprint, is_static, load
from scorers.weights import Weights
from tests.encoders import saved_bert, saved_table, tokenizer
from tests.scorers.small_models import CONFIGS, saved, torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_bert(tmp_path_factory.mktemp("bert"))


def params(folder, **changes):
    return EncoderParams(weights=Weights.of(folder), **{"window_tokens": 16, **changes})


def test_what_a_vector_depends_on_is_in_the_fingerprint(folder, tmp_path):
    changes = [
        {"window_tokens": 9},
        {"text": "chunks"},
        {"text": "chunks", "max_chunks": 2},
        {"block": 2},
        {"threads": 2},
    ]
    every = [fingerprint(params(folder, **change)) for change in [{}, *changes]]
    every.append(fingerprint(params(saved_bert(tmp_path / "other", seed=1))))
    assert len(set(every)) == len(every)
    assert fingerprint(params(folder, max_chunks=2)) == fingerprint(params(folder))  # of chunks, which it does not read
    assert torch.__version__ in every[0]
    assert torch.backends.cpu.get_cpu_capability() in every[0]


# -- kinds


def test_a_static_table_needs_no_torch(tmp_path, monkeypatch):
    static = params(saved_table(tmp_path / "table"))
    monkeypatch.setitem(sys.modules, "torch", None)
    check_encoder(static)
    assert is_static(static)
    assert load(static).vectors(pa.array(["the king"])).shape == (1, 16)
    assert fingerprint(static) == (static.weights.hash, "static", "16")


def test_a_transformer_without_torch_is_one_line(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RecipeError, match=r"^order\.encoder: torch is not installed; pip install"):
        check_encoder(params(folder))
    with pytest.raises(RecipeError, match=r"^order\.encoder: torch is not installed"):
        fingerprint(params(folder))


def test_a_model_that_generates_text_is_refused(tmp_path):
    causal = saved(CONFIGS["llama"](), tmp_path / "llama")
    tokenizer().save(str(causal / "tokenizer.json"))
    with pytest.raises(RecipeError, match=r"^order\.encoder: .*llama: LlamaForCausalLM generates text and is not an"):
        check_encoder(params(causal))
    config = json.loads((causal / "config.json").read_text())
    (causal / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaModel"]}))
    with pytest.raises(RecipeError, match="its first token does not see the last"):
        check_encoder(params(causal))


def faults(folder, tmp_path):
    """Name -> an encoder's params that are refused, and the message."""
    no_tokenizer, no_weight, other = (saved_bert(tmp_path / name) for name in ("none", "weight", "other"))
    (no_tokenizer / "tokenizer.json").unlink()
    one_layer = saved_bert(tmp_path / "one", num_hidden_layers=1)
    (no_weight / "model.safetensors").write_bytes((one_layer / "model.safetensors").read_bytes())
    large = json.loads((other / "tokenizer.json").read_text())
    large["model"]["vocab"]["zebra"] = 4_000
    (other / "tokenizer.json").write_text(json.dumps(large))
    return {
        "no tokenizer": (params(no_tokenizer), r"has no tokenizer\.json; put the encoder's own there"),
        "a layer missing": (params(no_weight), r"its weights lack encoder\.layer\.1\..*; fetch the model again"),
        "another tokenizer": (params(other), r"has ids up to 4,000"),
        "a long window": (params(folder, window_tokens=65), r"window_tokens = 65, but .* reads at most 64; lower it"),
        "a window without text": (params(folder, window_tokens=2), r"window_tokens = 2 holds no token"),
        "chunks of a table": (params(saved_table(tmp_path / "t"), text="chunks"), r'text = "chunks", but .* reads the head of a text on a CPU; remove text'),
        "a table on a GPU": (params(saved_table(tmp_path / "t"), device="cuda"), r'device = "cuda", but .* reads the head of a text on a CPU; remove device'),
    }  # fmt: skip


def test_what_does_not_fit_is_refused(folder, tmp_path):
    check_encoder(params(folder, window_tokens=64))
    for name, (wrong, message) in faults(folder, tmp_path).items():
        with pytest.raises(RecipeError, match=message) as error:
            check_encoder(wrong)
        assert str(error.value).startswith("order.encoder: "), name
        assert "\n" not in str(error.value), name


def test_a_file_or_a_missing_folder_is_refused(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(RecipeError, match="a file; name the folder of an encoder"):
        is_static(params(tmp_path / "model.gguf"))
    with pytest.raises(RecipeError, match="static table"):  # longmix plan asks no more where all vectors exist
        fingerprint(params(saved_table(tmp_path / "t"), device="cuda"))
    with pytest.raises(RecipeError, match="no such folder or file"):
        Weights.named(tmp_path, "./missing")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_cuda_is_refused(folder):
    with pytest.raises(RecipeError, match=r'^order\.encoder: device = "cuda", but torch finds no GPU'):
        check_encoder(params(folder, device="cuda"))


def test_an_encoder_is_loaded_once(folder):
    assert load(params(folder)) is load(params(folder))


def test_workers_that_ask_at_the_same_time_share_a_table(tmp_path, monkeypatch):
    folder, read, beginning, inside = saved_table(tmp_path / "t"), safetensors.numpy.load_file, Barrier(3), Barrier(2)

    def slowly(path):
        with suppress(BrokenBarrierError):
            inside.wait(0.2)  # until a second worker reads the file too, or none does
        return read(path)

    def ask(_):
        beginning.wait()
        return load(params(folder))

    monkeypatch.setattr(safetensors.numpy, "load_file", slowly)
    with ThreadPoolExecutor(3) as workers:
        tables = list(workers.map(ask, range(3)))
    assert all(table is tables[0] for table in tables)
