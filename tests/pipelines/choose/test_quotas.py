"""Cells and their targets, and going down an order."""

from collections import Counter

import numpy as np
import pytest

from pipelines.choose.quotas import RESPONSE_BUCKETS, pick, response_bucket_of, targets_of
from pipelines.choose.similar import Anything


@pytest.mark.parametrize(
    ("sizes", "n", "targets"),
    [
        ([6, 3, 1], 5, [3, 2, 0]),  # 3, 1.5, 0.5: the first of equal remainders is rounded up
        ([1, 1, 1], 2, [1, 1, 0]),
        ([4, 0], 9, [4, 0]),
        ([], 3, []),
        ([0, 0], 3, []),
    ],
)
def test_targets_are_the_shares_of_the_candidates(sizes, n, targets):
    assert targets_of(sizes, n) == targets


def test_buckets_of_responses():
    lengths = np.array([0, 63, 64, 127, 128, 256, 512, 1023, 1024, 9999])
    assert response_bucket_of(lengths).tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]
    assert RESPONSE_BUCKETS[5] == "1K+"


class Pairs:
    """2 is similar to 0, 5 to 2."""

    def __init__(self):
        self.chosen = []

    def similar_to(self, candidate):
        return next((c for c in self.chosen if (candidate, c) in ((2, 0), (5, 2))), None)

    def add(self, candidate):
        self.chosen.append(candidate)


def test_a_candidate_is_held_against_the_chosen_alone():
    """5 is similar to 2 alone, which was passed over; then both cells are full."""
    picked = pick([0, 2, 3, 5, 1, 4], [0, 1, 0, 0, 1, 1], [2, 1], Pairs())
    assert picked.chosen == [0, 3, 5]
    assert picked.similar == {2: 0}
    picked = pick([0, 2, 5], [0] * 6, [2], Pairs())
    assert picked.chosen == [0, 5]


def test_no_cell_gets_more_than_its_target():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cell = rng.integers(0, 3, 30).tolist()
        targets = rng.integers(0, 15, 3).tolist()
        picked = pick(rng.permutation(30).tolist(), cell, targets, Anything())
        sizes, chosen = Counter(cell), Counter(cell[k] for k in picked.chosen)
        assert [chosen[c] for c in range(3)] == [min(sizes[c], targets[c]) for c in range(3)]
