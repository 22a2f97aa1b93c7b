"""Best-fit decreasing that splits draws longer than a row and truncates nothing.

A draw longer than a row gives full rows and a remainder. Remainders and shorter draws are placed longest first, each
into the best-fitting row: the one with the least sufficient room, and among equals the one that was extended last. Only
draws longer than a row are cut. The path is ignored.
"""

import numpy as np

from pipelines.pack.packers.rooms import best_fit_into, longest_first, no_rooms, unplaced
from pipelines.pack.packers.rows import Drawn, Rows
from pipelines.pack.packers.sorting import ascending


def best_fit(drawn: Drawn, capacity: int, max_segments: int | None) -> Rows:
    """Rows packed by best-fit decreasing. Arguments: see packers.PACKERS."""
    rest = drawn.lengths % capacity
    order = longest_first(rest, drawn.documents)
    pieces = unplaced(rest[order], drawn.documents[order])
    rooms = no_rooms(len(order), capacity, max_segments or len(drawn) + 1)
    best_fit_into(np.arange(len(order)), pieces, rooms, 0, -1)
    row = np.empty(len(drawn), np.int64)
    row[order] = pieces.row
    return with_full_rows(drawn, capacity, row, ascending(row, np.flatnonzero(rest)))


def with_full_rows(drawn: Drawn, capacity: int, row: np.ndarray, order: np.ndarray) -> Rows:
    """The full rows of draws that are longer than a row, in the order of the draws, then the rows of the rests.

    Args:
        row: [n] of each draw's tokens after its full rows; any number where there are none.
        order: [k] the draws that have a rest, by row, each row's pieces in their order.
    """
    full, start = full_rows(drawn.lengths, capacity)
    return Rows.by_row(
        np.concatenate([full, order]),
        np.concatenate([start, (drawn.lengths // capacity * capacity)[order]]),
        np.concatenate([start + capacity, drawn.lengths[order]]),
        np.concatenate([np.arange(len(full)), len(full) + row[order]]),
    )


def full_rows(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """The draw of each row that one fills alone, and the token of the draw with which the row begins."""
    n_full = lengths // capacity
    full = np.repeat(np.arange(len(lengths)), n_full)
    return full, (np.arange(len(full)) - np.repeat(np.cumsum(n_full) - n_full, n_full)) * capacity
