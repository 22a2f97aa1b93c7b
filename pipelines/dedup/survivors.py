"""Candidates and their shingles -> which texts are kept, and which kept text each of the others duplicates.

A text is kept unless its similarity to a candidate that was kept before it reaches the threshold. A dropped text
duplicates the most similar of all kept texts that reach the threshold, the first among equals. Therefore the verdicts
do not change if the kept texts come first another time.
"""

import numpy as np

from pipelines.dedup.minhash import n_agreeing
from schemas.kernels import kernel


def survivors(
    keys: np.ndarray,
    signatures: np.ndarray,
    values: np.ndarray,
    spans: np.ndarray,
    min_agreeing: int,
    threshold: float,
) -> tuple[np.ndarray, np.ndarray]:
    """For each text the kept text that it duplicates, -1 if it is kept, and the Jaccard similarity of the two.

    Two texts are candidates if they have a key in common in the same band and their signatures agree in at least
    `min_agreeing` places.

    Args:
        keys: [n, n_bands] uint64, of texts in the order of the rule.
        signatures: [n, n_permutations].
        values: shingles of texts, ascending for each.
        spans: [n, 2] int64, those of text i are values[spans[i, 0] : spans[i, 1]].
    """
    buckets = np.empty(keys.shape, np.int64)
    n_buckets = 0
    for band in range(keys.shape[1]):
        buckets[:, band] = np.unique(keys[:, band], return_inverse=True)[1] + n_buckets
        n_buckets = buckets[:, band].max() + 1
    survivor, similarity = np.full(len(keys), -1, np.int64), np.full(len(keys), np.nan)
    find_survivors(buckets, n_buckets, signatures, values, spans, min_agreeing, threshold, survivor, similarity)
    return survivor, similarity


@kernel
def find_survivors(  # noqa: PLR0913, PLR0917 numba kernel: arrays, no objects
    buckets: np.ndarray,
    n_buckets: int,
    signatures: np.ndarray,
    values: np.ndarray,
    spans: np.ndarray,
    min_agreeing: int,
    threshold: float,
    survivor: np.ndarray,
    similarity: np.ndarray,
) -> None:
    """Fill `survivor` and `similarity`. Texts are compared with kept texts only: n * n_kept comparisons at most.

    A bucket is a linked list of its kept texts, the last one first: last[bucket], then before[text, band] and so on.
    """
    last = np.full(n_buckets, -1, np.int64)
    before = np.empty(buckets.shape, np.int64)
    compared = np.full(len(buckets), -1, np.int64)  # the last text that was compared with this kept one
    for second_pass in (False, True):  # compares dropped texts with those that were kept after them
        for i in range(len(buckets)):
            if second_pass and survivor[i] < 0:
                continue
            for band in range(buckets.shape[1]):
                j = last[buckets[i, band]]
                while j >= 0 and (j > i or not second_pass):
                    if compared[j] != i:
                        compared[j] = i
                        if n_agreeing(signatures[i], signatures[j]) >= min_agreeing:
                            one, other = values[spans[i, 0] : spans[i, 1]], values[spans[j, 0] : spans[j, 1]]
                            prefer(i, j, jaccard(one, other, threshold), threshold, survivor, similarity)
                    j = before[j, band]
            if survivor[i] < 0:
                for band in range(buckets.shape[1]):
                    before[i, band] = last[buckets[i, band]]
                    last[buckets[i, band]] = i


@kernel
def prefer(i: int, j: int, jaccard_ij: float, threshold: float, survivor: np.ndarray, similarity: np.ndarray) -> None:
    """Make j the survivor of i if it reaches the threshold and is more similar, or equal and earlier, than the current."""
    better = survivor[i] < 0 or jaccard_ij > similarity[i] or (jaccard_ij == similarity[i] and j < survivor[i])
    if jaccard_ij >= threshold and better:
        survivor[i], similarity[i] = j, jaccard_ij


@kernel
def jaccard(one: np.ndarray, other: np.ndarray, threshold: float) -> float:
    """The Jaccard similarity of two ascending arrays of distinct values; 0 if their lengths rule out `threshold`."""
    if min(len(one), len(other)) / max(len(one), len(other)) < threshold:
        return 0.0
    i, j, n_shared = 0, 0, 0
    while i < len(one) and j < len(other):
        a, b = one[i], other[j]
        n_shared += a == b
        i += a <= b
        j += b <= a
    return n_shared / (len(one) + len(other) - n_shared)
