"""Every packer packs each token once into rows that no copy shares."""

import numpy as np
import pytest

from pipelines.pack.packers import PACKERS
from pipelines.pack.packers.best_fit import best_fit
from pipelines.pack.packers.concat import concat
from tests.pipelines.pack.packers.cases import SEEDS, case, drawn_of, plain_best_fit_decreasing, rows_of

EACH = pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)


@EACH
def test_every_token_is_packed_once_and_no_row_overflows(packer):
    for seed in SEEDS:
        drawn, capacity, max_segments = case(seed)
        rows = rows_of(packer(drawn, capacity, max_segments))
        tokens = sorted((d, t) for row in rows for d, start, stop in row for t in range(start, stop))
        assert tokens == [(d, t) for d, n in enumerate(drawn.lengths.tolist()) for t in range(n)], f"{seed=}"
        for row in rows:
            assert 0 < sum(stop - start for _, start, stop in row) <= capacity
            assert all(start < stop for _, start, stop in row)
            assert len(row) <= (max_segments or len(row))
            assert len({drawn.documents[d] for d, _, _ in row}) == len(row), f"{seed=}: copies share a row"


@EACH
def test_no_packer_needs_fewer_rows_than_fewest_rows(packer):
    for seed in SEEDS:
        drawn, capacity, max_segments = case(seed)
        assert len(packer(drawn, capacity, max_segments)) >= drawn.fewest_rows(capacity, max_segments), f"{seed=}"


@EACH
def test_a_set_of_more_members_than_rows_gets_short_rows(packer):
    drawn = drawn_of([3, 3, 3, 3, 90], documents=[0, 0, 0, 0, 1], on_path=[1, 0, 0, 0, 1])
    rows = packer(drawn, 100, None)
    assert len(rows) == drawn.fewest_rows(100) == 4
    assert sorted(rows.n_tokens.tolist()) == [3, 3, 3, 93]


def test_fewest_rows_by_hand():
    assert drawn_of([]).fewest_rows(10) == 0
    assert drawn_of([10, 10, 1]).fewest_rows(10) == 3
    assert drawn_of([1] * 9).fewest_rows(10) == 1
    assert drawn_of([1] * 9).fewest_rows(10, 2) == 5
    assert drawn_of([1, 1, 25], documents=[0, 0, 0]).fewest_rows(10) == 5  # 1 + 1 + 3 pieces of one label


@EACH
def test_nothing_is_no_row(packer):
    for lengths in ([], [0], [0, 0]):
        rows = packer(drawn_of(lengths), 8, None)
        assert (len(rows), len(rows.draw), rows.offsets.tolist(), rows.n_tokens.tolist()) == (0, 0, [0], [])


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    cases = [case(seed) for seed in SEEDS]
    assert any(0 in drawn.lengths for drawn, *_ in cases)
    assert any(len(drawn) == 0 for drawn, *_ in cases)
    assert any(n > capacity for drawn, capacity, _ in cases for n in drawn.lengths)
    assert any(n == capacity for drawn, capacity, _ in cases for n in drawn.lengths)
    assert any(capacity == 1 for _, capacity, _ in cases)
    tied, apart, short, closed, three, cut_copy = 0, 0, 0, 0, 0, 0
    for drawn, capacity, max_segments in cases:
        rest = drawn.lengths[drawn.lengths % capacity > 0] % capacity
        tied += len(set(rest.tolist())) < len(rest)
        alone = plain_best_fit_decreasing(drawn.lengths.tolist(), capacity)
        apart += max_segments is None and len(best_fit(drawn, capacity, None)) != alone
        closed += max_segments is not None and len(best_fit(drawn, capacity, max_segments)) > alone
        labels = drawn.documents.tolist()
        three += max(np.bincount(drawn.documents).tolist(), default=0) == 3
        cut_copy += any(len(set(drawn.lengths[drawn.documents == d].tolist())) > 1 for d in set(labels))
        full = concat(drawn, capacity, None).n_tokens
        short += bool((full[:-1] < capacity).any())
    assert min(tied, apart, short, closed, three, cut_copy) > 5
