"""Signatures are datasketch's to the bit; bands and estimates are what the formulas promise."""

import math

import numpy as np
import pytest
from datasketch import MinHash

from pipelines.dedup.minhash import EMPTY, band_keys, bands, min_agreeing, n_agreeing, permutations, signatures

SEEDS = range(40)


def random_sets(seed):
    random = np.random.default_rng(seed)
    sizes = random.choice([0, 1, 2, 30, 400], 5)
    values = [np.sort(random.integers(0, 2**64, n, np.uint64)) for n in sizes]
    return values, np.cumsum([0, *sizes])


def test_signatures_are_those_of_datasketch():
    for seed in SEEDS:
        values, offsets = random_sets(seed)
        made = signatures(np.concatenate(values), offsets, 128, seed)
        for row, shingles in zip(made, values, strict=True):
            slow = MinHash(num_perm=128, seed=seed, scheme="affine32", hashfunc=lambda h: h)
            slow.update_batch([int(h) >> 32 for h in shingles])
            assert row.dtype == slow.hashvalues.dtype
            assert row.tolist() == slow.hashvalues.tolist(), f"{seed=}"


def test_a_text_without_shingles_has_an_empty_signature():
    assert (signatures(np.empty(0, np.uint64), np.zeros(3, np.int64), 128, 1) == EMPTY).all()


def test_permutations_lose_nothing():
    a, _ = permutations(128, 1)
    assert (a % 2 == 1).all()


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("min_recall", [0.5, 0.98])
def test_bands_are_as_long_as_recall_allows(threshold, min_recall):
    def recall(rows):
        return 1 - (1 - threshold**rows) ** (128 // rows)

    n_bands, rows = bands(threshold, 128, min_recall)
    assert n_bands == 128 // rows
    good = [r for r in range(1, 129) if recall(r) >= min_recall]
    assert rows == max(good, default=1)


def test_the_bands_of_the_default():
    assert bands(0.7, 128, 0.98) == (25, 5)
    assert 1 - (1 - 0.7**5) ** 25 > 0.98


def test_band_keys_are_equal_where_the_rows_are():
    for seed in SEEDS:
        signed = np.random.default_rng(seed).integers(0, 2, (30, 12), np.uint32)
        keys = band_keys(signed, 4, 3)
        rows = {}
        for i, band in np.ndindex(*keys.shape):
            rows.setdefault((band, *signed[i, band * 3 : band * 3 + 3].tolist()), set()).add(int(keys[i, band]))
        assert all(len(found) == 1 for found in rows.values())
        assert len(set().union(*rows.values())) == len(rows), f"{seed=}"


def test_agreeing_places_are_counted():
    for seed in SEEDS:
        one, other = np.random.default_rng(seed).integers(0, 3, (2, 128), np.uint32)
        assert n_agreeing(one, other) == sum(a == b for a, b in zip(one.tolist(), other.tolist(), strict=True))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
def test_hardly_a_pair_at_the_threshold_is_estimated_too_low(threshold):
    """Exact binomial tails: few are missed, and the margin is no wider than that takes."""

    def missed(floor):
        return sum(math.comb(128, k) * threshold**k * (1 - threshold) ** (128 - k) for k in range(floor))

    floor = min_agreeing(threshold, 128)
    assert missed(floor) < 0.005
    assert missed(floor + 5) > 0.005


def test_a_threshold_of_one_asks_for_every_place():
    assert min_agreeing(1.0, 128) == 128
