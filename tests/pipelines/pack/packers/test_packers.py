"""Every packer packs each token once into rows that no copy shares."""

import numpy as np
import pytest

from pipelines.pack.packers import PACKERS
from pipelines.pack.packers.best_fit import best_fit
from pipelines.pack.packers.concat import concat
from tests.pipelines.pack.packers.cases import SEEDS, case, plain_best_fit_decreasing, rows_of

BOTH = pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)


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


@BOTH
def test_nothing_is_no_row(packer):
    for lengths in ([], [0], [0, 0]):
        rows = packer(np.array(lengths, np.int64), np.arange(len(lengths)), 8, None)
        assert (len(rows), len(rows.draw), rows.offsets.tolist(), rows.n_tokens.tolist()) == (0, 0, [0], [])


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
