"""Shingles -> MinHash signatures, their bands, and how alike two signatures say that two texts are.

The scheme is datasketch 2's "affine32": each permutation is `h -> a * fmix32(h) + b mod 2**32` with odd a, a bijection.
The kernel below applies them to a shard's texts at once. A row of SIGNATURES is a datasketch
object again by

    MinHash(num_perm=128, seed=1, hashvalues=row["signature"], scheme="affine32")

with the recipe's dedup.seed. The 32 bits of a shingle are the upper half of its 64; the lower half is left to whoever
samples shingles.
"""

import math
from functools import cache

import numpy as np

from schemas.kernels import kernel

EMPTY = np.uint32(2**32 - 1)  # every place of the signature of a text without shingles
DEVIATIONS = 3.0  # how far below the threshold an estimate may fall, in standard deviations at the threshold


@cache
def permutations(n_permutations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """a and b of each permutation, uint32: the draws of datasketch, whose import takes half a CPU second."""
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 2**31, n_permutations, np.uint32) * np.uint32(2) + np.uint32(1)
    return a, generator.randint(0, 2**32, n_permutations, np.uint32)


def signatures(values: np.ndarray, offsets: np.ndarray, n_permutations: int, seed: int) -> np.ndarray:
    """[n_texts, n_permutations] uint32: the least hash of a text's shingles under each permutation."""
    made = np.full((len(offsets) - 1, n_permutations), EMPTY)
    sign_all(values, offsets, *permutations(n_permutations, seed), made)
    return made


@kernel
def sign_all(values: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray, made: np.ndarray) -> None:
    for i in range(len(offsets) - 1):
        for j in range(offsets[i], offsets[i + 1]):
            h = np.uint32(values[j] >> np.uint64(32))
            h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))  # numba widens a product to 64 bits
            h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
            h ^= h >> np.uint32(16)
            for k in range(len(a)):
                made[i, k] = min(made[i, k], np.uint32(a[k] * h + b[k]))


def bands(threshold: float, n_permutations: int, min_recall: float) -> tuple[int, int]:
    """How many bands of how many rows: the longest rows that still find enough pairs at the threshold.

    Two texts of similarity s share a band of r rows with probability s**r, and one of b bands with
    1 - (1 - s**r)**b. Longer rows mean fewer pairs to look at for nothing, and fewer found.

    >>> bands(0.7, 128, 0.98)
    (25, 5)
    """
    for rows in range(n_permutations, 1, -1):
        n_bands = n_permutations // rows
        if 1 - (1 - threshold**rows) ** n_bands >= min_recall:
            return n_bands, rows
    return n_permutations, 1


def band_keys(signed: np.ndarray, n_bands: int, rows: int) -> np.ndarray:
    """[n_texts, n_bands] uint64: equal where two texts agree in all rows of a band, in no other place but by chance."""
    keys = np.empty((len(signed), n_bands), np.uint64)
    key_all(signed, rows, keys)
    return keys


@kernel
def key_all(signed: np.ndarray, rows: int, keys: np.ndarray) -> None:
    for i in range(keys.shape[0]):
        for band in range(keys.shape[1]):
            h = np.uint64(band + 1) << np.uint64(32)  # above the bits of a row's value
            for row in range(band * rows, (band + 1) * rows):
                h = (h ^ np.uint64(signed[i, row])) * np.uint64(0x9E3779B97F4A7C15)
                h ^= h >> np.uint64(32)
            keys[i, band] = h


def min_agreeing(threshold: float, n_permutations: int) -> int:
    """In how many places two signatures must agree for their texts to be worth comparing.

    The share that agrees estimates the similarity s with a standard deviation of sqrt(s * (1 - s) / n), 0.04 at 0.7.
    DEVIATIONS below the threshold, one pair in 400 of those right at it is missed, and hardly any further up.

    >>> min_agreeing(0.7, 128)
    75
    """
    deviation = math.sqrt(threshold * (1 - threshold) / n_permutations)
    return math.ceil((threshold - DEVIATIONS * deviation) * n_permutations)


@kernel
def n_agreeing(one: np.ndarray, other: np.ndarray) -> int:
    n = 0
    for k in range(len(one)):
        n += one[k] == other[k]
    return n
