"""Paths under construction: every document has at most two links, and no links form a cycle.

A document with fewer than two links is an end of its fragment. Each end has the id of the other end, so a link that
would close a cycle is recognised without a search.
"""

from typing import NamedTuple

import numba
import numpy as np


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


@numba.njit(nogil=True, cache=True)
def joinable(links: np.ndarray, other_end: np.ndarray, i: int, j: int) -> bool:
    return links[i, 1] < 0 and links[j, 1] < 0 and other_end[i] != j


@numba.njit(nogil=True, cache=True)
def attach(links: np.ndarray, other_end: np.ndarray, i: int, j: int) -> None:
    """Link two ends of different fragments."""
    links[i, 0 if links[i, 0] < 0 else 1] = j
    links[j, 0 if links[j, 0] < 0 else 1] = i
    first, last = other_end[i], other_end[j]
    other_end[first], other_end[last] = last, first


@numba.njit(nogil=True, cache=True)
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
