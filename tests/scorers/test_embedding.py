"""A vector is the mean hidden state of a text's own window, whatever is beside it; what is no encoder is refused."""

import json
import sys

import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import RecipeError
from scorers import embedding
from scorers.embedding import EncoderParams, blocks, check_encoder, fingerprint, is_static, load
from scorers.weights import Weights
from tests.encoders import saved_bert, saved_table, tokenizer
from tests.scorers.small_models import CONFIGS, saved, torch, transformers

TEXTS = (
    "the king of python", "", "Returns the LIST of servers; and classing", "the " * 100, " \n ", "x",
    "lord of the river, and the server",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_bert(tmp_path_factory.mktemp("bert"))


def params(folder, **changes):
    return EncoderParams(weights=Weights.of(folder), **{"window_tokens": 16, **changes})


def slow_window(model, ids):
    with torch.no_grad():
        mean = model(torch.tensor([ids])).last_hidden_state[0].double().mean(0).numpy()
    return mean / np.sqrt(mean @ mean)


def slow(folder, text, window, n_windows, n_chars):
    """One window at a time by the model's own forward, in float64, special tokens put round each window by hand."""
    own = tokenizer()
    own.no_truncation()
    own.no_padding()
    ids = own.encode(text[:n_chars], add_special_tokens=False).ids
    if not ids:
        return np.zeros(32)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float64, add_pooling_layer=False).eval()
    size = window - 2
    windows = [[2, *ids[k : k + size], 3] for k in range(0, len(ids), size)][:n_windows]
    mean = np.mean([slow_window(model, each) for each in windows], axis=0)
    return mean / np.sqrt(mean @ mean)


@pytest.mark.parametrize(
    ("changes", "n_windows"),
    [({}, 1), ({"text": "chunks", "max_chunks": 3}, 3), ({"block": 4}, 1), ({"text": "chunks", "block": 3}, 8)],
)
def test_a_vector_is_the_mean_of_the_last_hidden_states(folder, changes, n_windows):
    encoder = load(params(folder, **changes))
    vectors = encoder.vectors(pa.array(TEXTS, pa.large_string()))
    assert (vectors.dtype, vectors.shape, encoder.dimensions) == (np.float32, (len(TEXTS), 32), 32)
    expected = [slow(folder, text, 16, n_windows, encoder.n_chars) for text in TEXTS]
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=2e-6)
    assert [bool(v.any()) for v in vectors] == [bool(text.strip()) for text in TEXTS]


@pytest.mark.parametrize("changes", [{}, {"text": "chunks"}, {"block": 4}])
def test_a_vector_does_not_depend_on_its_neighbours(folder, changes):
    encoder = load(params(folder, **changes))
    together = encoder.vectors(pa.array(TEXTS, pa.large_string()))
    backwards = encoder.vectors(pa.array(TEXTS[::-1], pa.large_string()))[::-1]
    alone = np.concatenate([encoder.vectors(pa.array([text], pa.large_string())) for text in TEXTS])
    assert together.tobytes() == alone.tobytes() == np.ascontiguousarray(backwards).tobytes()


def test_only_the_beginning_is_read(folder):
    head, chunks = load(params(folder)), load(params(folder, text="chunks", max_chunks=3))
    assert (head.n_chars, chunks.n_chars) == (8 * 16, 3 * 8 * 16)
    text = "the river " * 200
    assert head.vectors(pa.array([text])).tobytes() == head.vectors(pa.array([text[: 8 * 16]])).tobytes()
    other = text[:100] + "king " * 60
    assert head.vectors(pa.array([text])).tobytes() == head.vectors(pa.array([other])).tobytes()
    assert chunks.vectors(pa.array([text])).tobytes() != chunks.vectors(pa.array([other])).tobytes()


def test_blocks_hold_every_window_once_and_have_its_own_length():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, 200, rng.integers(0, 30)).tolist()
        block = int(rng.integers(1, 9))
        made = list(blocks(lengths, block))
        assert sorted(row for rows, _ in made for row in rows) == list(range(len(lengths)))
        for rows, n_tokens in made:
            assert 1 <= len(rows) <= block
            for row in rows:
                assert n_tokens == (lengths[row] if block == 1 else -(-lengths[row] // 32) * 32)


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
        "chunks of a table": (params(saved_table(tmp_path / "t"), text="chunks"), r"reads the head of a text on a CPU"),
        "a table on a GPU": (params(saved_table(tmp_path / "t"), device="cuda"), r"reads the head of a text on a CPU"),
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
    with pytest.raises(RecipeError, match="no such folder or file"):
        Weights.named(tmp_path, "./missing")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_cuda_is_refused(folder):
    with pytest.raises(RecipeError, match=r'^order\.encoder: device = "cuda", but torch finds no GPU'):
        check_encoder(params(folder, device="cuda"))


def test_an_encoder_is_loaded_once(folder):
    assert load(params(folder)) is load(params(folder))
    assert embedding.KEY == "order.encoder"
