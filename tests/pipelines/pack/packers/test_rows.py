"""Rows know their pieces, their tokens, and themselves in another order."""

import numpy as np

from pipelines.pack.packers.best_fit import best_fit
from pipelines.pack.packers.rows import Rows
from tests.pipelines.pack.packers.cases import case, rows_of


def test_rows_in_another_order():
    for seed in range(50):
        rows = best_fit(*case(seed))
        order = np.random.default_rng(seed).permutation(len(rows))
        found = rows.take(order)
        assert rows_of(found) == [rows_of(rows)[i] for i in order], f"{seed=}"
        assert found.n_tokens.tolist() == [sum(b - a for _, a, b in row) for row in rows_of(found)]
        assert found.row.tolist() == [i for i, row in enumerate(rows_of(found)) for _ in row]


def test_rows_by_hand():
    rows = Rows.bare(np.array([0, 2, 1]), np.array([0, 5, 0]), np.array([3, 9, 4]), np.array([0, 2, 3]))
    assert len(rows) == 2
    assert rows.row.tolist() == [0, 0, 1]
    assert rows.n_tokens.tolist() == [7, 4]
    other = rows.take(np.array([1, 0, 1]))
    assert rows_of(other) == [[(1, 0, 4)], [(0, 0, 3), (2, 5, 9)], [(1, 0, 4)]]
    assert (len(rows.take(np.array([], np.int64))), rows.take(np.array([], np.int64)).n_tokens.tolist()) == (0, [])
