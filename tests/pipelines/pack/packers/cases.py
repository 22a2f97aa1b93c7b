"""Draws to pack, and packers that look at every row for every piece."""

import random

import numpy as np

from pipelines.pack.packers import Drawn, Rows

SEEDS = range(400)


def drawn_of(lengths, documents=None, partition=None, on_path=None):
    n = len(lengths)
    return Drawn(
        np.array(lengths, np.int64),
        np.arange(n) if documents is None else np.array(documents, np.int64),
        np.zeros(n, np.int64) if partition is None else np.array(partition, np.int64),
        np.ones(n, bool) if on_path is None else np.array(on_path, bool),
    )


def case(seed):
    """Drawn, capacity, max_segments: copies are of equal length, except one that may be cut.

    The first draw of most labels is on the path, of some the second too: near copies that are not near each other.
    """
    rng = random.Random(seed)
    capacity = rng.choice([1, 2, 7, 10, 64, 100])
    pool = [0, 1, 2, 3, capacity // 2, capacity - 1, capacity, capacity + 1, 2 * capacity, 3 * capacity + 1]
    n_partitions, draws = rng.choice([1, 1, 3]), []
    for document in range(rng.randint(0, 30)):
        length = rng.choice([rng.choice(pool), rng.randint(0, capacity), rng.randint(0, 3 * capacity)])
        copies = rng.choice([1, 1, 1, 2, 3])
        lengths = [length] * (copies - 1) + [rng.choice([length, rng.randint(0, length)])]
        partition = rng.randrange(n_partitions)
        for i, n in enumerate(lengths):
            on_path = rng.random() < (0.95, 0.3, 0)[i]
            draws.append((n, document, partition if rng.random() < 0.8 else rng.randrange(n_partitions), on_path))
    rng.shuffle(draws)
    draws.sort(key=lambda draw: (not draw[3], draw[2] if draw[3] else 0))
    columns = [[draw[k] for draw in draws] for k in range(4)]
    return drawn_of(*columns), capacity, rng.choice([None, None, 1, 2, 5])


def rows_of(rows: Rows):
    """[[(draw, start, stop), ...] of each row]"""
    pieces = list(zip(rows.draw.tolist(), rows.start.tolist(), rows.stop.tolist(), strict=True))
    return [pieces[i:j] for i, j in zip(rows.offsets.tolist(), rows.offsets.tolist()[1:], strict=False)]


def plain_best_fit_decreasing(lengths, capacity):
    """How many rows the textbook needs, copies and segments not counted."""
    rooms = []
    full = sum(n // capacity for n in lengths)
    for n in sorted((n % capacity for n in lengths if n % capacity), reverse=True):
        fits = [room for room in rooms if room >= n]
        if fits:
            rooms.remove(min(fits))
        rooms.append((min(fits) if fits else capacity) - n)
    return full + len(rooms)


def rest_of(drawn, capacity):
    """(draw, start, stop) of what is left of each draw after its full rows; the full rows."""
    full, rest = [], []
    for draw, n in enumerate(drawn.lengths.tolist()):
        end = n - n % capacity
        full += [[(draw, start, start + capacity)] for start in range(0, end, capacity)]
        rest += [(draw, end, n)] if n > end else []
    return rest, full


def longest_first(pieces, drawn):
    """Descending, the pieces of a label together."""
    longest = {}
    for draw, start, stop in pieces:
        label = drawn.documents[draw]
        longest[label] = max(stop - start, longest.get(label, 0))
    return sorted(pieces, key=lambda p: (-longest[drawn.documents[p[0]]], drawn.documents[p[0]], p[0]))


class SlowRooms:
    """Rows that are looked at one by one. A row that holds a label counts as extended when its last piece was placed."""

    def __init__(self, drawn, capacity, max_segments, rows):
        self.drawn, self.capacity, self.max_segments = drawn, capacity, max_segments
        self.rows = [list(row) for row in rows]
        self.touched = list(range(len(rows)))
        self.clock = len(rows)
        self.log = [piece for row in rows for piece in row]  # in the order in which pieces were placed
        self.row_of = {piece: i for i, row in enumerate(rows) for piece in row}

    def label(self, piece):
        return self.drawn.documents[piece[0]]

    def place(self, pieces, among=None):
        """Place pieces; what fits into no row of `among` is returned, or opens a row if that is None."""
        left = []
        for i, piece in enumerate(pieces):
            best = self.best(piece, range(len(self.rows)) if among is None else among)
            if best is None and among is None:
                self.rows.append([])
                self.touched.append(0)
                best = len(self.rows) - 1
            if best is None:
                left.append(piece)
            else:
                self.rows[best].append(piece)
                self.row_of[piece] = best
                self.log.append(piece)
            if i + 1 == len(pieces) or self.label(pieces[i + 1]) != self.label(piece):
                for each in self.log:
                    if self.label(each) == self.label(piece):
                        self.touched[self.row_of[each]] = self.clock
                        self.clock += 1
        return left

    def best(self, piece, among):
        best, best_fit = None, None
        for i in among:
            room = self.capacity - sum(b - a for _, a, b in self.rows[i])
            has_label = any(self.label(each) == self.label(piece) for each in self.rows[i])
            if room < piece[2] - piece[1] or has_label or len(self.rows[i]) == (self.max_segments or -1):
                continue
            if best_fit is None or (room, -self.touched[i]) < best_fit:
                best, best_fit = i, (room, -self.touched[i])
        return best


def slow_best_fit(drawn, capacity, max_segments):
    rest, full = rest_of(drawn, capacity)
    rooms = SlowRooms(drawn, capacity, max_segments, [])
    rooms.place(longest_first(rest, drawn))
    return full + [sorted(row) for row in rooms.rows]
