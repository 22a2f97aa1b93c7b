"""Windows cut along the path; what is left over fills them.

1. The draws of the path are put into a window in path order. One that does not fit closes the window and begins the next.
   A draw longer than a row gives full rows, and the window continues with the draw after it. Only such draws are cut.
2. Remainders of long draws, and the draws that are not on the path, fill the rooms at the ends of windows: best-fit
   decreasing, first into windows of the same partition, then into any. What fits nowhere opens rows.
3. The windows alone need more rows than best_fit. Therefore some are dissolved: their draws fill rooms as in 2. Windows
   are dissolved in ascending order of the neighbours that they part, divided by the room that they free. The smallest of
   STEPS is chosen with which the rows are at most 1 and a 400th above those of best_fit; if more than MOST_DISSOLVED of the
   windows would have to be dissolved for it, a 100th, then a 25th.

Share of the path's neighbours that are neighbours in a row, and rows above the fewest possible, for 60,000 synthetic ones:

    rows of                                          128K            8K
    as above                                         94.6 %, 0.0 %   54 %, 0.0 %
    without step 3                                   98.0 %, 4.3 %   68 %, 8.0 %
    a draw that does not fit waits for its turn      85.3 %, 0.0 %   21 %, 0.3 %
    best_fit                                          0.1 %, 0.0 %    0 %, 0.0 %
"""

import numpy as np

from pipelines.pack.packers.best_fit import with_full_rows
from pipelines.pack.packers.rooms import (
    best_fit_into,
    cleared,
    fill,
    longest_first,
    no_rooms,
    open_windows,
    unplaced,
)
from pipelines.pack.packers.rows import Drawn, Rows
from pipelines.pack.packers.sorting import ascending
from schemas.kernels import kernel

STEPS = (0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 26, 34, 43, 55, 68, 80, 90, 100)  # per cent of the windows that are dissolved
MOST_DISSOLVED = 68  # per cent; more only if the last of TOLERANCES asks for it
MORE_ROWS, TOLERANCES = 1, (400, 100, 25)  # rows above those of best_fit: 1, and this fraction of them
GRAIN = 64  # a window without room counts as if it had 1/GRAIN of a row


def in_order(drawn: Drawn, capacity: int, max_segments: int | None) -> Rows:
    """Rows packed along the path. Arguments: see packers.PACKERS."""
    limit = max_segments or len(drawn) + 1
    rest = drawn.lengths % capacity
    longest = longest_first(rest, drawn.documents)
    path = np.flatnonzero(drawn.on_path & (rest == drawn.lengths) & (rest > 0))
    window = windows(path, drawn.lengths, drawn.documents, capacity, limit)
    cut = Windows(window, drawn.partition, rest, capacity)
    pool = Pool(rest[longest], drawn.documents[longest], drawn.partition[longest], window[longest], limit)
    row = np.empty(len(drawn), np.int64)
    row[longest] = pool.packed(cut, int((drawn.lengths // capacity).sum()))
    in_window = (window >= 0) & (row == window)
    order = np.concatenate([np.flatnonzero(in_window), np.flatnonzero(~in_window & (rest > 0))])
    return with_full_rows(drawn, capacity, row, ascending(row, order))


class Windows:
    """Consecutive draws of the path.

    Attributes:
        partition: [w] int64 of the last draw of each window, beside which the room is.
        rank: [w] int64 of each window among those that are dissolved, from 0.
    """

    def __init__(self, window: np.ndarray, partition: np.ndarray, lengths: np.ndarray, capacity: int):
        """window: [n] of each draw, -1 for none."""
        path = np.flatnonzero(window >= 0)
        members = np.bincount(window[path])
        last = path[np.cumsum(members) - 1]
        room = capacity - np.bincount(window[path], lengths[path]).astype(np.int64)
        price = (members - 1) * (capacity << 10) // (room + capacity // GRAIN + 1)
        self.capacity, self.partition = capacity, partition[last]
        self.rank = np.empty(len(members), np.int64)
        self.rank[np.argsort(price, kind="stable")] = np.arange(len(members))

    def __len__(self) -> int:
        return len(self.rank)


class Pool:
    """The rests of all draws in the order of longest_first, those of windows too.

    Attributes:
        window: [k] the window of each, -1 for none.
        own: [k] their indices by partition.
    """

    def __init__(
        self, lengths: np.ndarray, documents: np.ndarray, partition: np.ndarray, window: np.ndarray, limit: int
    ):
        self.pieces, self.n_labels = unplaced(lengths, documents), int(documents.max(initial=-1)) + 1
        self.partition, self.window, self.limit = partition, window, limit
        self.own = ascending(partition, np.arange(len(lengths)))

    def packed(self, windows: Windows, n_full: int) -> np.ndarray:
        """[k] the row of each piece; a window that was not dissolved is the row of its number.

        n_full: number of rows besides these.
        """
        every = np.arange(len(self.window))
        rooms = no_rooms(len(every), windows.capacity, self.limit)
        least = best_fit_into(every, self.pieces, rooms, 0, -1)
        tried: dict[int, tuple[int, np.ndarray]] = {}
        for tolerance in TOLERANCES:
            most = least + MORE_ROWS + (least + n_full) // tolerance
            few, many = -1, len(STEPS) - 1  # steps: too few windows dissolved, enough
            while many - few > 1:
                step = (few + many) // 2
                if step not in tried:
                    tried[step] = self.filled(windows, len(windows) * STEPS[step] // 100)
                few, many = (few, step) if tried[step][0] <= most else (step, many)
            if STEPS[many] <= MOST_DISSOLVED:
                break
        return tried[many][1] if many in tried else self.filled(windows, len(windows))[1]

    def filled(self, windows: Windows, n_dissolved: int) -> tuple[int, np.ndarray]:
        """The number of rows, and [k] the row of each piece."""
        dissolved = windows.rank < n_dissolved
        free = self.window < 0
        free[~free] = dissolved[self.window[~free]]
        pieces = cleared(self.pieces, self.n_labels)
        rooms = no_rooms(len(windows) + len(free), windows.capacity, self.limit)
        rooms.partition[: len(windows)] = windows.partition
        open_windows(np.where(free, -1, self.window), pieces, rooms)
        own = self.own[free[self.own]]
        by_partition = ascending(windows.partition, np.arange(len(windows)))
        n_rows = fill(own, np.flatnonzero(free), self.partition, by_partition, pieces, rooms)
        return n_rows - n_dissolved, pieces.row


@kernel
def windows(
    path: np.ndarray, lengths: np.ndarray, documents: np.ndarray, capacity: int, max_segments: int
) -> np.ndarray:
    """[n] the window of each draw, from 0; -1 for one that is not on the path.

    path: draws that are not longer than a row, in path order.
    """
    window = np.full(len(lengths), -1, np.int64)
    last = np.full(documents.max() + 1 if len(documents) else 0, -1)  # label -> the last window that has it
    w, room, n_segments = -1, 0, 0
    for i in path:
        if lengths[i] > room or n_segments == max_segments or last[documents[i]] == w:
            w, room, n_segments = w + 1, capacity, 0
        window[i] = w
        room -= lengths[i]
        n_segments += 1
        last[documents[i]] = w
    return window
