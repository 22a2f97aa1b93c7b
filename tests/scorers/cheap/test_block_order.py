"""Mean and variance are those of all orders written out; shuffled texts fall below those in order."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from scorers.cheap.background import describe
from scorers.cheap.block_order import MAX_RUNS, MIN_BLOCKS, MIN_ORDER_Z, RUN, chance, cosines, order_z
from scorers.cheap.recurrence import look_up
from scorers.cheap.words import BLOCK, blocks, cut, number
from tests.scorers.cheap.test_recurrence import as_arrays, random_blocks
from tests.scorers.cheap.test_words import as_bytes, real_texts

SEEDS = range(40)


def slow_cosines(held: list[set[int]], weights: np.ndarray) -> np.ndarray:
    """By a vector with a place for each word, 0 on the diagonal and for a block that weighs nothing."""
    vectors = np.array(
        [[weight if word in words else 0 for word, weight in enumerate(weights)] for words in held], float
    )
    norms = np.linalg.norm(vectors, axis=1)
    both = np.outer(norms, norms)
    nothing = (both == 0) | np.eye(len(held), dtype=bool)
    return np.where(nothing, 0, vectors @ vectors.T / np.where(nothing, 1, both))


def near(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(i + 1, n) if j - i <= 2]


def slow_z(held: list[set[int]], weights: np.ndarray) -> float | None:
    """With the variance by a formula for any graph, on the runs."""
    n_blocks = len(held)
    if n_blocks < MIN_BLOCKS:
        return None
    n_runs = min(MAX_RUNS, -(-n_blocks // RUN))
    found, mean, variance = 0.0, 0.0, 0.0
    for r in range(n_runs):
        run = held[r * n_blocks // n_runs : (r + 1) * n_blocks // n_runs][:RUN]
        alike = slow_cosines(run, weights)
        found += sum(alike[i, j] for i, j in near(len(run)))
        m, v = chance(alike)
        mean, variance = mean + m, variance + v
    return (found - mean) / variance**0.5 if variance > 1e-12 else None


def test_cosines():
    for seed in SEEDS:
        held, weights, _ = random_blocks(seed)
        held = held[:12]
        members, starts = as_arrays(held)
        marks = np.zeros(len(weights))
        if held:
            assert np.allclose(cosines(members, starts, weights, marks), slow_cosines(held, weights))
        assert not marks.any()


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_chance_is_that_of_all_orders(n):
    for seed in range(5):
        alike = np.random.default_rng(seed).random((n, n)) ** 3
        alike = alike + alike.T
        np.fill_diagonal(alike, 0)
        sums = [sum(alike[order[i], order[j]] for i, j in near(n)) for order in itertools.permutations(range(n))]
        assert chance(alike) == pytest.approx((np.mean(sums), np.var(sums)), abs=1e-9)


def test_z_is_the_slow_one():
    for seed in SEEDS:
        held, weights, _ = random_blocks(seed)
        fast, slow = order_z(*as_arrays(held), weights), slow_z(held, weights)
        assert np.isnan(fast) if slow is None else fast == pytest.approx(slow, abs=1e-6), f"{seed=}"


@pytest.mark.parametrize("n_blocks", [RUN, RUN + 1, 3 * RUN - 1, MAX_RUNS * RUN, MAX_RUNS * RUN + 1, 20_000])
def test_long_texts_are_looked_at_in_runs(n_blocks):
    rng = np.random.default_rng(n_blocks)
    held = [set(rng.integers(0, 20, 3).tolist()) for _ in range(n_blocks)]
    weights = rng.random(20).astype(np.float32)
    assert order_z(*as_arrays(held), weights) == pytest.approx(slow_z(held, weights), abs=1e-6)


def test_nothing_to_tell_is_not_measured():
    weights = np.ones(10, np.float32)
    assert np.isnan(order_z(*as_arrays([{i} for i in range(MIN_BLOCKS - 1)]), weights))
    assert np.isnan(order_z(*as_arrays([{1, 2}] * 100), weights)), "all orders are the same"
    assert np.isnan(order_z(*as_arrays([{i % 10} for i in range(20)]), weights * 0))


def test_shuffled_texts_fall_below_those_in_order():
    """Cut at words, so that no piece is as long as a block."""
    texts = [text[:20_000] for text in real_texts() if len(text) > 8_000]
    known = describe([str(i) for i in range(len(texts))], pa.array(texts))
    rng = np.random.default_rng(0)

    def z(text: str) -> float:
        numbers, distinct = number(cut(as_bytes(text))[0])
        return order_z(*blocks(numbers), look_up(distinct, *known.words)[0])

    whole, shuffled = [], []
    for text in texts:
        words = text.split(" ")
        pieces = [" ".join(words[i : i + BLOCK // 2]) for i in range(0, len(words), BLOCK // 2)]
        whole.append(z(text))
        shuffled.append(z(" ".join(pieces[i] for i in rng.permutation(len(pieces)))))
    above = np.array(whole)[:, None] > np.array(shuffled)
    assert np.nanmean(above) > 0.85
    assert np.mean(np.array(whole) < MIN_ORDER_Z) < 0.15
    assert np.mean(np.array(shuffled) < MIN_ORDER_Z) > 0.5


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    drawn = [random_blocks(seed) for seed in SEEDS]
    found = [slow_z(held, weights) for held, weights, _ in drawn]
    assert None in [z for z, (held, _, _) in zip(found, drawn, strict=True) if len(held) >= MIN_BLOCKS]
    assert any(len(held) > RUN for held, _, _ in drawn)
    assert sum(z is not None for z in found) > 20
