"""Draws to pack, and how many rows the textbook needs for them."""

import random

import numpy as np

from pipelines.pack.packers import Rows

SEEDS = range(400)


def case(seed):
    """lengths, documents, capacity, max_segments: copies are of equal length but for one that may be cut."""
    rng = random.Random(seed)
    capacity = rng.choice([1, 2, 7, 10, 64, 100])
    pool = [0, 1, 2, 3, capacity // 2, capacity - 1, capacity, capacity + 1, 2 * capacity, 3 * capacity + 1]
    lengths, documents = [], []
    for document in range(rng.randint(0, 30)):
        length = rng.choice([rng.choice(pool), rng.randint(0, capacity), rng.randint(0, 3 * capacity)])
        copies = rng.choice([1, 1, 1, 2, 3])
        lengths += [length] * (copies - 1) + [rng.choice([length, rng.randint(0, length)])]
        documents += [document] * copies
    order = list(range(len(lengths)))
    rng.shuffle(order)
    max_segments = rng.choice([None, None, 1, 2, 5])
    return np.array(lengths, np.int64)[order], np.array(documents, np.int64)[order], capacity, max_segments


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
