"""What two chunks have in common: cheap, exact, and known for any pair without a model.

It foretells part of a pair's gain, for what a model reads in one chunk helps it where the other says it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

GRAM_BYTES = 5
COMMON = 8  # log2 of a token's id: those below are too frequent to tell; byte-pair ids are by falling frequency
FEATURES = ("bytes", "rare_tokens", "bigrams", "inverse_distance")  # the columns of features()


@dataclass(frozen=True)
class Bag:
    """Distinct things in each chunk, ascending, one chunk's after another's, each with what sharing it counts.

    Attributes:
        values: [m] uint64.
        weights: [m] float64, of a value in this chunk as the target.
        starts: [s + 1] int64.
    """

    values: np.ndarray
    weights: np.ndarray
    starts: np.ndarray


def bags(chunks: np.ndarray, texts: Sequence[str]) -> list[Bag]:
    """5-byte strings, tokens by rarity, and pairs of neighbouring tokens of each chunk.

    Args:
        chunks: [s, c] token ids.
        texts: [s] the same as text.
    """
    ids, c = chunks.astype(np.uint64), chunks.shape[1]
    grams = [np.unique(grams_of(np.frombuffer(text.encode(), np.uint8))) for text in texts]
    tokens = [np.unique(row) for row in ids]
    bigrams = [np.unique(row[:-1] << np.uint64(32) | row[1:]) for row in ids]
    return [
        bag(grams, [np.full(len(g), 1 / max(1, len(g))) for g in grams]),
        bag(tokens, [np.maximum(np.log2(1.0 + t) - COMMON, 0) / c for t in tokens]),
        bag(bigrams, [np.full(len(b), 1 / c) for b in bigrams]),
    ]


def bag(values: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> Bag:
    starts = np.concatenate([[0], np.cumsum([len(v) for v in values])]).astype(np.int64)
    return Bag(np.concatenate([np.empty(0, np.uint64), *values]), np.concatenate([np.empty(0), *weights]), starts)


def features(held: Sequence[Bag], pairs: np.ndarray) -> np.ndarray:
    """[n, 4] float64, see FEATURES. pairs: [n, 2] target, context."""
    columns = [shared(b.values, b.weights, b.starts, pairs) for b in held]
    return np.stack([*columns, 1 / (pairs[:, 0] - pairs[:, 1])], axis=1)


@njit(nogil=True, cache=True)
def grams_of(data: np.ndarray) -> np.ndarray:
    """[n] uint64: every 5-byte string in `data`, as the number that its bytes spell."""
    found = np.empty(max(0, len(data) - GRAM_BYTES + 1), np.uint64)
    gram = np.uint64(0)
    for at in range(len(data)):
        gram = ((gram << np.uint64(8)) | np.uint64(data[at])) & np.uint64(0xFFFFFFFFFF)
        if at >= GRAM_BYTES - 1:
            found[at - GRAM_BYTES + 1] = gram
    return found


@njit(nogil=True, cache=True)
def shared(values: np.ndarray, weights: np.ndarray, starts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[n] float64: the weight of what the target has in common with its context, by a merge of both lists."""
    found = np.zeros(len(pairs))
    for k in range(len(pairs)):
        a, a_stop = starts[pairs[k, 0]], starts[pairs[k, 0] + 1]
        b, b_stop = starts[pairs[k, 1]], starts[pairs[k, 1] + 1]
        while a < a_stop and b < b_stop:
            if values[a] == values[b]:
                found[k] += weights[a]
                a += 1
                b += 1
            elif values[a] < values[b]:
                a += 1
            else:
                b += 1
    return found
