"""A vector is the mean hidden state of a text's own windows, whatever is beside it."""

import numpy as np
import pyarrow as pa
import pytest

from scorers.embedding import EncoderParams, load
from scorers.transformer import blocks
from scorers.weights import Weights
from tests.encoders import saved_bert, tokenizer
from tests.scorers.small_models import torch, transformers

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
