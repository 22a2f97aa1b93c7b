"""best_fit is the slow one that looks at every row for every piece."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.pack.packers.best_fit import best_fit
from tests.pipelines.pack.packers.cases import (
    SEEDS,
    case,
    drawn_of,
    plain_best_fit_decreasing,
    rows_of,
    slow_best_fit,
)


def test_best_fit_is_the_slow_one():
    for seed in SEEDS:
        assert rows_of(best_fit(*case(seed))) == slow_best_fit(*case(seed)), f"{seed=}"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 120))
def test_best_fit_needs_the_rows_of_the_textbook(lengths, capacity):
    assert len(best_fit(drawn_of(lengths), capacity, None)) == plain_best_fit_decreasing(lengths, capacity)


def test_best_fit_cuts_only_what_no_row_can_hold():
    for seed in SEEDS:
        drawn, capacity, max_segments = case(seed)
        rows = best_fit(drawn, capacity, max_segments)
        assert np.array_equal(np.bincount(rows.draw, minlength=len(drawn)), -(-drawn.lengths // capacity)), f"{seed=}"


def test_a_large_pack_is_as_full_as_can_be():
    """Lengths with a long tail, from 2,000 rows of 128K on: less than 1/2,000 is padding, and at most one row too many."""
    rng = np.random.default_rng(3)
    drawn = drawn_of(np.minimum(rng.lognormal(8, 1.6, 30_000).astype(np.int64) + 1, 900_000))
    for capacity in (131_072, 65_536, 8_192):
        rows = best_fit(drawn, capacity, None)
        assert len(rows) <= drawn.fewest_rows(capacity) + 1
        assert capacity < 131_072 or len(rows) > 2_000
        assert drawn.lengths.sum() / (len(rows) * capacity) >= 0.9995
