"""The partitions of a corpus: centres of its documents' vectors, dealt to groups. A refresh keeps those of its base.

Centres are found by spherical k-means on a sample, lowest keys first. A partition with more than MAX_SHARE times its share of
documents is split. Whole partitions are dealt to groups so that the domain shares of each are near the mix's.
"""

from collections.abc import Callable, Iterator

import numpy as np

from pipelines.order.products import products

SAMPLE_PER_CENTRE, MAX_SAMPLE = 256, 65_536  # vectors
ROUNDS = 20  # of k-means
MAX_SHARE = 2
MAX_SPLITS = 8  # rounds of splitting
PER_GROUP = 8  # partitions of each group, where there is more than one group

Vectors = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Yields (documents, their vectors [n, d] float32), block by block, as often as it is called."""


def n_partitions(n_documents: int, partition_documents: int, n_groups: int) -> int:
    return max(-(-n_documents // partition_documents), PER_GROUP * n_groups if n_groups > 1 else 1)


def centres(vectors: Vectors, keys: np.ndarray, n: int) -> np.ndarray:
    """[at least n, d] float32 of length 1, fewer where the sample has fewer different vectors.

    Args:
        keys: [m] uint64 of each document; the sample has the lowest.
    """
    sample = sample_of(vectors, keys, min(MAX_SAMPLE, SAMPLE_PER_CENTRE * n))
    found = k_means(sample, n)
    for _ in range(MAX_SPLITS):
        sizes = np.zeros(len(found), np.int64)
        for _, block in vectors():
            sizes += np.bincount(products(block, found).argmax(axis=1), minlength=len(found))
        large = np.flatnonzero(sizes > MAX_SHARE * sizes.sum() / n)
        own = products(sample, found).argmax(axis=1)
        parts = {int(p): k_means(sample[own == p], -(-int(sizes[p]) * n // int(sizes.sum()))) for p in large}
        if all(len(part) <= 1 for part in parts.values()):
            break
        found = np.concatenate([parts.get(p, found[p : p + 1]) for p in range(len(found))])
    return found


def sample_of(vectors: Vectors, keys: np.ndarray, n: int) -> np.ndarray:
    """[at most n, d] the vectors of the lowest keys, in their order."""
    chosen = np.argsort(keys, kind="stable")[:n]
    place = np.full(len(keys), -1)
    place[chosen] = np.arange(len(chosen))
    out: np.ndarray | None = None
    for documents, block in vectors():
        out = np.zeros((len(chosen), block.shape[1]), np.float32) if out is None else out
        mine = place[documents] >= 0
        out[place[documents][mine]] = block[mine]
    return out if out is not None else np.empty((0, 0), np.float32)


def k_means(sample: np.ndarray, n: int) -> np.ndarray:
    """[at most n, d] centres of length 1. They begin as the first n different vectors of the sample.

    A centre that no vector is nearest to becomes the vector that is farthest from its own centre.
    """
    _, first = np.unique(sample, axis=0, return_index=True)
    found = sample[np.sort(first)[:n]]
    for _ in range(ROUNDS if len(found) > 1 else 1):
        cosines = products(sample, found)
        own, best = cosines.argmax(axis=1), cosines.max(axis=1)
        sums = np.zeros(found.shape, np.float64)
        np.add.at(sums, own, sample)
        empty = np.flatnonzero(np.bincount(own, minlength=len(found)) == 0)
        sums[empty] = sample[np.argsort(best, kind="stable")[: len(empty)]]
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        new = np.where(length > 0, sums / np.maximum(length, np.finfo(np.float64).tiny), found).astype(np.float32)
        if np.array_equal(new, found):
            break
        found = new
    return found


def places_of(vectors: np.ndarray, found: np.ndarray, group: np.ndarray, ghost_share: float) -> np.ndarray:
    """[n, 2] int32 the partition of each vector, the lowest among equals, and the one that it is a ghost in, or -1.

    A ghost is as near to the second centre of its own group as `ghost_share` of the cosine with its own centre.

    Args:
        found: [p, d] centres.
        group: [p] of each partition.
    """
    cosines = products(vectors, found)
    rows = np.arange(len(vectors))
    own = cosines.argmax(axis=1)
    best = cosines[rows, own].astype(np.int64)
    others = np.where(group[None, :] == group[own][:, None], cosines, np.iinfo(np.int32).min)
    others[rows, own] = np.iinfo(np.int32).min
    second = others.argmax(axis=1)
    is_ghost = (others[rows, second] > 0) & (others[rows, second] >= ghost_share * best)
    return np.stack([own, np.where(is_ghost, second, -1)], axis=1).astype(np.int32)


def dealt(tokens: np.ndarray, n_groups: int) -> np.ndarray:
    """[p] the group of each partition: the largest first, each to the group that it brings nearest to an equal part of the mix.

    tokens: [p, n_domains] int64.
    """
    aim = tokens.sum(axis=0) // n_groups
    groups = np.zeros((n_groups, tokens.shape[1]), np.int64)
    group = np.empty(len(tokens), np.int64)
    for p in np.argsort(-tokens.sum(axis=1), kind="stable").tolist():
        change = np.abs(groups + tokens[p] - aim).sum(axis=1) - np.abs(groups - aim).sum(axis=1)
        group[p] = int(change.argmin())
        groups[group[p]] += tokens[p]
    return exchanged(tokens, group, groups, aim)


def exchanged(tokens: np.ndarray, group: np.ndarray, groups: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """The dealing after every single move and swap of partitions that brings the groups nearer to the aim."""

    def distance(g: int, change: np.ndarray) -> int:
        return int(np.abs(groups[g] + change - aim).sum())

    def move(p: int, to: int) -> None:
        groups[group[p]] -= tokens[p]
        groups[to] += tokens[p]
        group[p] = to

    improved = len(groups) > 1
    while improved:
        improved = False
        for p in range(len(tokens)):
            for q in range(p + 1, len(tokens)):
                a, b = int(group[p]), int(group[q])
                if a == b:
                    continue
                change = tokens[q] - tokens[p]
                nothing = np.zeros_like(change)
                before = distance(a, nothing) + distance(b, nothing)
                if distance(a, change) + distance(b, -change) < before:
                    move(p, b)
                    move(q, a)
                    improved = True
    return group
