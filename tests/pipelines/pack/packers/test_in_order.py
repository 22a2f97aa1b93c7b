"""in_order is the slow one that looks at every row for every piece."""

from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest

from pipelines.pack.packers.best_fit import best_fit
from pipelines.pack.packers.in_order import GRAIN, STEPS, in_order
from tests.pipelines.pack.packers.cases import (
    SEEDS,
    SlowRooms,
    case,
    drawn_of,
    longest_first,
    rest_of,
    rows_of,
    slow_best_fit,
)

module = import_module("pipelines.pack.packers.in_order")  # packers.in_order is the function


def slow_windows(drawn, capacity, max_segments):
    """[[(draw, start, stop), ...] of each window]"""
    windows = []
    for draw, n in enumerate(drawn.lengths.tolist()):
        if not drawn.on_path[draw] or n == 0 or n >= capacity:
            continue
        window = windows[-1] if windows else []
        fits = sum(b - a for _, a, b in window) + n <= capacity and len(window) != (max_segments or -1)
        if not windows or not fits or drawn.documents[draw] in {drawn.documents[d] for d, _, _ in window}:
            windows.append([])
        windows[-1].append((draw, 0, n))
    return windows


def slow_price(window, capacity):
    room = capacity - sum(b - a for _, a, b in window)
    return (len(window) - 1) * (capacity << 10) // (room + capacity // GRAIN + 1)


def slow_filled(drawn, capacity, max_segments, windows, dissolved):
    rest, full = rest_of(drawn, capacity)
    kept = [window for i, window in enumerate(windows) if i not in dissolved]
    rooms = SlowRooms(drawn, capacity, max_segments, kept)
    pool = longest_first(rest, drawn)
    pool = [piece for piece in pool if not any(piece in window for window in kept)]
    of_windows = [drawn.partition[window[-1][0]] for window in kept]
    for p in sorted(set(drawn.partition.tolist())):
        rooms.touched = [*range(len(kept))]
        rooms.clock = len(kept)
        own = [piece for piece in pool if drawn.partition[piece[0]] == p]
        left = rooms.place(own, [i for i, q in enumerate(of_windows) if q == p])
        pool = [piece for piece in pool if piece not in own or piece in left]
    rooms.touched = [*range(len(kept))]
    rooms.clock = len(kept)
    rooms.place(pool)
    n_path = [len(window) for window in kept] + [0] * (len(rooms.rows) - len(kept))
    return full + [row[:n] + sorted(row[n:]) for row, n in zip(rooms.rows, n_path, strict=True)]


def slow_in_order(drawn, capacity, max_segments):
    windows = slow_windows(drawn, capacity, max_segments)
    by_price = sorted(range(len(windows)), key=lambda i: (slow_price(windows[i], capacity), i))
    least = len(slow_best_fit(drawn, capacity, max_segments))
    for tolerance in module.TOLERANCES:
        few, many = -1, len(STEPS) - 1
        while many - few > 1:
            step = (few + many) // 2
            rows = slow_filled(drawn, capacity, max_segments, windows, by_price[: len(windows) * STEPS[step] // 100])
            is_enough = len(rows) <= least + module.MORE_ROWS + least // tolerance
            few, many = (few, step) if is_enough else (step, many)
        if STEPS[many] <= module.MOST_DISSOLVED:
            break
    return slow_filled(drawn, capacity, max_segments, windows, by_price[: len(windows) * STEPS[many] // 100])


@pytest.mark.parametrize(("more_rows", "tolerances"), [(0, (400, 8, 4)), (module.MORE_ROWS, module.TOLERANCES)])
def test_in_order_is_the_slow_one(more_rows, tolerances, monkeypatch):
    monkeypatch.setattr(module, "MORE_ROWS", more_rows)  # with 0, many small cases dissolve windows
    monkeypatch.setattr(module, "TOLERANCES", tolerances)
    for seed in SEEDS:
        assert rows_of(in_order(*case(seed))) == slow_in_order(*case(seed)), f"{seed=}"


def path_of(seed, n=3_000):
    rng = np.random.default_rng(seed)
    lengths = np.minimum(rng.lognormal(6.5, 1.4, n).astype(np.int64) + 1, 200_000)
    return drawn_of(lengths, on_path=np.arange(n) < n * 0.95, partition=np.arange(n) * 5 // n)


def neighbours_share(rows, drawn):
    """The share of the path's neighbours that are neighbours in a row."""
    follows = (np.diff(rows.draw) == 1) & (np.diff(rows.row) == 0) & drawn.on_path[rows.draw[1:]]
    return follows.sum() / (drawn.on_path.sum() - 1)


def test_most_neighbours_stay_neighbours_and_rows_are_those_of_best_fit():
    for seed in range(3):
        drawn = path_of(seed)
        for capacity, least in ((65_536, 0.93), (8_192, 0.5)):
            rows, best = in_order(drawn, capacity, None), best_fit(drawn, capacity, None)
            assert len(rows) <= len(best) + 1 + len(best) // 400
            assert neighbours_share(rows, drawn) > least > 10 * neighbours_share(best, drawn), f"{seed=}"


@pytest.mark.parametrize(("low", "high", "n"), [(1_500, 5_000, 600), (3_500, 4_700, 1_000)])
def test_a_path_that_costs_rows_is_kept_in_part(low, high, n):
    """Lengths of a third to two thirds of a row leave little to fill windows with."""
    drawn = drawn_of(np.random.default_rng(0).integers(low, high, n))
    rows, best = in_order(drawn, 8_192, None), best_fit(drawn, 8_192, None)
    assert len(best) + 1 + len(best) // 400 < len(rows) <= len(best) + 1 + len(best) // 25
    assert neighbours_share(rows, drawn) > 0.14


def test_a_document_that_fits_a_row_is_never_cut():
    for seed in SEEDS:
        drawn, capacity, max_segments = case(seed)
        rows = in_order(drawn, capacity, max_segments)
        assert np.array_equal(np.bincount(rows.draw, minlength=len(drawn)), -(-drawn.lengths // capacity)), f"{seed=}"


def test_what_is_left_over_fills_windows_of_its_partition_first():
    # windows 60 + 30 and 80; a further copy of 10 of partition 1 fits best into the first, and goes into its own
    drawn = drawn_of([60, 30, 80, 10], partition=[0, 0, 1, 1], on_path=[1, 1, 1, 0])
    assert rows_of(in_order(drawn, 100, None)) == [[(0, 0, 60), (1, 0, 30)], [(2, 0, 80), (3, 0, 10)]]
    drawn = drawn_of([60, 30, 80, 10], partition=[0, 0, 0, 0], on_path=[1, 1, 1, 0])
    assert rows_of(in_order(drawn, 100, None)) == [[(0, 0, 60), (1, 0, 30), (3, 0, 10)], [(2, 0, 80)]]


def test_a_copy_of_a_document_of_a_window_goes_elsewhere():
    drawn = drawn_of([60, 30, 70, 10], documents=[0, 1, 2, 0], on_path=[1, 1, 1, 0])
    assert rows_of(in_order(drawn, 100, None)) == [[(0, 0, 60), (1, 0, 30)], [(2, 0, 70), (3, 0, 10)]]


def test_the_cases_the_oracle_must_reach(monkeypatch):
    """Guards the tests above from passing on easy input."""
    monkeypatch.setattr(module, "MORE_ROWS", 0)
    dissolved, kept_some, parted, own_first = 0, 0, 0, 0
    for seed in SEEDS:
        drawn, capacity, max_segments = case(seed)
        windows = slow_windows(drawn, capacity, max_segments)
        rows = rows_of(in_order(drawn, capacity, max_segments))
        n_kept = sum(any(row[: len(window)] == window for row in rows) for window in windows)
        dissolved += n_kept < len(windows)
        kept_some += 0 < n_kept < len(windows)
        labels = [[drawn.documents[d] for d, _, _ in window] for window in windows]
        parted += any(set(a) & set(b) for a, b in pairwise(labels))
    for seed in SEEDS:
        drawn, capacity, max_segments = case(seed)
        one = drawn_of(drawn.lengths, drawn.documents, None, drawn.on_path)
        own_first += rows_of(in_order(one, capacity, max_segments)) != rows_of(in_order(drawn, capacity, max_segments))
    assert min(dissolved, kept_some, parted, own_first) > 10, (dissolved, kept_some, parted, own_first)
    steps = [rows_of(in_order(*case(seed))) for seed in SEEDS]
    monkeypatch.setattr(module, "STEPS", (0, 100))
    assert sum(rows_of(in_order(*case(seed))) != slow for seed, slow in zip(SEEDS, steps, strict=True)) > 10
