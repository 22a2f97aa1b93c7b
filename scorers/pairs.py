"""Which pairs of chunks of a document are looked at: one fixed sequence, of which a score uses the first n.

A pair (i, j) is a chunk i and one before it, j. Near pairs are less than FAR chunks apart, far ones FAR or more. Every
fourth pair of the sequence is a near one, from the first; the others are far. Each kind runs through its pairs by a
low-discrepancy sequence over (distance, row), shifted at random by the document's content hash: whatever n is, the
pairs are spread evenly over both, and more pairs extend what is there. No pair comes twice.
"""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from math import isqrt

import numpy as np

Pair = tuple[int, int]  # target, context

FAR = 4  # chunks apart: 512 tokens at the default chunk, more than a page's own neighbourhood
NEAR_EVERY = 4
MASK = (1 << 64) - 1
# Steps of the R2 sequence, as odd fractions of 2**64: 1/p and 1/p**2 for the real root p of p**3 = p + 1.
# Source: M. Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018).
STEPS = (0xC13FA9A902A6328F, 0x91E10DA5C79E7B1D)


def n_pairs(s: int, low: int, high: int) -> int:
    """How many pairs of `s` chunks are low <= distance < high apart."""
    return max(0, (high - low) * (2 * s - low - high + 1) // 2) if high <= s else n_pairs(s, low, s)


def n_near(s: int) -> int:
    return n_pairs(s, 1, min(s, FAR))


def n_far(s: int) -> int:
    return n_pairs(s, min(s, FAR), s)


def first_pairs(s: int, content_hash: str, n: int) -> list[Pair]:
    """The first n pairs of a document of `s` chunks; all of them where it has no more."""
    return list(islice(sequence(s, content_hash), n))


def sequence(s: int, content_hash: str) -> Iterator[Pair]:
    """All pairs of `s` chunks; where one kind is used up the other goes on."""
    near, far = spread(s, 1, min(s, FAR), content_hash, "near"), spread(s, min(s, FAR), s, content_hash, "far")
    for k in range(n_near(s) + n_far(s)):
        first, second = (near, far) if k % NEAR_EVERY == 0 else (far, near)
        yield next(first, None) or next(second)


def spread(s: int, low: int, high: int, content_hash: str, use: str) -> Iterator[Pair]:
    """Every pair with low <= distance < high once: first along the sequence, what that skips for long at the end."""
    many = n_pairs(s, low, high)
    digest = blake2b(f"{use}\0{content_hash}".encode(), digest_size=16).digest()
    u, v = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
    seen: set[Pair] = set()
    for _ in range(8 * many):  # all but a few come up in so many steps
        u, v = (u + STEPS[0]) & MASK, (v + STEPS[1]) & MASK
        d = distance_at(s, low, u * many >> 64)
        i = d + (v * (s - d) >> 64)
        if (i, i - d) not in seen:
            seen.add((i, i - d))
            yield i, i - d
        if len(seen) == many:
            return
    for d in range(low, high):
        yield from ((i, i - d) for i in range(d, s) if (i, i - d) not in seen)


def distance_at(s: int, low: int, place: int) -> int:
    """The distance of the pair at `place` when all pairs from distance `low` on stand in order of distance.

    The first k distances have k (2 (s - low) + 1 - k) / 2 pairs.
    """
    n = 2 * (s - low) + 1
    k = (n - isqrt(n * n - 8 * place)) // 2
    while k * (n - k) > 2 * place:
        k -= 1
    while (k + 1) * (n - k - 1) <= 2 * place:
        k += 1
    return low + k


def some_pairs(s: int, content_hash: str, low: int, high: int, most: int) -> np.ndarray:
    """[n, 2] int32: the pairs with low <= distance < high, all or, where there are more than `most`, so many of them."""
    if n_pairs(s, low, high) > most:
        return np.array(list(islice(spread(s, low, high, content_hash, "some"), most)), np.int32)
    every = [np.stack([np.arange(d, s), np.arange(s - d)], axis=1) for d in range(low, high)]
    return np.concatenate([np.empty((0, 2), np.int64), *every]).astype(np.int32)
