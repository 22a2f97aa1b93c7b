"""Best-fit decreasing that splits what no row can hold and truncates nothing.

A draw longer than a row gives full rows and a remainder. Remainders and shorter draws go, the longest first, each
into the row that it fills best: the one with the least room that is enough; of equals the one last added to. Only
draws longer than a row are ever cut.

The rows with a given room are a stack, and a tree over the rooms tells the least that is enough and occupied: a few
dozen steps a draw, for any number of rows. Source of the idea: Ding et al. 2024 (arXiv 2404.10830), best-fit packing.
"""

import numba
import numpy as np

from pipelines.pack.packers.rows import Rows


def best_fit(lengths: np.ndarray, documents: np.ndarray, capacity: int, max_segments: int | None) -> Rows:
    """Rows as few and as full as best-fit decreasing makes them. Arguments: see packers.PACKERS."""
    lengths, documents = np.asarray(lengths, np.int64), np.asarray(documents, np.int64)
    n_pieces = -(-lengths // capacity)
    draw = np.repeat(np.arange(len(lengths)), n_pieces)
    start = (np.arange(len(draw)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)) * capacity
    stop = np.minimum(start + capacity, lengths[draw])
    row = np.arange(len(draw))  # of a full piece; the others go after them
    rest = np.flatnonzero(stop - start < capacity)
    rest = rest[longest_first((stop - start)[rest], documents[draw[rest]])]
    most = max_segments or len(lengths) + 1
    row[rest] = len(draw) + place((stop - start)[rest], documents[draw[rest]], capacity, most)
    by_row = np.argsort(row, kind="stable")
    offsets = np.flatnonzero(np.diff(row[by_row], prepend=-1, append=2 * len(draw)))
    return Rows(draw[by_row], start[by_row], stop[by_row], offsets)


def longest_first(lengths: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[n] places in descending order of length; copies of a document together, where its longest one stands."""
    longest = np.zeros(int(documents.max(initial=-1)) + 1, np.int64)
    np.maximum.at(longest, documents, lengths)
    return np.argsort(documents - longest[documents] * len(longest), kind="stable")


@numba.njit(nogil=True, cache=True)
def place(lengths: np.ndarray, documents: np.ndarray, capacity: int, most: int) -> np.ndarray:
    """[n] the row of each piece, rows counted as they are opened.

    lengths: [n] in 1 .. capacity - 1, in the order of longest_first; most: segments that a row may have.
    """
    size = 1
    while size <= capacity:
        size *= 2
    occupied = np.zeros(2 * size, np.int32)  # tree: how many rooms below a node have a row; leaf size + room
    top = np.full(capacity + 1, -1, np.int32)  # room -> the row last added to
    below = np.empty(len(lengths), np.int32)  # row -> the next one in its stack
    room, segments = np.empty(len(lengths), np.int64), np.empty(len(lengths), np.int64)
    row = np.empty(len(lengths), np.int64)
    n_rows, first = 0, 0
    for i in range(len(lengths)):
        enough = least_room(occupied, size, lengths[i])
        if enough < 0:
            r, n_rows = n_rows, n_rows + 1
            room[r], segments[r] = capacity, 0
        else:
            r = top[enough]
            top[enough] = below[r]
            if top[enough] < 0:
                count(occupied, size + enough, -1)
        row[i] = r
        room[r] -= lengths[i]
        segments[r] += 1
        if i + 1 == len(lengths) or documents[i + 1] != documents[i]:
            for j in range(first, i + 1):  # until here no copy of the document could find a row that holds one
                if room[row[j]] and segments[row[j]] < most:
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
    """The least room >= length that a row has, or -1."""
    node = size + length
    if occupied[node]:
        return length
    while node % 2 == 1 or occupied[node + 1] == 0:  # up, until something lies to the right
        node //= 2
        if node <= 1:
            return -1
    node += 1
    while node < size:
        node *= 2
        if occupied[node] == 0:
            node += 1
    return node - size
