"""The overlap of two chunks: exact features of any pair, computed without a model.

Overlap predicts part of a pair's gain, since a model predicts text better after it has read the same text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.kernels import kernel

COMMON = 8  # log2 of a token id: ids below are too frequent to be informative; byte-pair ids fall in frequency
FEATURES = ("rare_tokens", "bigrams", "trigrams", "inverse_distance")  # the columns of features()


@dataclass(frozen=True)
class Bag:
    """The distinct tokens, bigrams or trigrams of each chunk with their weights.

    Attributes:
        values: [m] uint64, ascending within a chunk, chunk after chunk.
        weights: [m] float64, the weight of sharing each value.
        starts: [s + 1] int64 offsets of the chunks in values.
    """

    values: np.ndarray
    weights: np.ndarray
    starts: np.ndarray


def bags(chunks: np.ndarray) -> list[Bag]:
    """Tokens weighted by rarity, bigrams and trigrams of each chunk. chunks: [s, c] token ids below 2**21."""
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


def features(chunk_bags: Sequence[Bag], pairs: np.ndarray) -> np.ndarray:
    """[n, 4] float64, see FEATURES. chunk_bags: from bags(); pairs: [n, 2] target, context."""
    columns = [shared(b.values, b.weights, b.starts, pairs) for b in chunk_bags]
    return np.stack([*columns, 1 / (pairs[:, 0] - pairs[:, 1])], axis=1)


@kernel
def shared(values: np.ndarray, weights: np.ndarray, starts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[n] float64: summed weight of the values that target and context share, by a merge of both sorted lists."""
    weight = np.zeros(len(pairs))
    for k in range(len(pairs)):
        a, a_stop = starts[pairs[k, 0]], starts[pairs[k, 0] + 1]
        b, b_stop = starts[pairs[k, 1]], starts[pairs[k, 1] + 1]
        while a < a_stop and b < b_stop:
            if values[a] == values[b]:
                weight[k] += weights[a]
                a += 1
                b += 1
            elif values[a] < values[b]:
                a += 1
            else:
                b += 1
    return weight
