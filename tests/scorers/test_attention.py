"""Attention to spans, against the maps of transformers' eager attention in float64."""

from itertools import pairwise

import numpy as np
import pytest

from schemas.errors import RecipeError
from scorers import attention, lm
from scorers.attention import span_attention
from scorers.lm import ModelParams, body
from scorers.weights import Weights
from tests.scorers.small_models import GPT2, SIZES, VOCAB, params_of, saved, torch, transformers

GROUPED = SIZES | {"num_key_value_heads": 2}
SLIDING = {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}
MODELS = {
    "llama": lambda: transformers.LlamaConfig(**GROUPED),
    "one_key_head": lambda: transformers.LlamaConfig(**SIZES | {"num_key_value_heads": 1}),
    "qwen2": lambda: transformers.Qwen2Config(**GROUPED | SLIDING),  # its second layer slides
    "mistral": lambda: transformers.MistralConfig(**GROUPED, sliding_window=9),  # all layers do
    "gpt2": lambda: transformers.GPT2Config(**GPT2, bos_token_id=None, eos_token_id=0),
    "neox": lambda: transformers.GPTNeoXConfig(**SIZES),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: saved(config(), tmp_path_factory.mktemp(name)) for name, config in MODELS.items()}


def slow(folder, ids, first, edges):
    """[n_layers, n_spans] from whole float64 maps."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager"
    ).eval()
    with torch.no_grad():
        maps = model(torch.tensor(ids)[None], output_attentions=True).attentions
    rows = np.stack([each[0, :, first:].mean((0, 1)).numpy() for each in maps])
    return np.array([[row[a:b].sum() for a, b in pairwise(edges)] for row in rows])


def text(seed):
    """ids, first and edges: spans from 0 to 20 tokens, an empty one among them."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 60))
    first = int(rng.integers(6, n))
    edges = sorted(rng.integers(0, first + 1, int(rng.integers(2, 7))).tolist())
    return rng.integers(0, VOCAB, n).astype(np.int32), first, [*edges, edges[-1]]


@pytest.mark.parametrize("block", [1, 300, 1 << 20])
@pytest.mark.parametrize("name", MODELS)
def test_sums_are_those_of_whole_maps(folders, name, block, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK", block)
    monkeypatch.setattr(attention, "WINDOW_ROWS", 7)
    model = lm.load(params_of(folders[name]))
    for seed in range(4):
        ids, first, edges = text(seed)
        hidden, sums = span_attention(model, ids, first, edges)
        np.testing.assert_allclose(sums, slow(folders[name], ids, first, edges), rtol=0, atol=2e-6)
        np.testing.assert_allclose(hidden, body(model, ids[None])[0], rtol=0, atol=2e-5)


def test_all_attention_of_a_row_is_one(folders):
    model = lm.load(params_of(folders["llama"]))
    ids = np.arange(30, dtype=np.int32)
    _, sums = span_attention(model, ids, 29, [0, 29])
    own = slow(folders["llama"], ids, 29, [29, 30])
    np.testing.assert_allclose(sums + own, 1, atol=1e-6)


def test_the_model_itself_is_unchanged_and_shares_its_weights(folders):
    model = lm.load(params_of(folders["llama"]))
    before = body(model, np.arange(20)[None])
    span_attention(model, np.arange(20, dtype=np.int32), 10, [0, 5])
    assert torch.equal(before, body(model, np.arange(20)[None]))
    assert model.model.config._attn_implementation != attention.NAME
    tensors = {id(tensor) for tensor in [*model.model.parameters(), *model.model.buffers()]}
    copy = attention.recorder(model).model
    assert {id(tensor) for tensor in [*copy.parameters(), *copy.buffers()]} == tensors


def test_the_probe_passes_each_of_these(folders):
    for name, folder in folders.items():
        attention.check(lm.load(params_of(folder)), name)


SMALL_GEMMA = GROUPED | {"head_dim": 8}
REFUSED = {
    "softcap": (lambda: transformers.Gemma2Config(**SMALL_GEMMA), "softcap"),
    "sinks": (
        lambda: transformers.GptOssConfig(**SMALL_GEMMA, num_local_experts=2, num_experts_per_tok=1), "s_aux",
    ),
    "position bias": (
        lambda: transformers.MptConfig(vocab_size=VOCAB, d_model=32, n_layers=2, n_heads=4, max_seq_len=64), ""
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_attention_of_another_kind_is_refused(name):
    config, named = REFUSED[name]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config()).eval()
    model = lm.LM(model, model.get_output_embeddings(), (), 64, VOCAB, "cpu", 1, None, None)
    with pytest.raises(RecipeError, match=f"a/b: CAM needs attention that is a softmax.*{named}.*name another model"):
        attention.check(model, "a/b")


def test_a_softmax_that_differs_is_refused(folders, monkeypatch):
    model = lm.load(ModelParams(weights=Weights.of(folders["llama"]), window_tokens=63))  # not checked so far
    plain = attention.span_sums
    monkeypatch.setattr(attention, "span_sums", lambda q, k, scale, *rest: plain(q, k, scale * 1.1, *rest))
    with pytest.raises(RecipeError, match=r"differs by 0\.\d+"):
        attention.check(model, "a/b")
