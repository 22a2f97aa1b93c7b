"""The pairs of chunks of a document in a fixed sequence; a score uses the first n.

A pair (i, j) is a chunk i and an earlier chunk j. Near pairs are less than FAR chunks apart, far pairs FAR or more.
Every fourth pair of the sequence, starting with the first, is near; the others are far. Each kind follows a Sobol'
sequence over (row, distance), scrambled by the document's content hash: for any n the first n pairs are spread evenly
over both, and a larger n only appends pairs. No pair occurs twice.
"""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice

import numpy as np

Pair = tuple[int, int]  # target, context

FAR = 4  # chunks: 512 tokens at the default chunk size, farther than neighbouring paragraphs
NEAR_EVERY = 4
STEPS = 64  # points of the Sobol' sequence computed at a time


def in_rows(s: int, low: int, high: int) -> np.ndarray:
    """[s] int64: number of pairs of each target with low <= distance < high."""
    return np.maximum(0, np.minimum(np.arange(s), high - 1) - low + 1)


def n_pairs(s: int, low: int, high: int) -> int:
    """Number of pairs of `s` chunks with low <= distance < high."""
    return int(in_rows(s, low, high).sum())


def n_near(s: int) -> int:
    return n_pairs(s, 1, FAR)


def n_far(s: int) -> int:
    return n_pairs(s, FAR, s)


def price(n_pairs: int, n_read: int, chunk_tokens: int) -> int:
    """Model tokens of measuring pairs: all but the last token of each target, and each chunk read with its anchor.

    n_read: chunks that are read alone: contexts, and targets that are not contexts.
    """
    return n_pairs * (chunk_tokens - 1) + n_read * (chunk_tokens + 1)


def first_pairs(s: int, content_hash: str, n: int) -> list[Pair]:
    """The first n pairs of a document of `s` chunks; all of them where it has fewer."""
    return list(islice(sequence(s, content_hash), n))


def sequence(s: int, content_hash: str) -> Iterator[Pair]:
    """All pairs of `s` chunks; when one kind is exhausted, the other fills its places."""
    near, far = spread(s, 1, FAR, content_hash, "near"), spread(s, FAR, s, content_hash, "far")
    for k in range(n_near(s) + n_far(s)):
        first, second = (near, far) if k % NEAR_EVERY == 0 else (far, near)
        yield next(first, None) or next(second)


def spread(s: int, low: int, high: int, content_hash: str, use: str) -> Iterator[Pair]:
    """Every pair with low <= distance < high once, in the order of the Sobol' sequence; pairs it misses come last."""
    from scorers.chunk_gain import points  # compiled when imported, which costs a second

    rows = in_rows(s, low, high)
    ends = np.cumsum(rows)
    n_all = int(ends[-1]) if s else 0
    digest = blake2b(f"{use}\0{content_hash}".encode(), digest_size=8).digest()
    seeds = np.frombuffer(digest, "<u4")
    seen: set[Pair] = set()
    for start in range(0, 8 * n_all, STEPS):  # enough steps to reach nearly all pairs
        n = np.arange(start, start + STEPS, dtype=np.uint32)
        u = points.scrambled(points.reversed_bits(n), seeds[0])
        v = points.scrambled(points.sobol(n), seeds[1])
        row = np.searchsorted(ends, u.astype(np.uint64) * np.uint64(n_all) >> np.uint64(32), side="right")
        distance = low + (v.astype(np.uint64) * rows[row].astype(np.uint64) >> np.uint64(32)).astype(np.int64)
        for pair in zip(row.tolist(), (row - distance).tolist(), strict=True):
            if pair not in seen:
                seen.add(pair)
                yield pair
        if len(seen) == n_all:
            return
    for i in range(s):
        yield from ((i, i - d) for d in range(low, low + int(rows[i])) if (i, i - d) not in seen)


def some_pairs(s: int, content_hash: str, low: int, high: int, max_pairs: int) -> np.ndarray:
    """[n, 2] int32: the pairs with low <= distance < high; of more than `max_pairs` pairs, an even sample."""
    rows = in_rows(s, low, high)
    if rows.sum() > max_pairs:
        return np.array(list(islice(spread(s, low, high, content_hash, "some"), max_pairs)), np.int32)
    target = np.repeat(np.arange(s), rows)
    distance = low + np.arange(len(target)) - np.repeat(np.cumsum(rows) - rows, rows)
    return np.stack([target, target - distance], axis=1).astype(np.int32)
