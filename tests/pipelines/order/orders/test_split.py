import itertools

import numpy as np
import pytest

from pipelines.order.orders import split
from pipelines.order.orders.split import direction, halves, millionths
from tests.pipelines.order.reference import unit


def test_cells_hold_every_row_once_and_are_no_larger_than_the_limit():
    for seed, size in itertools.product(range(6), (1, 7, 50, 1_000)):
        vectors = unit(np.random.default_rng(seed).standard_normal((300, 4)))
        if seed == 5:
            vectors = unit(np.ones((300, 4)))
        cells = split.split(vectors, np.arange(300, dtype=np.uint64), size)
        assert max(map(len, cells)) <= size
        np.testing.assert_array_equal(np.sort(np.concatenate(cells)), np.arange(300))
        assert all((np.diff(cell) > 0).all() for cell in cells)


def test_two_clusters_are_two_halves(monkeypatch):
    monkeypatch.setattr(split, "SAMPLE", 20)
    rng = np.random.default_rng(0)
    centres = unit(rng.standard_normal((2, 16)))
    label = rng.integers(0, 2, 200)
    vectors = unit(centres[label] + 0.1 * rng.standard_normal((200, 16)))
    one, other = halves(vectors, rng.permutation(200).astype(np.uint64), np.arange(200))
    assert {tuple(one), tuple(other)} == {tuple(np.flatnonzero(label == 0)), tuple(np.flatnonzero(label == 1))}


def test_a_half_has_at_least_its_share():
    vectors = unit(np.array([[1.0, 0.0]] * 199 + [[-1.0, 0.0]]))
    one, other = halves(vectors, np.arange(200, dtype=np.uint64), np.arange(200))
    assert min(len(one), len(other)) == 200 * split.LEAST_SHARE
    assert 199 in other


@pytest.mark.parametrize("d", [1, 3, 4, 10])
def test_products_are_in_millionths(d):
    vectors = unit(np.random.default_rng(2).standard_normal((100, d)))
    expected = np.rint(vectors.astype(np.float64) @ vectors[0].astype(np.float64) * 1e6)
    rows = np.array([3, 50, 4])
    np.testing.assert_allclose(millionths(vectors, vectors[0], rows), expected[rows], atol=1)


def test_the_direction_of_opposite_vectors_is_none():
    assert direction(np.array([[1.0, 0.0], [-1.0, 0.0]])).tolist() == [0, 0]
