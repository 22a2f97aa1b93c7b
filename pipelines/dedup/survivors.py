"""Candidates and their shingles -> which texts are kept, and which kept one each of the others repeats.

A text is kept unless it is a candidate of one kept before it and as like it as the threshold. What it repeats is, of
all kept texts so like it, the one most like it, of equals the first; so the verdicts stay when those that were kept
come first another time.
"""

import numpy as np
from numba import njit

from pipelines.dedup.minhash import n_agreeing


def survivors(
    keys: np.ndarray, signed: np.ndarray, values: np.ndarray, offsets: np.ndarray, floor: int, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """For each text the kept one that it repeats, -1 where it is kept itself, and the Jaccard similarity of the two.

    Args:
        keys: [n, n_bands] uint64, of texts in the order of the rule; candidates have one in common in the same band, and
        signed: [n, n_permutations] agree in at least `floor` places.
        values, offsets: shingles of each text, ascending.
    """
    buckets = np.empty(keys.shape, np.int64)
    n_buckets = 0
    for band in range(keys.shape[1]):
        buckets[:, band] = np.unique(keys[:, band], return_inverse=True)[1] + n_buckets
        n_buckets = buckets[:, band].max() + 1
    survivor, similarity = np.full(len(keys), -1, np.int64), np.full(len(keys), np.nan)
    judge(buckets, n_buckets, signed, values, offsets, floor, threshold, survivor, similarity)
    return survivor, similarity


@njit(cache=True, nogil=True)
def judge(  # noqa: PLR0913, PLR0917 numba: arrays one by one
    buckets: np.ndarray,
    n_buckets: int,
    signed: np.ndarray,
    values: np.ndarray,
    offsets: np.ndarray,
    floor: int,
    threshold: float,
    survivor: np.ndarray,
    similarity: np.ndarray,
) -> None:
    """The rule, with each text compared to kept ones only: n * k comparisons where n texts come to k kept ones.

    A bucket is a list of its kept texts, the last first: last[bucket], then before[text, band] and so on.
    """
    last = np.full(n_buckets, -1, np.int64)
    before = np.empty(buckets.shape, np.int64)
    looked = np.full(len(buckets), -1, np.int64)  # the last text that was compared to this kept one
    for later in (False, True):  # then the dropped ones look at those that were kept after them
        for i in range(len(buckets)):
            if later and survivor[i] < 0:
                continue
            for band in range(buckets.shape[1]):
                j = last[buckets[i, band]]
                while j >= 0 and (j > i or not later):
                    if looked[j] != i:
                        looked[j] = i
                        if n_agreeing(signed[i], signed[j]) >= floor:
                            one, other = values[offsets[i] : offsets[i + 1]], values[offsets[j] : offsets[j + 1]]
                            prefer(i, j, jaccard(one, other, threshold), threshold, survivor, similarity)
                    j = before[j, band]
            if survivor[i] < 0:
                for band in range(buckets.shape[1]):
                    before[i, band] = last[buckets[i, band]]
                    last[buckets[i, band]] = i


@njit(cache=True, nogil=True)
def prefer(i: int, j: int, alike: float, threshold: float, survivor: np.ndarray, similarity: np.ndarray) -> None:
    """Name j the survivor of i if it is near enough, and nearer or earlier than the one named before."""
    nearer = survivor[i] < 0 or alike > similarity[i] or (alike == similarity[i] and j < survivor[i])
    if alike >= threshold and nearer:
        survivor[i], similarity[i] = j, alike


@njit(cache=True, nogil=True)
def jaccard(one: np.ndarray, other: np.ndarray, threshold: float) -> float:
    """Shared / all of two ascending arrays of distinct values; 0 where their lengths rule `threshold` out."""
    if min(len(one), len(other)) / max(len(one), len(other)) < threshold:
        return 0.0
    i, j, n_shared = 0, 0, 0
    while i < len(one) and j < len(other):
        a, b = one[i], other[j]
        n_shared += a == b
        i += a <= b
        j += b <= a
    return n_shared / (len(one) + len(other) - n_shared)
