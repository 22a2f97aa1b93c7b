"""What two chunks have in common: cheap, exact, and known for any pair without a model.

It foretells part of a pair's gain, for what a model reads in one chunk helps it where the other says it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

COMMON = 8  # log2 of a token's id: those below are too frequent to tell; byte-pair ids are by falling frequency
FEATURES = ("rare_tokens", "bigrams", "trigrams", "inverse_distance")  # the columns of features()


@dataclass(frozen=True)
class Bag:
    """Distinct things in each chunk, ascending, one chunk's after another's, each with what sharing it counts.

    Attributes:
        values: [m] uint64.
        weights: [m] float64.
        starts: [s + 1] int64, where each chunk's begin.
    """

    values: np.ndarray
    weights: np.ndarray
    starts: np.ndarray


def bags(chunks: np.ndarray) -> list[Bag]:
    """Tokens by rarity, and runs of two and of three tokens, of each chunk [s, c] of token ids below 2**21."""
    ids, c = chunks.astype(np.uint64), chunks.shape[1]
    pairs = ids[:, :-1] << np.uint64(21) | ids[:, 1:]
    triples = pairs[:, :-1] << np.uint64(21) | ids[:, 2:]
    tokens, bigrams, trigrams = ([np.unique(row) for row in each] for each in (ids, pairs, triples))
    return [
        bag(tokens, [np.maximum(np.log2(1.0 + t) - COMMON, 0) / c for t in tokens]),
        bag(bigrams, [np.full(len(b), 1 / c) for b in bigrams]),
        bag(trigrams, [np.full(len(t), 1 / c) for t in trigrams]),
    ]


def bag(values: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> Bag:
    starts = np.concatenate([[0], np.cumsum([len(v) for v in values])]).astype(np.int64)
    return Bag(np.concatenate([np.empty(0, np.uint64), *values]), np.concatenate([np.empty(0), *weights]), starts)


def features(held: Sequence[Bag], pairs: np.ndarray) -> np.ndarray:
    """[n, 4] float64, see FEATURES. pairs: [n, 2] target, context."""
    columns = [shared(b.values, b.weights, b.starts, pairs) for b in held]
    return np.stack([*columns, 1 / (pairs[:, 0] - pairs[:, 1])], axis=1)


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
