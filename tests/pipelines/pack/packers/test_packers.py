"""Every packer packs each token once into rows that no copy shares; best_fit is the slow one that looks at every row."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.pack.packers import PACKERS, Rows
from pipelines.pack.packers.best_fit import best_fit
from pipelines.pack.packers.concat import concat

SEEDS = range(400)
BOTH = pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)


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


def slow_concat(lengths, documents, capacity, max_segments):
    """One token at a time."""
    rows = [[]]
    for draw, n in enumerate(lengths.tolist()):
        if n and any(documents[d] == documents[draw] for d, _ in rows[-1]):
            rows.append([])
        for token in range(n):
            new = not any(d == draw for d, _ in rows[-1])
            if len(rows[-1]) == capacity or (new and len({d for d, _ in rows[-1]}) == (max_segments or -1)):
                rows.append([])
            rows[-1].append((draw, token))
    found = []
    for row in rows:
        draws = sorted({d for d, _ in row})
        tokens = [[t for d, t in row if d == draw] for draw in draws]
        found.append([(d, t[0], t[-1] + 1) for d, t in zip(draws, tokens, strict=True)])
    return [row for row in found if row]


def test_best_fit_is_the_slow_one():
    for seed in SEEDS:
        assert rows_of(best_fit(*case(seed))) == slow_best_fit(*case(seed)), f"{seed=}"


def test_concat_is_the_slow_one():
    for seed in SEEDS:
        assert rows_of(concat(*case(seed))) == slow_concat(*case(seed)), f"{seed=}"


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


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 120))
def test_best_fit_needs_the_rows_of_the_textbook(lengths, capacity):
    rows = best_fit(np.array(lengths, np.int64), np.arange(len(lengths)), capacity, None)
    assert len(rows) == plain_best_fit_decreasing(lengths, capacity)


@BOTH
def test_every_token_is_packed_once_and_no_row_overflows(packer):
    for seed in SEEDS:
        lengths, documents, capacity, max_segments = case(seed)
        rows = rows_of(packer(lengths, documents, capacity, max_segments))
        tokens = sorted((d, t) for row in rows for d, start, stop in row for t in range(start, stop))
        assert tokens == [(d, t) for d, n in enumerate(lengths.tolist()) for t in range(n)], f"{seed=}"
        for row in rows:
            assert 0 < sum(stop - start for _, start, stop in row) <= capacity
            assert all(start < stop for _, start, stop in row)
            assert len(row) <= (max_segments or len(row))
            assert len({documents[d] for d, _, _ in row}) == len(row), f"{seed=}: copies share a row"
            assert row == sorted(row)


def test_best_fit_cuts_only_what_no_row_can_hold():
    for seed in SEEDS:
        lengths, documents, capacity, max_segments = case(seed)
        rows = best_fit(lengths, documents, capacity, max_segments)
        assert np.array_equal(np.bincount(rows.draw, minlength=len(lengths)), -(-lengths // capacity)), f"{seed=}"


def test_concat_fills_every_row_that_could_be():
    for seed in SEEDS:
        lengths, _, capacity, _ = case(seed)
        rows = concat(lengths, np.arange(len(lengths)), capacity, None)
        assert (rows.n_tokens[:-1] == capacity).all(), f"{seed=}"
        assert len(rows) == -(-int(lengths.sum()) // capacity)


@BOTH
def test_nothing_is_no_row(packer):
    for lengths in ([], [0], [0, 0]):
        rows = packer(np.array(lengths, np.int64), np.arange(len(lengths)), 8, None)
        assert (len(rows), len(rows.draw), rows.offsets.tolist(), rows.n_tokens.tolist()) == (0, 0, [0], [])


def test_rows_in_another_order():
    for seed in range(50):
        rows = best_fit(*case(seed))
        order = np.random.default_rng(seed).permutation(len(rows))
        found = rows.take(order)
        assert rows_of(found) == [rows_of(rows)[i] for i in order], f"{seed=}"
        assert found.n_tokens.tolist() == [sum(b - a for _, a, b in row) for row in rows_of(found)]
        assert found.row.tolist() == [i for i, row in enumerate(rows_of(found)) for _ in row]


def test_a_large_pack_is_as_full_as_can_be():
    """Lengths with a long tail: best fit wastes less than half a thousandth; the rows are a lower bound's."""
    rng = np.random.default_rng(3)
    lengths = np.minimum(rng.lognormal(8, 1.6, 30_000).astype(np.int64) + 1, 900_000)
    rows = best_fit(lengths, np.arange(len(lengths)), 131_072, None)
    assert len(rows) <= -(-int(lengths.sum()) // 131_072) + 1
    assert lengths.sum() / (len(rows) * 131_072) >= 0.9995


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    cases = [case(seed) for seed in SEEDS]
    assert any(0 in lengths for lengths, *_ in cases)
    assert any(len(lengths) == 0 for lengths, *_ in cases)
    assert any(n > capacity for lengths, _, capacity, _ in cases for n in lengths)
    assert any(n == capacity for lengths, _, capacity, _ in cases for n in lengths)
    assert any(capacity == 1 for _, _, capacity, _ in cases)
    tied, apart, short, closed, three, cut_copy = 0, 0, 0, 0, 0, 0
    for lengths, documents, capacity, max_segments in cases:
        rest = lengths[(lengths % capacity > 0)] % capacity
        tied += len(set(rest.tolist())) < len(rest)
        alone = plain_best_fit_decreasing(lengths.tolist(), capacity)
        apart += max_segments is None and len(best_fit(lengths, documents, capacity, None)) != alone
        closed += max_segments is not None and len(best_fit(lengths, documents, capacity, max_segments)) > alone
        three += max(np.bincount(documents).tolist(), default=0) == 3
        cut_copy += any(len(set(lengths[documents == d].tolist())) > 1 for d in set(documents.tolist()))
        full = concat(lengths, documents, capacity, None).n_tokens
        short += bool((full[:-1] < capacity).any())
    assert min(tied, apart, short, closed, three, cut_copy) > 5
