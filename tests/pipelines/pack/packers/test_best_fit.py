"""best_fit is the slow one that looks at every row for every piece."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.pack.packers.best_fit import best_fit
from tests.pipelines.pack.packers.cases import SEEDS, case, plain_best_fit_decreasing, rows_of


def slow_best_fit(lengths, documents, capacity, max_segments):
    """Look at every row for every piece."""
    rows, pieces = [], []
    for draw, n in enumerate(lengths.tolist()):
        full = n - n % capacity
        rows += [[(draw, start, start + capacity)] for start in range(0, full, capacity)]
        if n > full:
            pieces.append((draw, full, n))
    n_full = len(rows)
    touched = {}  # row -> when something was last added to it
    longest = {}
    for draw, start, stop in pieces:
        longest[documents[draw]] = max(stop - start, longest.get(documents[draw], 0))
    pieces.sort(key=lambda p: (-longest[documents[p[0]]], documents[p[0]]))
    for clock, (draw, start, stop) in enumerate(pieces):
        best, best_fit = None, None
        for i in range(n_full, len(rows)):
            room = capacity - sum(b - a for _, a, b in rows[i])
            holds_copy = any(documents[d] == documents[draw] for d, _, _ in rows[i])
            if room < stop - start or holds_copy or len(rows[i]) == (max_segments or -1):
                continue
            if best_fit is None or (room, -touched[i]) < best_fit:
                best, best_fit = i, (room, -touched[i])
        if best is None:
            rows.append([])
            best = len(rows) - 1
        rows[best].append((draw, start, stop))
        touched[best] = clock
    return [sorted(row) for row in rows]


def test_best_fit_is_the_slow_one():
    for seed in SEEDS:
        assert rows_of(best_fit(*case(seed))) == slow_best_fit(*case(seed)), f"{seed=}"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 120))
def test_best_fit_needs_the_rows_of_the_textbook(lengths, capacity):
    rows = best_fit(np.array(lengths, np.int64), np.arange(len(lengths)), capacity, None)
    assert len(rows) == plain_best_fit_decreasing(lengths, capacity)


def test_best_fit_cuts_only_what_no_row_can_hold():
    for seed in SEEDS:
        lengths, documents, capacity, max_segments = case(seed)
        rows = best_fit(lengths, documents, capacity, max_segments)
        assert np.array_equal(np.bincount(rows.draw, minlength=len(lengths)), -(-lengths // capacity)), f"{seed=}"


def test_a_large_pack_is_as_full_as_can_be():
    """Lengths with a long tail: best fit wastes less than half a thousandth; the rows are a lower bound's."""
    rng = np.random.default_rng(3)
    lengths = np.minimum(rng.lognormal(8, 1.6, 30_000).astype(np.int64) + 1, 900_000)
    rows = best_fit(lengths, np.arange(len(lengths)), 131_072, None)
    assert len(rows) <= -(-int(lengths.sum()) // 131_072) + 1
    assert lengths.sum() / (len(rows) * 131_072) >= 0.9995
