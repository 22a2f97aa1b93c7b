"""Best-fit decreasing that splits draws longer than a row and truncates nothing.

A draw longer than a row gives full rows and a remainder. Remainders and shorter draws are placed longest first, each
into the best-fitting row: the one with the least sufficient room, and among equals the one that was extended last. Only
draws longer than a row are cut.

Rows with the same room form a stack, and a tree over the rooms finds the least sufficient one that has rows, in a few
dozen steps per draw for any number of rows. Source of the idea: Ding et al. 2024 (arXiv 2404.10830), best-fit packing.
"""

import numba
import numpy as np

from pipelines.pack.packers.rows import Rows


def best_fit(lengths: np.ndarray, documents: np.ndarray, capacity: int, max_segments: int | None) -> Rows:
    """Rows packed by best-fit decreasing. Arguments: see packers.PACKERS."""
    lengths, documents = np.asarray(lengths, np.int64), np.asarray(documents, np.int64)
    n_pieces = -(-lengths // capacity)
    draw = np.repeat(np.arange(len(lengths)), n_pieces)
    start = (np.arange(len(draw)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)) * capacity
    stop = np.minimum(start + capacity, lengths[draw])
    row = np.arange(len(draw))  # of a full piece; the rows of other pieces are numbered after these
    rest = np.flatnonzero(stop - start < capacity)
    rest = rest[longest_first((stop - start)[rest], documents[draw[rest]])]
    limit = max_segments or len(lengths) + 1
    row[rest] = len(draw) + place((stop - start)[rest], documents[draw[rest]], capacity, limit)
    by_row = np.argsort(row, kind="stable")
    offsets = np.flatnonzero(np.diff(row[by_row], prepend=-1, append=2 * len(draw)))
    return Rows(draw[by_row], start[by_row], stop[by_row], offsets)


def longest_first(lengths: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[n] indices in descending order of length; the copies of a document together, at the length of the longest."""
    longest = np.zeros(int(documents.max(initial=-1)) + 1, np.int64)
    np.maximum.at(longest, documents, lengths)
    return np.argsort(documents - longest[documents] * len(longest), kind="stable")


@numba.njit(nogil=True, cache=True)
def place(lengths: np.ndarray, documents: np.ndarray, capacity: int, max_segments: int) -> np.ndarray:
    """[n] the row of each piece, numbered in the order in which rows are opened.

    lengths: [n] in 1 .. capacity - 1, in the order of longest_first.
    """
    size = 1
    while size <= capacity:
        size *= 2
    occupied = np.zeros(2 * size, np.int32)  # tree: number of rooms with rows below a node; leaf size + room
    top = np.full(capacity + 1, -1, np.int32)  # room -> the row that was extended last
    below = np.empty(len(lengths), np.int32)  # row -> the next row in its stack
    room, n_segments = np.empty(len(lengths), np.int64), np.empty(len(lengths), np.int64)
    row = np.empty(len(lengths), np.int64)
    n_rows, first = 0, 0
    for i in range(len(lengths)):
        best = least_room(occupied, size, lengths[i])
        if best < 0:
            r, n_rows = n_rows, n_rows + 1
            room[r], n_segments[r] = capacity, 0
        else:
            r = top[best]
            top[best] = below[r]
            if top[best] < 0:
                count(occupied, size + best, -1)
        row[i] = r
        room[r] -= lengths[i]
        n_segments[r] += 1
        if i + 1 == len(lengths) or documents[i + 1] != documents[i]:
            for j in range(first, i + 1):  # rows return only after the last copy, so that copies never share a row
                if room[row[j]] and n_segments[row[j]] < max_segments:
                    push(row[j], room[row[j]], top, below, occupied)
            first = i + 1
    return row


@numba.njit(nogil=True, cache=True)
def push(r: int, room: int, top: np.ndarray, below: np.ndarray, occupied: np.ndarray) -> None:
    if top[room] < 0:
        count(occupied, len(occupied) // 2 + room, 1)
    below[r] = top[room]
    top[room] = r


@numba.njit(nogil=True, cache=True)
def count(occupied: np.ndarray, node: int, change: int) -> None:
    while node:
        occupied[node] += change
        node //= 2


@numba.njit(nogil=True, cache=True)
def least_room(occupied: np.ndarray, size: int, length: int) -> int:
    """The least room >= length that has a row, or -1."""
    node = size + length
    if occupied[node]:
        return length
    while node % 2 == 1 or occupied[node + 1] == 0:  # up, until the right sibling is occupied
        node //= 2
        if node <= 1:
            return -1
    node += 1
    while node < size:
        node *= 2
        if occupied[node] == 0:
            node += 1
    return node - size
