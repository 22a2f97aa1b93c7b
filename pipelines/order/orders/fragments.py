"""Paths under construction: every document has at most two links, and no links form a cycle.

A document with fewer than two links is an end of its fragment. Each end has the id of the other end, so a link that
would close a cycle is recognised without a search.

All compiled code that makes links is here: numba compiles a function again when its own file changes, not when the file
of a function that it calls does.
"""

import heapq
from typing import NamedTuple

import numpy as np

from schemas.kernels import kernel


class Fragments(NamedTuple):
    links: np.ndarray  # [n, 2] int32, -1 for none; the second is set only after the first
    other_end: np.ndarray  # [n] int32, valid at ends; a document without links is both ends of its fragment

    @staticmethod
    def singles(n: int) -> "Fragments":
        return Fragments(np.full((n, 2), -1, np.int32), np.arange(n, dtype=np.int32))

    def ends(self) -> np.ndarray:
        """[m] int64 documents with fewer than two links, ascending."""
        return np.flatnonzero(self.links[:, 1] < 0)

    @property
    def n_fragments(self) -> int:
        return len(self.links) - int(np.count_nonzero(self.links >= 0)) // 2

    def chain(self) -> np.ndarray:
        """[n] int64: the fragments one after the other by their lowest end, each from this end."""
        return chained(self.links, self.other_end)


@kernel
def joinable(links: np.ndarray, other_end: np.ndarray, i: int, j: int) -> bool:
    return links[i, 1] < 0 and links[j, 1] < 0 and other_end[i] != j


@kernel
def attach(links: np.ndarray, other_end: np.ndarray, i: int, j: int) -> None:
    """Link two ends of different fragments."""
    links[i, 0 if links[i, 0] < 0 else 1] = j
    links[j, 0 if links[j, 0] < 0 else 1] = i
    first, last = other_end[i], other_end[j]
    other_end[first], other_end[last] = last, first


@kernel
def chained(links: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    n = len(links)
    order = np.empty(n, np.int64)
    place = 0
    for start in range(n):
        if links[start, 1] >= 0 or other_end[start] < start:
            continue
        before, at = -1, start
        while at >= 0:
            order[place] = at
            place += 1
            following = links[at, 0] if links[at, 0] != before else links[at, 1]
            before, at = at, following
    return order


@kernel
def match(links: np.ndarray, other_end: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    for e in range(len(low)):
        if joinable(links, other_end, low[e], high[e]):
            attach(links, other_end, low[e], high[e])


@kernel
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


@kernel
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


@kernel
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


@kernel
def link_listed(links: np.ndarray, other_end: np.ndarray, ends: np.ndarray, partners: np.ndarray) -> int:
    """Link each pair that still can be. Returns the number of links."""
    n_links = 0
    for e in range(len(ends)):
        if ends[e] != partners[e] and joinable(links, other_end, ends[e], partners[e]):
            attach(links, other_end, ends[e], partners[e])
            n_links += 1
    return n_links
