"""Small models of several families and documents for them: what the tests of lm, chunks and weights share."""

import numpy as np
import pytest

from scorers.lm import ModelParams
from scorers.weights import Weights

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCAB = 300
C = 10  # tokens of a chunk
S = 7
SMALL = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES = SMALL | {"intermediate_size": 48, "max_position_embeddings": 64, "initializer_range": 0.3}
GPT2 = {"vocab_size": VOCAB, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.3}
OPT = SMALL | {"ffn_dim": 48, "max_position_embeddings": 64, "init_std": 0.3, "word_embed_proj_dim": 16}
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=True),
    "opt": lambda: transformers.OPTConfig(**OPT),  # its head reads fewer numbers than its layers
    "gpt2": lambda: transformers.GPT2Config(**GPT2, bos_token_id=None, eos_token_id=0),
    "neox": lambda: transformers.GPTNeoXConfig(**SIZES),
    "phi": lambda: transformers.PhiConfig(**SIZES),  # its head has a bias
}
ANCHORS = [None, 0, 7]
KEYS_AND_VALUES = (
    2 * 2 * 2 * 8 * C * 4
)  # bytes of a chunk's in the llama: both, layers, heads, their size, tokens, float32


def saved(config, folder, seed=3):
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0, 0.5)  # zeros hide one that is forgotten
    model.save_pretrained(folder)
    return folder


def document(seed=0, s=S, c=C):
    """Half of each chunk is taken from the one before: contexts matter."""
    chunks = np.random.default_rng(seed).integers(0, VOCAB, (s, c))
    chunks[1:, : c // 2] = chunks[:-1, : c // 2]
    return chunks.astype(np.int32)


def every_pair(s=S):
    return [(i, j) for i in range(s) for j in range(i)]


def shuffled(things, seed):
    return [things[k] for k in np.random.default_rng(seed).permutation(len(things))]


def params_of(folder, **changes):
    return ModelParams(weights=Weights.of(folder), **changes)
