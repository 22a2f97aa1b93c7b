"""Concatenate and cut: draws in order, with a new row after every `capacity` tokens, wherever that cuts a document."""

import numpy as np

from pipelines.pack.packers.rows import Drawn, Rows
from schemas.kernels import kernel


def concat(drawn: Drawn, capacity: int, max_segments: int | None) -> Rows:
    """Rows that are full, except the last one and those that the next draw may not share.

    A draw starts a new row if its document is already in the row or if the row has `max_segments`.
    Arguments: see packers.PACKERS.
    """
    limit = max_segments or len(drawn) + 1
    return Rows.by_row(*cut(drawn.lengths, drawn.documents, capacity, limit))


@kernel
def cut(lengths: np.ndarray, documents: np.ndarray, capacity: int, max_segments: int) -> tuple[np.ndarray, ...]:
    """(draw, start, stop, row) of each piece."""
    max_pieces = len(lengths) + lengths.sum() // capacity + 1
    draw, start = np.empty(max_pieces, np.int64), np.empty(max_pieces, np.int64)
    stop, row = np.empty(max_pieces, np.int64), np.empty(max_pieces, np.int64)
    last_row = np.full(documents.max() + 1 if len(documents) else 0, -1)  # document -> row of its last piece
    n, r, room, n_segments = 0, 0, capacity, 0
    for i in range(len(lengths)):
        done = 0
        if lengths[i] and n_segments and last_row[documents[i]] == r:
            r, room, n_segments = r + 1, capacity, 0
        while done < lengths[i]:
            if room == 0 or n_segments == max_segments:
                r, room, n_segments = r + 1, capacity, 0
            step = min(room, lengths[i] - done)
            draw[n], start[n], stop[n], row[n] = i, done, done + step, r
            n, done, room, n_segments = n + 1, done + step, room - step, n_segments + 1
            last_row[documents[i]] = r
    return draw[:n], start[:n], stop[:n], row[:n]
