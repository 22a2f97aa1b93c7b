"""The default scoring model on real text: that it was converted whole, and that the engine's short cuts hold for it."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from scorers.chunk_gain import chunks_of
from scorers.chunks import Chunks
from scorers.lm import ModelParams, body, load, nll
from scorers.weights import Weights, tokenizer_of

ROOT = Path(__file__).parents[2]
GGUF = ROOT / "data" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = pytest.mark.skipif(not GGUF.is_file(), reason="`make test` fetches the model; so does `longmix model`")


@pytest.fixture(scope="module")
def model():
    return load(ModelParams(weights=Weights.of(GGUF)))


@pytest.fixture(scope="module")
def chunks():
    """Eight chunks of a book."""
    text = max((ROOT / "examples" / "corpus" / "book").rglob("*.txt"), key=lambda p: p.stat().st_size).read_text()
    ids = (
        Tokenizer.from_file(str(tokenizer_of(Weights.of(GGUF))))
        .encode(text[20_000:30_000], add_special_tokens=False)
        .ids
    )
    return chunks_of(np.array(ids), 128)[:8]


def test_its_perplexity_is_that_of_a_language_model(model, chunks):
    text = chunks[:2].reshape(1, -1)
    shuffled = np.random.default_rng(0).permutation(text[0])[None]
    real, noise = (np.exp(nll(model, body(model, ids)[:, :-1], ids[:, 1:]).mean()) for ids in (text, shuffled))
    assert 5 < real < 100
    assert noise > 1_000


def test_a_chunk_after_another_is_what_one_pass_over_both_says(model, chunks):
    engine = Chunks(model, chunks, model.anchor)
    found = engine.after([(1, 0), (5, 2)])
    for value, (i, j) in zip(found, [(1, 0), (5, 2)], strict=True):
        ids = np.concatenate([[model.anchor], chunks[j], chunks[i]])[None]
        whole = nll(model, body(model, ids)[:, :-1], ids[:, 1:])[0]
        assert value == pytest.approx(whole[-127:].mean(), abs=2e-5)


def test_a_copy_is_foretold_and_its_own_book_helps(model, chunks):
    engine = Chunks(model, np.concatenate([chunks[:2], chunks[:1]]), model.anchor)
    alone = engine.alone([1, 2])
    after = engine.after([(1, 0), (2, 0)])
    assert after[0] < alone[0] - 0.02
    assert after[1] < alone[1] / 5


def test_its_window_is_known(model):
    assert model.window_tokens == 8_192
    assert model.anchor == 1
