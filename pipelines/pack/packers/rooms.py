"""Best fit: pieces go into the rows with the least sufficient room.

Rows with the same room form a stack. A set of 64-bit words has a bit for each room with rows, and a set above it a bit for
each word that is not 0, so the least sufficient room is found in a few steps for any number of rows. Stacks are doubly
linked, so that the rows in which a document is already can leave them for a while.

All kernels are in this file, because numba's cache does not notice a change of a kernel in another file. Source of the
idea: Ding et al. 2024 (arXiv 2404.10830), best-fit packing.
"""

from typing import NamedTuple

import numpy as np

from pipelines.pack.packers.sorting import ascending
from schemas.kernels import kernel

LEVELS = 5  # of bits: rooms below 64^5
ONE = np.uint64(1)
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)  # the six highest bits of its product with each power of two differ
BIT_OF = np.empty(64, np.int64)
BIT_OF[((ONE << np.arange(64, dtype=np.uint64)) * DE_BRUIJN) >> np.uint64(58)] = np.arange(64)


class Rooms(NamedTuple):
    """Rows that are being filled: int32 arrays, which the kernels below change.

    Attributes:
        max_segments: maximum pieces of a row.
        room: [m] tokens for which each row has room.
        n_segments: [m] pieces in each row.
        partition: [m] of the window that became the row; -1 if none did.
        below: [m] the next row in its stack; -1 below the last.
        above: [m] the row before it in its stack, -1 above the top, -2 if the row is in no stack.
        top: [capacity + 1] room -> the row that was extended last; -1 if no row has that room.
        bits: [LEVELS, w] uint64: bit i % 64 of bits[0, i / 64] is set if room i has rows, that of bits[k, i / 64] if
            bits[k - 1, i] is not 0.
    """

    max_segments: int
    room: np.ndarray
    n_segments: np.ndarray
    partition: np.ndarray
    below: np.ndarray
    above: np.ndarray
    top: np.ndarray
    bits: np.ndarray


class Pieces(NamedTuple):
    """Pieces to place in the order of `longest_first`, and the rows of those that were placed: int32 arrays.

    Attributes:
        lengths: [n] from 1 to capacity - 1.
        labels: [n] pieces of one label never share a row; -1 if no other piece has the label.
        row: [n] -1 if not placed.
        first: [labels] the piece of each label that was placed first; -1 if none was.
        last: [labels] and the one placed last.
        following: [n] the piece of the same label that was placed next; -1 after the last.
    """

    lengths: np.ndarray
    labels: np.ndarray
    row: np.ndarray
    first: np.ndarray
    last: np.ndarray
    following: np.ndarray


def no_rooms(max_rows: int, capacity: int, max_segments: int) -> Rooms:
    """No rows yet, and arrays for max_rows of them."""
    room, n_segments = np.zeros(max_rows, np.int32), np.zeros(max_rows, np.int32)
    partition, below, above = (np.full(max_rows, n, np.int32) for n in (-1, -1, -2))
    top, bits = np.full(capacity + 1, -1, np.int32), np.zeros((LEVELS, capacity // 64 + 2), np.uint64)
    return Rooms(max_segments, room, n_segments, partition, below, above, top, bits)


def unplaced(lengths: np.ndarray, documents: np.ndarray) -> Pieces:
    counts = np.bincount(documents)
    labels = np.where(counts[documents] > 1, documents, -1).astype(np.int32)
    return cleared(Pieces(lengths.astype(np.int32), labels, *[np.empty(0, np.int32)] * 4), len(counts))


def cleared(pieces: Pieces, n_labels: int) -> Pieces:
    """The same pieces, none of them placed."""
    n = len(pieces.lengths)
    row, first, last, following = (np.full(k, -1, np.int32) for k in (n, n_labels, n_labels, n))
    return pieces._replace(row=row, first=first, last=last, following=following)


def longest_first(lengths: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[k] indices of positive lengths, descending; those of a document together, at the length of the longest."""
    longest = np.zeros(int(documents.max(initial=-1)) + 1, np.int64)
    np.maximum.at(longest, documents, lengths)
    by_document = ascending(documents, np.flatnonzero(lengths))
    return ascending(lengths.max(initial=0) - longest[documents], by_document)


@kernel
def best_fit_into(order: np.ndarray, pieces: Pieces, rooms: Rooms, n_rows: int, partition: int) -> int:
    """Place pieces into the rows of the stacks, and return the number of rows.

    Args:
        order: [k] ascending pieces that are not placed.
        partition: -1 if a piece that fits nowhere opens a row; else it is left, and only rows of this partition, which are
            those in the stacks, return to them.
    """
    first = 0
    for i in range(len(order)):
        label = pieces.labels[order[i]]
        if label >= 0 and first == i:
            remove_all(label, pieces, rooms)
        n_rows = place(order[i], pieces, rooms, n_rows, partition)
        if label < 0 or i + 1 == len(order) or pieces.labels[order[i + 1]] != label:
            first = i + 1
            each = pieces.first[label] if label >= 0 else order[i]
            while each >= 0 and pieces.row[each] >= 0:  # a row returns only after the last piece of a label
                r = pieces.row[each]
                if rooms.n_segments[r] < rooms.max_segments and (partition < 0 or rooms.partition[r] == partition):
                    push(r, rooms)
                each = pieces.following[each]
    return n_rows


@kernel
def remove_all(label: int, pieces: Pieces, rooms: Rooms) -> None:
    """Take the rows that have pieces of a label out of their stacks."""
    each = pieces.first[label]
    while each >= 0:
        remove(pieces.row[each], rooms)
        each = pieces.following[each]


@kernel
def open_windows(window: np.ndarray, pieces: Pieces, rooms: Rooms) -> None:
    """Put the pieces of windows into their rows, which are numbered as the windows are. window: [k], -1 for none."""
    for i in range(len(window)):
        r = window[i]
        if r >= 0:
            if rooms.n_segments[r] == 0:
                rooms.room[r] = len(rooms.top) - 1
            put(i, r, pieces)
            rooms.room[r] -= pieces.lengths[i]
            rooms.n_segments[r] += 1


@kernel
def fill(
    own: np.ndarray, free: np.ndarray, partition: np.ndarray, by_partition: np.ndarray, pieces: Pieces, rooms: Rooms
) -> int:
    """Place free pieces into the windows, first those of their partition; what fits nowhere opens rows.

    Args:
        own: [k] the free pieces by partition.
        free: [k] the same, ascending.
        partition: [n] of each piece.
        by_partition: [w] all windows by partition. An empty one is a dissolved one, which gets nothing.

    Returns:
        The number of rows, dissolved windows included.
    """
    n_rows = len(by_partition)
    row, i = 0, 0
    while i < len(own):
        p, j = partition[own[i]], i
        while j < len(own) and partition[own[j]] == p:
            j += 1
        while row < n_rows and rooms.partition[by_partition[row]] < p:
            row += 1
        first = row
        while row < n_rows and rooms.partition[by_partition[row]] == p:
            if 0 < rooms.n_segments[by_partition[row]] < rooms.max_segments:
                push(by_partition[row], rooms)
            row += 1
        if row > first:
            best_fit_into(own[i:j], pieces, rooms, n_rows, p)
        for k in range(first, row):
            remove(by_partition[k], rooms)
        i = j
    for r in range(n_rows):
        if 0 < rooms.n_segments[r] < rooms.max_segments:
            push(r, rooms)
    return best_fit_into(free[pieces.row[free] < 0], pieces, rooms, n_rows, -1)


@kernel
def place(piece: int, pieces: Pieces, rooms: Rooms, n_rows: int, partition: int) -> int:
    length = pieces.lengths[piece]
    best = least_room(rooms.bits, length)
    if best < 0 and partition >= 0:
        return n_rows
    if best < 0:
        r, n_rows = n_rows, n_rows + 1
        rooms.room[r] = len(rooms.top) - 1
    else:
        r = rooms.top[best]
        remove(r, rooms)
    put(piece, r, pieces)
    rooms.room[r] -= length
    rooms.n_segments[r] += 1
    return n_rows


@kernel
def put(piece: int, r: int, pieces: Pieces) -> None:
    """Note the row of a piece."""
    label = pieces.labels[piece]
    pieces.row[piece] = r
    if label >= 0:
        if pieces.first[label] < 0:
            pieces.first[label] = piece
        else:
            pieces.following[pieces.last[label]] = piece
        pieces.last[label] = piece


@kernel
def push(r: int, rooms: Rooms) -> None:
    """Put a row on the stack of its room, unless it is full or in a stack."""
    room = rooms.room[r]
    if room == 0 or rooms.above[r] != -2:
        return
    below = rooms.top[room]
    if below < 0:
        set_bit(rooms.bits, room)
    else:
        rooms.above[below] = r
    rooms.below[r], rooms.above[r], rooms.top[room] = below, -1, r


@kernel
def remove(r: int, rooms: Rooms) -> None:
    """Take a row out of its stack, if it is in one."""
    above, below, room = rooms.above[r], rooms.below[r], rooms.room[r]
    if above == -2:
        return
    if below >= 0:
        rooms.above[below] = above
    if above >= 0:
        rooms.below[above] = below
    else:
        rooms.top[room] = below
        if below < 0:
            clear_bit(rooms.bits, room)
    rooms.above[r] = -2


@kernel
def set_bit(bits: np.ndarray, i: int) -> None:
    for level in range(len(bits)):
        word = bits[level, i >> 6]
        bits[level, i >> 6] = word | (ONE << np.uint64(i & 63))
        if word:
            return
        i >>= 6


@kernel
def clear_bit(bits: np.ndarray, i: int) -> None:
    for level in range(len(bits)):
        word = bits[level, i >> 6] & ~(ONE << np.uint64(i & 63))
        bits[level, i >> 6] = word
        if word:
            return
        i >>= 6


@kernel
def least_room(bits: np.ndarray, length: int) -> int:
    """The least room >= length that has a row, or -1."""
    i = length
    for level in range(len(bits)):
        word = bits[level, i >> 6] >> np.uint64(i & 63)
        if word:
            i += lowest_bit(word)
            for lower in range(level - 1, -1, -1):
                i = (i << 6) + lowest_bit(bits[lower, i])
            return i
        i = (i >> 6) + 1
    return -1


@kernel
def lowest_bit(word: int) -> int:
    """The index of the lowest bit that is set in a uint64."""
    return BIT_OF[((word & (~word + ONE)) * DE_BRUIJN) >> np.uint64(58)]
