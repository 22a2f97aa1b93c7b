"""A static table: a vector for each token of a vocabulary; a text's vector is the weighted mean of its tokens' vectors.

The format is that of model2vec: a folder with config.json, tokenizer.json and model.safetensors, which contains
`embeddings` [n_vocab, d] and, where rows were not weighted before, `weights` [n_vocab]. Sums are float64 in the order
of the tokens, so that a vector has the same bytes on every machine.

Source of the format and of the mean: MinishLab/model2vec, model2vec/model.py.
"""

from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from schemas.errors import RecipeError
from schemas.kernels import kernel
from scorers.model_files import SINGLE
from scorers.weights import Weights

KEY = "order.encoder"  # of a recipe, for errors
MODEL_TYPE = "model2vec"  # in config.json
CHARS_PER_TOKEN = 8  # of a text, so many are read for each token of a window: English has about 4
BATCH_TEXTS = 256  # at a time: what the tokenizer returns takes 100 bytes a token


@dataclass(frozen=True, eq=False)
class Table:
    """rows: [n_vocab, dimensions] float32, each times its weight; unknown: a token that counts for nothing, or -1."""

    tokenizer: Tokenizer
    rows: np.ndarray
    unknown: int
    window_tokens: int

    @property
    def dimensions(self) -> int:
        return self.rows.shape[1]

    @property
    def n_chars(self) -> int:
        return CHARS_PER_TOKEN * self.window_tokens

    def vectors(self, texts: pa.Array) -> np.ndarray:
        """[n, dimensions] float32 of length 1; zeros where the tokenizer makes no token of a text."""
        batches = (texts.slice(start, BATCH_TEXTS) for start in range(0, len(texts), BATCH_TEXTS))
        return np.concatenate([np.zeros((0, self.dimensions), np.float32), *map(self.batch, batches)])

    def batch(self, texts: pa.Array) -> np.ndarray:
        heads = pc.utf8_slice_codeunits(texts, 0, self.n_chars).to_pylist()
        ids = [e.ids for e in self.tokenizer.encode_batch_fast(heads, add_special_tokens=False)]
        offsets = np.cumsum([0, *map(len, ids)])
        flat = np.fromiter(chain.from_iterable(ids), np.int64, offsets[-1])
        return means(flat, offsets, self.rows, self.unknown)


@kernel
def means(ids: np.ndarray, offsets: np.ndarray, rows: np.ndarray, unknown: int) -> np.ndarray:
    """[n, d] float32: the mean row of each text, of length 1; zeros where it has none.

    Args:
        ids: tokens of all texts; text k has those of offsets[k : k + 2].
        rows: [n_vocab, d] float32.
        unknown: a token without a row.
    """
    n, d = len(offsets) - 1, rows.shape[1]
    vectors = np.zeros((n, d), np.float32)
    for k in range(n):
        total = np.zeros(d)
        for at in range(offsets[k], offsets[k + 1]):
            if ids[at] != unknown:
                for j in range(d):
                    total[j] += rows[ids[at], j]
        square = 0.0
        for j in range(d):
            square += total[j] * total[j]
        if square > 0:
            length = np.sqrt(square)
            for j in range(d):
                vectors[k, j] = total[j] / length
    return vectors


@cache
def load(weights: Weights, window_tokens: int) -> Table:
    """
    Raises:
        RecipeError: the folder's files are not those of a static table.
    """
    from safetensors.numpy import load_file

    folder = Path(weights.path)
    try:
        tensors = load_file(folder / SINGLE)
        embeddings = tensors["embeddings"].astype(np.float32)
    except Exception as error:  # safetensors has errors of its own
        raise RecipeError(
            f"{KEY}: {folder / SINGLE}: not a static table ({error}); it must contain the tensor `embeddings`"
        ) from error
    if "mapping" in tensors:
        embeddings = embeddings[tensors["mapping"]]
    if "weights" in tensors:
        embeddings = embeddings * tensors["weights"].astype(np.float32)[:, None]
    tokenizer = own_tokenizer(folder, len(embeddings))
    tokenizer.enable_truncation(window_tokens)
    unknown = tokenizer.token_to_id(getattr(tokenizer.model, "unk_token", None) or "")
    return Table(tokenizer, np.ascontiguousarray(embeddings), -1 if unknown is None else unknown, window_tokens)


def own_tokenizer(folder: Path, n_vocab: int) -> Tokenizer:
    """The tokenizer of an encoder's folder, without truncation or padding.

    Raises:
        RecipeError: it is missing or broken, or has ids that the encoder lacks.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise RecipeError(f"{KEY}: {folder}: has no tokenizer.json; put the encoder's own there")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises no other type
        raise RecipeError(f"{KEY}: {path}: not a tokenizer ({error}); put the encoder's own there") from error
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= n_vocab:
        raise RecipeError(
            f"{KEY}: {path}: does not belong to the encoder: it has ids up to {largest:,}, the encoder {n_vocab:,} tokens; "
            "put the encoder's own there"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
