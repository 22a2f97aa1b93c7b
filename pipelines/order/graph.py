"""Neighbour lists as a graph, and the undirected graph of all pairs of which one lists the other.

Similarities are compared in millionths (int32): the last bits of a float32 product depend on the processor.
"""

from typing import NamedTuple

import numpy as np

from pipelines.shares import MICRO
from schemas.kernels import kernel

MAX_SIMILARITY = 2_000.0  # in millionths it fits int32, negated too
SHORT = 48  # rows up to this length are sorted by insertion: most of a row is in order already


class Graph(NamedTuple):
    """Rows of neighbours, by similarity descending, then id ascending."""

    offsets: np.ndarray  # [n + 1] int64
    neighbours: np.ndarray  # [e] int32
    similarities: np.ndarray  # [e] int32, millionths

    @property
    def n(self) -> int:
        return len(self.offsets) - 1


def graph_of(ids: np.ndarray, similarities: np.ndarray, k: int | None = None) -> Graph:
    """The directed graph of neighbour lists, without -1, the document itself and repeats.

    Args:
        ids: [n, c] integers, the nearest first; -1 where there is no neighbour.
        similarities: [n, c] floats.
        k: how many neighbours to keep, the first of each list; None keeps all.

    Raises:
        ValueError: the shapes differ, an id is not below n, or a similarity is not a number in -2000 .. 2000.
    """
    ids, similarities = np.asarray(ids), np.asarray(similarities)
    if ids.ndim != 2 or ids.shape != similarities.shape:
        raise ValueError(f"neighbour lists: ids {ids.shape} and similarities {similarities.shape} must both be [n, c]")
    n, c = ids.shape
    if ids.size and (ids.max() >= n or ids.min() < -1):
        raise ValueError(f"neighbour lists: ids {ids.min()} .. {ids.max()} of {n} documents; use 0 .. {n - 1}, or -1")
    offsets = np.zeros(n + 1, np.int64)
    neighbours, millionths = np.empty(ids.size, np.int32), np.empty(ids.size, np.int32)
    invalid = clean_lists(ids, similarities, c if k is None else k, offsets, neighbours, millionths)
    if invalid >= 0:
        raise ValueError(
            f"neighbour lists: row {invalid} has a similarity beyond ±{MAX_SIMILARITY:g} or NaN; remove it"
        )
    return Graph(offsets, neighbours[: offsets[n]], millionths[: offsets[n]])


def no_edges(n: int) -> Graph:
    return Graph(np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))


def union_graph(graph: Graph) -> Graph:
    """The undirected graph: an edge where either document lists the other, at the larger of the two similarities."""
    return Graph(*union_rows(*graph))


def restarts_of(graph: Graph, order: np.ndarray) -> np.ndarray:
    """[n] bool: the first place, and every place whose document and the one before do not list each other."""
    return ~reached(graph.offsets, graph.neighbours, np.asarray(order, np.int64))


@kernel
def clean_lists(
    ids: np.ndarray,
    similarities: np.ndarray,
    k: int,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    millionths: np.ndarray,
) -> int:
    """Fill the three arrays of a Graph. Returns the first row with an invalid similarity, or -1."""
    n, c = ids.shape
    listed_by = np.full(n, -1, np.int32)
    end = 0
    for i in range(n):
        start = end
        for r in range(c):
            j = ids[i, r]
            if j < 0 or j == i or listed_by[j] == i:
                continue
            if end - start == k:
                break
            if not abs(similarities[i, r]) <= MAX_SIMILARITY:
                return i
            listed_by[j] = i
            neighbours[end] = j
            millionths[end] = np.int32(np.rint(np.float64(similarities[i, r]) * MICRO))
            end += 1
        sort_row(neighbours[start:end], millionths[start:end])
        offsets[i + 1] = end
    return -1


@kernel
def union_rows(
    offsets: np.ndarray, neighbours: np.ndarray, similarities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of the union graph."""
    starts, ids, weights = both_ways(offsets, neighbours, similarities)
    n = len(offsets) - 1
    end = 0  # never ahead of the entry that is read, so rows are compacted in place
    written_at = np.full(n, -1, np.int64)
    compact = np.zeros(n + 1, np.int64)
    for i in range(n):
        start = end
        for e in range(starts[i], starts[i + 1]):
            j, weight = ids[e], weights[e]
            if written_at[j] >= start:
                weights[written_at[j]] = max(weights[written_at[j]], weight)
            else:
                written_at[j] = end
                ids[end], weights[end] = j, weight
                end += 1
        sort_row(ids[start:end], weights[start:end])
        compact[i + 1] = end
    return compact, ids[:end], weights[:end]


@kernel
def both_ways(
    offsets: np.ndarray, neighbours: np.ndarray, similarities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of a graph whose rows are each document's own list, then the documents that list it."""
    n = len(offsets) - 1
    starts = offsets.copy()
    listed = np.bincount(neighbours, minlength=n)
    for i in range(n):
        starts[i + 1] = starts[i] + offsets[i + 1] - offsets[i] + listed[i]
    cursor = starts[:-1].copy()
    ids, weights = np.empty(starts[n], np.int32), np.empty(starts[n], np.int32)
    for i in range(n):
        for e in range(offsets[i], offsets[i + 1]):
            ids[cursor[i]], weights[cursor[i]] = neighbours[e], similarities[e]
            cursor[i] += 1
    for i in range(n):
        for e in range(offsets[i], offsets[i + 1]):
            j = neighbours[e]
            ids[cursor[j]], weights[cursor[j]] = i, similarities[e]
            cursor[j] += 1
    return starts, ids, weights


@kernel
def sort_row(ids: np.ndarray, weights: np.ndarray) -> None:
    """Sort a row in place by weight descending, then id ascending."""
    n = len(ids)
    if n > SHORT:
        keys = np.empty(n, np.int64)
        for e in range(n):
            keys[e] = (-np.int64(weights[e]) << 32) | ids[e]
        keys.sort()
        for e in range(n):
            ids[e], weights[e] = keys[e] & 0xFFFFFFFF, -(keys[e] >> 32)
        return
    for e in range(1, n):
        j, weight = ids[e], weights[e]
        to = e
        while to > 0 and (weights[to - 1] < weight or (weights[to - 1] == weight and ids[to - 1] > j)):
            ids[to], weights[to] = ids[to - 1], weights[to - 1]
            to -= 1
        ids[to], weights[to] = j, weight


@kernel
def reached(offsets: np.ndarray, neighbours: np.ndarray, order: np.ndarray) -> np.ndarray:
    """[n] bool: whether each place's document lists the one before, or is listed by it."""
    edge = np.zeros(len(order), np.bool_)
    for t in range(1, len(order)):
        edge[t] = lists(offsets, neighbours, order[t - 1], order[t]) or lists(
            offsets, neighbours, order[t], order[t - 1]
        )
    return edge


@kernel
def lists(offsets: np.ndarray, neighbours: np.ndarray, i: int, j: int) -> bool:
    for e in range(offsets[i], offsets[i + 1]):
        if neighbours[e] == j:
            break
    else:
        return False
    return True
