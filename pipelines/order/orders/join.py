"""Fragments become one path: the most similar ends of different fragments are linked first.

With vectors, ends are split into cells of similar ones. Within a cell, links are made greedily over all pairs until half
of its ends are used; then the cells are made anew from the ends that are left. So a round costs a fixed number of
products an end, each has half as many ends as the one before, and the last, with one cell, is exact.

Without vectors, an end is linked to the fragment of its best listed neighbour, at the end nearer to this neighbour;
what no list connects is chained by id.
"""

import heapq

import numba
import numpy as np

from pipelines.order.graph import MILLION, Graph
from pipelines.order.orders.fragments import Fragments, attach, joinable
from pipelines.order.orders.split import split

CELL = 2_048  # ends that are compared with each other
LEAST_PADDED = 64
MAX_ROUNDS = 8  # without vectors; what is left then is chained by id


def join_by_vectors(fragments: Fragments, vectors: np.ndarray, keys: np.ndarray) -> None:
    """Link the fragments into one.

    Args:
        vectors: [n, d] float32, rows of length 1.
        keys: [n] uint64 that depend on content alone.
    """
    while fragments.n_fragments > 1:
        ends = fragments.ends()
        drawn = vectors[ends]
        cells = split(drawn, keys[ends], CELL)
        for cell in cells:
            target = 0 if len(cells) == 1 else len(cell) // 2
            link_greedily(*fragments, ends[cell], products(drawn[cell]), target)


def products(vectors: np.ndarray) -> np.ndarray:
    """[m, m] int32: similarities in millionths, from a product whose shape is a power of two."""
    n_padded = max(LEAST_PADDED, 1 << (len(vectors) - 1).bit_length())
    padded = np.zeros((n_padded, vectors.shape[1]), np.float32)
    padded[: len(vectors)] = vectors
    return np.rint((padded @ padded.T)[: len(vectors), : len(vectors)] * np.float32(MILLION)).astype(np.int32)


@numba.njit(nogil=True, cache=True)
def link_greedily(
    links: np.ndarray, other_end: np.ndarray, ends: np.ndarray, similarities: np.ndarray, target: int
) -> None:
    """Link ends in descending order of similarity until at most `target` of them are ends, or none can be linked.

    The heap has the best partner of each end when it was last searched. A partner that has become invalid is searched
    anew when its entry is the best, so links are made in exactly the greedy order. Of equal similarities, an end prefers
    the one that follows it, cyclically: equal vectors form a chain, and no end is everyone's choice.
    """
    m = len(ends)
    heap = [(np.int64(0), np.int64(0), np.int64(0)) for _ in range(0)]
    for e in range(m):
        best = best_partner(links, other_end, ends, similarities, e)
        if best >= 0:
            heap.append((-np.int64(similarities[e, best]), np.int64(e), np.int64(best)))
    heapq.heapify(heap)
    n_ends = m
    while len(heap) > 0 and n_ends > target:
        _, i, j = heapq.heappop(heap)
        if links[ends[i], 1] >= 0:
            continue
        if joinable(links, other_end, ends[i], ends[j]):
            attach(links, other_end, ends[i], ends[j])
            n_ends -= (links[ends[i], 1] >= 0) + (links[ends[j], 1] >= 0)
        best = best_partner(links, other_end, ends, similarities, int(i))
        if best >= 0:
            heapq.heappush(heap, (-np.int64(similarities[i, best]), i, np.int64(best)))


@numba.njit(nogil=True, cache=True)
def best_partner(links: np.ndarray, other_end: np.ndarray, ends: np.ndarray, similarities: np.ndarray, i: int) -> int:
    """The most similar end of another fragment, or -1. Of equal ones, the first after i, cyclically."""
    if links[ends[i], 1] >= 0:
        return -1
    best, best_similarity = -1, np.iinfo(np.int32).min
    m = len(ends)
    for step in range(1, m):
        j = i + step if i + step < m else i + step - m
        if similarities[i, j] > best_similarity and joinable(links, other_end, ends[i], ends[j]):
            best, best_similarity = j, similarities[i, j]
    return best


def join_by_lists(fragments: Fragments, union: Graph) -> None:
    """Link fragments by listed similarities, until no list connects two ends or for MAX_ROUNDS rounds."""
    for _ in range(MAX_ROUNDS):
        order = fragments.chain()
        ends = fragments.ends()
        partners, weights = listed_partners(fragments.links, order, *union, ends)
        by_weight = np.argsort(-weights.astype(np.int64), kind="stable")
        by_weight = by_weight[partners[by_weight] >= 0]
        if not link_listed(*fragments, ends[by_weight], partners[by_weight]):
            return


@numba.njit(nogil=True, cache=True)
def listed_partners(
    links: np.ndarray,
    order: np.ndarray,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    similarities: np.ndarray,
    ends: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """For each end, the end nearer to its best listed neighbour in another fragment, or -1, and their similarity.

    order: the fragments one after the other, see Fragments.chain.
    """
    n = len(order)
    start, place = np.empty(n, np.int64), np.empty(n, np.int64)
    stop = np.empty(n, np.int64)  # of a fragment, at its start
    begin = 0
    for t in range(n):
        if t and links[order[t], 0] != order[t - 1] and links[order[t], 1] != order[t - 1]:
            begin = t
        start[order[t]], place[order[t]], stop[begin] = begin, t, t + 1
    partners, weights = np.full(len(ends), -1, np.int64), np.zeros(len(ends), np.int32)
    for e in range(len(ends)):
        i = ends[e]
        for r in range(offsets[i], offsets[i + 1]):
            j = neighbours[r]
            if start[j] != start[i]:
                first, last = start[j], stop[start[j]] - 1
                nearer = first if place[j] - first <= last - place[j] else last
                partners[e], weights[e] = order[nearer], similarities[r]
                break
    return partners, weights


@numba.njit(nogil=True, cache=True)
def link_listed(links: np.ndarray, other_end: np.ndarray, ends: np.ndarray, partners: np.ndarray) -> int:
    """Link each pair that still can be. Returns the number of links."""
    n_links = 0
    for e in range(len(ends)):
        if ends[e] != partners[e] and joinable(links, other_end, ends[e], partners[e]):
            attach(links, other_end, ends[e], partners[e])
            n_links += 1
    return n_links
