"""Rows stand in an order that keeps the mix along the stream, found by swaps that a slow twin repeats one by one."""

import random
from fractions import Fraction

import numpy as np
import pytest

from pipelines.keys import mixed, salt
from pipelines.pack import balance
from pipelines.pack.balance import (
    GRAINS,
    balanced,
    deviation,
    drift_weights,
    ends_of_parts,
    swap,
    tv_of_parts,
    worst_part,
)
from pipelines.pack.packers import PACKERS
from schemas.lengths import BUCKETS, bucket_of
from tests.pipelines.pack.packers.cases import drawn_of

SEEDS = range(40)
CAPACITY = 131_072


def slow_tv(stretches, n_parts):
    """One token at a time; a token may lie in two parts."""
    tokens = [c for stretch in stretches for c, n in enumerate(stretch) for _ in range(n)]
    order = [c for stretch in stretches for c in spread_evenly(stretch)]
    whole = len(tokens)
    found = []
    for part in range(n_parts):
        start, stop = Fraction(part * whole, n_parts), Fraction((part + 1) * whole, n_parts)
        held = [Fraction(0)] * len(stretches[0])
        for at, (c, size) in order_places(order):
            held[c] += max(Fraction(0), min(stop, at + size) - max(start, at))
        mix = [Fraction(tokens.count(c), whole) for c in range(len(held))]
        found.append(sum(abs(h / sum(held) - m) for h, m in zip(held, mix, strict=True)) / 2)
    return [float(tv) for tv in found]


def spread_evenly(stretch):
    """A stretch is alike from its beginning to its end: each of its tokens is so much of every domain."""
    whole = sum(stretch)
    return [(c, Fraction(n, whole)) for _ in range(whole) for c, n in enumerate(stretch) if n]


def order_places(order):
    """(place of the token, (domain, part of it)): the parts of one token lie at the same place in proportion."""
    at = Fraction(0)
    for c, size in order:
        yield at, (c, size)
        at += size


def test_tv_is_the_slow_one_on_stretches_of_one_domain():
    for seed in SEEDS:
        rng = random.Random(seed)
        n_domains = rng.randint(1, 4)
        stretches = [[0] * n_domains for _ in range(rng.randint(1, 12))]
        for stretch in stretches:
            stretch[rng.randrange(n_domains)] = rng.randint(1, 9)
        parts = rng.choice([1, 3, 10])
        found = tv_of_parts(np.array(stretches), parts)
        assert found == pytest.approx(slow_tv(stretches, parts)), f"{seed=}"


def test_tv_of_mixed_stretches_by_hand():
    assert tv_of_parts(np.array([[2, 2], [4, 0]]), 2) == pytest.approx([0.25, 0.25])
    assert tv_of_parts(np.array([[2, 2], [4, 0]]), 4) == pytest.approx([0.25] * 4)
    assert tv_of_parts(np.array([[8, 0], [0, 8]]), 2) == pytest.approx([0.5, 0.5])
    assert tv_of_parts(np.array([[1, 3]] * 7), 10) == pytest.approx([0] * 10, abs=1e-12)


def drift_cost(off, weights, order):
    drift = np.cumsum(off[order], axis=0)
    return sum(int(w) * int(np.abs(d).sum()) ** 2 for w, d in zip(weights, drift, strict=True))


def slow_swap(off, weights, n_swaps, state):
    """The whole cost of every order that is looked at, from the beginning."""
    n = len(off)
    order = list(range(n))
    cost = drift_cost(off, weights, order)
    for step in range(n_swaps):
        x = int(mixed(np.array([(int(state) + step * 0x9E3779B97F4A7C15) % 2**64], np.uint64))[0])
        i = (x >> 33) % (n - 1)
        j = i + 1 + (x & 0xFFFFFFFF) % min(balance.REACH, n - 1, n - 1 - i)
        other = list(order)
        other[i], other[j] = order[j], order[i]
        found = drift_cost(off, weights, other)
        if found - cost < balance.THRESHOLD * 16 * GRAINS**2 // n_swaps * (n_swaps - step):
            order, cost = other, found
    return order


def rows_to_swap(seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 50, (int(rng.integers(2, 30)), 3)) * rng.integers(0, 2, 3)
    rows[:, 0] += 1
    return deviation(rows), drift_weights(len(rows), ends_of_parts(rows.sum(axis=1)))


def test_swaps_are_the_slow_ones():
    for seed in SEEDS:
        off, weights = rows_to_swap(seed)
        order = swap(off, weights, 300, salt("x", seed))
        assert order.tolist() == slow_swap(off, weights, 300, salt("x", seed)), f"{seed=}"


def test_rows_are_off_the_mix_by_hand():
    found = deviation(np.array([[10, 0], [0, 5], [5, 0]]))  # the mix: 3/4, 1/4; the largest row: 10
    assert found.tolist() == [[256, -256], [-384, 384], [128, -128]]
    assert GRAINS == 1024


def test_landmarks_stand_at_the_tenths():
    assert drift_weights(20, ends_of_parts(np.full(20, 7))).tolist() == [
        16 + 800 * (k % 2) * (k < 19) for k in range(20)
    ]
    ends = ends_of_parts(np.full(153, CAPACITY))
    assert ends[:3].tolist() == [0, 15 * 16 + 4, 30 * 16 + 9]  # 15.3 and 30.6 rows
    assert drift_weights(153, ends)[:17].tolist() == [16] * 14 + [16 + 50 * 12, 16 + 50 * 4, 16]
    assert ends_of_parts(np.array([10, 10, 5]))[[5, 10]].tolist() == [20, 40]  # 1.25 and 2.5 rows
    for n in range(2, 40):
        assert drift_weights(n, ends_of_parts(np.full(n, 3))).sum() == 16 * n + 9 * 50 * 16


def test_the_worst_tenth_is_that_of_the_stream():
    for seed in SEEDS:
        rows = np.random.default_rng(seed).integers(0, 2_000, (30, 3))
        rows[:, 0] += 6_000 - rows.sum(axis=1)  # all are as long
        worst = worst_part(deviation(rows), ends_of_parts(rows.sum(axis=1)))
        assert worst / (16 * GRAINS) / 3 / 2 == pytest.approx(tv_of_parts(rows).max(), abs=0.002), f"{seed=}"


def stream(seed, budget=20_000_000):
    """Rows of seven domains, a few of whose documents fill many rows, as (tokens by domain, by bucket, keys)."""
    rng = np.random.default_rng(seed)
    shares = [0.24, 0.22, 0.35, 0.07, 0.05, 0.04, 0.03]
    spread = [(10.5, 1.2), (9, 1.5), (9, 1.7), (7, 1), (10, 1.5), (7, 0.8), (6, 0.6)]
    lengths, domain = [], []
    for d, (share, (mean, sigma)) in enumerate(zip(shares, spread, strict=True)):
        n = np.minimum(rng.lognormal(mean, sigma, 20_000).astype(np.int64) + 1, 1_500_000)
        n = n[(n >= 4096) | (rng.random(len(n)) < 0.1)]
        n = n[: np.searchsorted(np.cumsum(n), share * budget)]
        lengths.append(n)
        domain.append(np.full(len(n), d))
    lengths, domain = np.concatenate(lengths), np.concatenate(domain)
    rows = PACKERS["best_fit"](drawn_of(lengths), CAPACITY, None)
    tokens = rows.stop - rows.start
    domains, buckets = np.zeros((len(rows), 7), np.int64), np.zeros((len(rows), len(BUCKETS)), np.int64)
    np.add.at(domains, (rows.row, domain[rows.draw]), tokens)
    np.add.at(buckets, (rows.row, bucket_of(lengths)[rows.draw]), tokens)
    return domains, buckets, rng.integers(0, 2**63, len(rows)).astype(np.uint64)


def test_every_tenth_of_twenty_million_tokens_has_the_mix():
    for seed in range(3):
        domains, buckets, keys = stream(seed)
        assert 140 < len(keys) < 160
        shuffled, order = np.argsort(keys), balanced(domains, buckets, keys, 0)
        assert tv_of_parts(domains[order]).max() <= 0.05, f"{seed=}"
        assert tv_of_parts(domains[shuffled]).max() > 0.1
        assert order[-1] == domains.sum(axis=1).argmin()
        assert tv_of_parts(buckets[order]).max() < 0.6 * tv_of_parts(buckets[shuffled]).max()


def test_the_order_is_the_rows_own_whatever_order_they_came_in():
    domains, buckets, keys = stream(9, budget=4_000_000)
    order = balanced(domains, buckets, keys, 3)
    assert sorted(order.tolist()) == list(range(len(keys)))
    mess = np.random.default_rng(1).permutation(len(keys))
    assert keys[mess][balanced(domains[mess], buckets[mess], keys[mess], 3)].tolist() == keys[order].tolist()
    assert balanced(domains, buckets, keys, 4).tolist() != order.tolist()


def test_few_rows_and_none():
    for n in range(4):
        rows = np.arange(2 * n).reshape(n, 2) + 1
        keys = np.arange(n, 0, -1).astype(np.uint64)
        assert sorted(balanced(rows, rows, keys, 0).tolist()) == list(range(n))


def test_the_cases_the_oracle_must_reach(monkeypatch):
    """Guards the swaps above from being all taken, or none."""
    better, some_refused = 0, 0
    monkeypatch.setattr(balance, "THRESHOLD", 10**12)  # of the slow twin, which now takes all
    for seed in SEEDS:
        off, weights = rows_to_swap(seed)
        cost, cost_later = (drift_cost(off, weights, swap(off, weights, n, salt("x", 0))) for n in (1, 3_000))
        better += cost_later < cost / 2
        all_taken = slow_swap(off, weights, 100, salt("x", seed))
        some_refused += swap(off, weights, 100, salt("x", seed)).tolist() not in (all_taken, list(range(len(off))))
    assert min(better, some_refused) > 10
