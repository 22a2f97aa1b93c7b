"""Concatenate and cut: draws one after another, a new row every `capacity` tokens, whatever document that cuts."""

import numba
import numpy as np

from pipelines.pack.packers.rows import Rows


def concat(lengths: np.ndarray, documents: np.ndarray, capacity: int, max_segments: int | None) -> Rows:
    """Rows that are full but for the last, and for one that the next draw may not share.

    A draw whose document already stands in the row, or that would be a segment too many, begins the next row.
    Arguments: see packers.PACKERS.
    """
    most = max_segments or len(lengths) + 1
    draw, start, stop, row = cut(np.asarray(lengths, np.int64), np.asarray(documents, np.int64), capacity, most)
    offsets = np.concatenate([[0], np.flatnonzero(np.diff(row)) + 1, [len(row)]]) if len(row) else np.zeros(1, np.int64)
    return Rows(draw, start, stop, offsets)


@numba.njit(nogil=True, cache=True)
def cut(lengths: np.ndarray, documents: np.ndarray, capacity: int, most: int) -> tuple[np.ndarray, ...]:
    n_pieces = len(lengths) + lengths.sum() // capacity + 1
    draw, start = np.empty(n_pieces, np.int64), np.empty(n_pieces, np.int64)
    stop, row = np.empty(n_pieces, np.int64), np.empty(n_pieces, np.int64)
    last_row = np.full(documents.max() + 1 if len(documents) else 0, -1)
    n, r, room, segments = 0, 0, capacity, 0
    for i in range(len(lengths)):
        done = 0
        if lengths[i] and segments and last_row[documents[i]] == r:
            r, room, segments = r + 1, capacity, 0
        while done < lengths[i]:
            if room == 0 or segments == most:
                r, room, segments = r + 1, capacity, 0
            step = min(room, lengths[i] - done)
            draw[n], start[n], stop[n], row[n] = i, done, done + step, r
            n, done, room, segments = n + 1, done + step, room - step, segments + 1
            last_row[documents[i]] = r
    return draw[:n], start[:n], stop[:n], row[:n]
