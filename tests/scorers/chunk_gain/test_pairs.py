"""Each pair once, each fourth a near one, evenly over distances and rows, from the content hash alone."""

import itertools
import tracemalloc
from itertools import islice

import numpy as np
import pytest

from scorers.chunk_gain import points
from scorers.chunk_gain.pairs import (
    FAR,
    NEAR_EVERY,
    first_pairs,
    in_rows,
    n_far,
    n_near,
    n_pairs,
    sequence,
    some_pairs,
    spread,
)

SMALL = range(26)
SEEDS = range(25)


def every_pair(s, low=1, high=None):
    """One after another, nearest first."""
    return [(i, i - d) for d in range(low, s if high is None else high) for i in range(d, s)]


def content_hash(seed):
    return f"{seed * 7919 + 1:032x}"


def is_near(pair):
    return pair[0] - pair[1] < FAR


def test_counts_are_those_of_the_enumeration():
    for s in SMALL:
        assert n_near(s) == sum(is_near(p) for p in every_pair(s)), f"{s=}"
        assert n_far(s) == sum(not is_near(p) for p in every_pair(s)), f"{s=}"
        for low, high in itertools.product(range(1, 30), range(1, 30)):
            assert n_pairs(s, low, high) == len(every_pair(s, low, high)), f"{s=} {low=} {high=}"


def test_every_pair_comes_once():
    assert list(spread(0, FAR, 0, content_hash(0), "far")) == []
    for s in SMALL:
        for seed in range(4):
            assert sorted(sequence(s, content_hash(seed))) == sorted(every_pair(s)), f"{s=} {seed=}"


def test_what_the_sequence_skips_comes_at_the_end(monkeypatch):
    """With a poor sequence, which stays in a corner: all the same each pair comes once."""
    monkeypatch.setattr(points, "scrambled", lambda x, seed: x >> np.uint32(2) + (seed & np.uint32(1)))
    for s in SMALL:
        for use, low, high in (("near", 1, FAR), ("far", FAR, s)):
            found = list(spread(s, low, high, content_hash(s), use))
            assert sorted(found) == sorted(every_pair(s, low, high)), f"{s=}"
            last = found[-len(found) // 4 :]
            assert last == sorted(last, key=lambda pair: (pair[0], -pair[1])), f"{s=}: the sequence skipped none"


def test_more_pairs_extend_what_is_there():
    for s in SMALL:
        whole = list(sequence(s, content_hash(s)))
        for n in range(len(whole) + 3):
            assert first_pairs(s, content_hash(s), n) == whole[:n], f"{s=} {n=}"


def test_every_fourth_pair_is_near_until_one_kind_is_used_up():
    for s in SMALL:
        left = {True: n_near(s), False: n_far(s)}
        for k, pair in enumerate(sequence(s, content_hash(s))):
            wanted = k % NEAR_EVERY == 0
            wanted = wanted if left[wanted] else not wanted
            assert is_near(pair) == wanted, f"{s=} {k=}"
            left[wanted] -= 1


def test_the_first_two_are_a_near_and_a_far_one():
    for s in range(FAR + 1, 60):
        first, second = first_pairs(s, content_hash(s), 2)
        assert is_near(first)
        assert not is_near(second)


def test_the_order_within_a_kind_is_that_of_spread():
    """Whatever the other kind does: near and far pairs do not shift one another."""
    for s in (5, 9, 24, 60):
        pairs = list(sequence(s, content_hash(s)))
        assert [p for p in pairs if is_near(p)] == list(spread(s, 1, FAR, content_hash(s), "near"))
        assert [p for p in pairs if not is_near(p)] == list(spread(s, FAR, s, content_hash(s), "far"))


def counts(s, low, high):
    """Pairs of each target, one after another."""
    return [sum(low <= i - j < high for j in range(i)) for i in range(s)]


def test_pairs_of_a_row_are_those_of_the_enumeration():
    for s in SMALL:
        for low, high in itertools.product(range(1, 8), range(1, 30)):
            assert in_rows(s, low, high).tolist() == counts(s, low, high), f"{s=} {low=} {high=}"


# -- evenness


EVEN = 4  # pairs; 256 that are drawn at random are 13 off in the median
EVEN_BY_DISTANCE = 6


def uneven(pairs, s, low, high, cells=8):
    """How many pairs too many or too few stand below a row and, of their row, below a distance, at worst.

    A row counts as the share of all pairs that stand before it, a distance as the share of its row that is nearer.
    """
    rows = np.array(counts(s, low, high))
    i, d = np.array([i for i, _ in pairs]), np.array([i - j for i, j in pairs])
    row, distance = (np.cumsum(rows)[i] - rows[i] / 2) / rows.sum(), (d - low + 0.5) / rows[i]
    ends = np.arange(1, cells + 1) / cells
    return max(abs(((row <= a) & (distance <= b)).sum() - len(pairs) * a * b) for a in ends for b in ends)


def uneven_by_distance(pairs, s, low, high, cells=8):
    """The same over distance alone, which counts as the share of all pairs that are nearer."""
    nearer = np.concatenate([[0], np.cumsum([s - d for d in range(low, high)])])
    d = np.array([i - j for i, j in pairs]) - low
    share = (nearer[d] + nearer[d + 1]) / 2 / nearer[-1]
    return max(abs((share <= a).sum() - len(pairs) * a) for a in np.arange(1, cells + 1) / cells)


def first_far(s, seed, n):
    return list(islice(spread(s, FAR, s, content_hash(seed), "far"), n))


@pytest.mark.parametrize("n", [16, 32, 64, 128, 256, 512])
def test_far_pairs_are_spread_evenly_however_many_there_are(n):
    for seed in SEEDS:
        assert uneven(first_far(300, seed, n), 300, FAR, 300) < EVEN, f"{seed=}"
        assert uneven_by_distance(first_far(300, seed, n), 300, FAR, 300) < EVEN_BY_DISTANCE, f"{seed=}"


def test_near_pairs_are_spread_evenly():
    for seed in SEEDS:
        assert uneven(list(islice(spread(300, 1, FAR, content_hash(seed), "near"), 64)), 300, 1, FAR, 3) < EVEN


def test_pairs_drawn_at_random_are_not():
    """Guards the tests above: their bounds are no gift."""
    every = every_pair(300, FAR)
    by_distance = 0
    for seed in SEEDS:
        drawn = [every[k] for k in np.random.default_rng(seed).choice(len(every), 256, replace=False)]
        assert uneven(drawn, 300, FAR, 300) > EVEN, f"{seed=}"
        by_distance += uneven_by_distance(drawn, 300, FAR, 300) < EVEN_BY_DISTANCE
    assert by_distance < len(SEEDS) / 2


def test_over_documents_every_pair_is_as_likely():
    """The first pair is uniform over all pairs of its kind: each comes about equally often over many hashes."""
    s, n = 12, 6_000
    for use, low, high in (("near", 1, FAR), ("far", FAR, s)):
        firsts = [next(spread(s, low, high, content_hash(seed), use)) for seed in range(n)]
        counts = np.array([firsts.count(pair) for pair in every_pair(s, low, high)])
        expected = n / len(counts)
        assert ((counts - expected) ** 2 / expected).sum() < len(counts) + 5 * np.sqrt(2 * len(counts))


# -- what it depends on


def test_the_sequence_is_fixed():
    """A value that must not change: what was measured under it is kept."""
    assert first_pairs(100, "00112233445566778899aabbccddeeff", 8) == [
        (22, 19), (98, 88), (47, 13), (76, 0), (58, 57), (66, 47), (93, 36), (12, 6),
    ]  # fmt: skip


def test_it_depends_on_the_hash_and_the_kind():
    for s in (20, 300):
        drawn = {seed: tuple(first_pairs(s, content_hash(seed), 8)) for seed in SEEDS}
        assert len(set(drawn.values())) == len(SEEDS)
        assert all(tuple(first_pairs(s, content_hash(seed), 8)) == found for seed, found in drawn.items())
    one = list(islice(spread(300, FAR, 300, content_hash(1), "far"), 8))
    assert one != list(islice(spread(300, FAR, 300, content_hash(1), "some"), 8))


# -- some pairs, for what is cheap


def test_some_pairs_are_all_where_there_are_few():
    for s in SMALL:
        for low, high in ((1, min(s, FAR)), (FAR, s), (1, s)):
            many = len(every_pair(s, low, high))
            found = some_pairs(s, content_hash(s), low, high, many)
            assert found.dtype == np.int32
            assert found.shape == (many, 2)
            assert sorted(map(tuple, found.tolist())) == sorted(every_pair(s, low, high))


def test_some_pairs_are_so_many_distinct_ones_where_there_are_more():
    for s in range(6, 26):
        many = n_far(s)
        for most in {1, many // 2, many - 1} - {0}:
            found = some_pairs(s, content_hash(s), FAR, s, most)
            assert found.dtype == np.int32
            assert found.shape == (most, 2)
            assert len(set(map(tuple, found.tolist()))) == most
            assert set(map(tuple, found.tolist())) <= set(every_pair(s, FAR))
    one, other = (some_pairs(60, content_hash(seed), FAR, 60, 100).tolist() for seed in (1, 2))
    assert one != other
    assert one == some_pairs(60, content_hash(1), FAR, 60, 100).tolist()


def test_some_pairs_are_evenly_spread():
    found = some_pairs(2_000, content_hash(3), FAR, 2_000, 5_000).tolist()
    assert uneven(found, 2_000, FAR, 2_000) < 2 * EVEN
    assert uneven_by_distance(found, 2_000, FAR, 2_000) < 2 * EVEN_BY_DISTANCE


def test_a_document_of_many_chunks_costs_what_is_taken_of_it():
    """20,000 chunks have 200 million pairs, which would take gigabytes; only the first are made."""
    tracemalloc.start()
    try:
        first = first_pairs(20_000, content_hash(1), 2_000)
        some = some_pairs(20_000, content_hash(1), FAR, 20_000, 20_000)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(set(first)) == 2_000
    assert all(0 <= j < i < 20_000 for i, j in first)
    assert len(set(map(tuple, some.tolist()))) == 20_000
    assert peak_bytes < 50_000_000
