import itertools

import numpy as np
import pytest

from pipelines.order import bounds
from pipelines.order.graph import graph_of
from pipelines.order.orders import ORDERS, split
from pipelines.order.orders.cluster_path import MAX_CLUSTER, directions, path_of_clusters
from pipelines.order.orders.split import direction, halves, millionths
from tests.pipelines.order.reference import arrays, documents, unit


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


def test_directions_are_the_best_of_all():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        vectors = unit(rng.standard_normal((24, 3)))
        cuts = np.sort(rng.choice(np.arange(1, 24), 6, replace=False))
        paths = np.split(rng.permutation(24), cuts)

        def weight(reverse):
            turned = [path[::-1] if back else path for path, back in zip(paths, reverse, strict=True)]  # noqa: B023
            return sum(float(vectors[a[-1]] @ vectors[b[0]]) for a, b in itertools.pairwise(turned))  # noqa: B023

        best = max(map(weight, itertools.product((False, True), repeat=len(paths))))
        assert weight(directions(vectors, paths)) == pytest.approx(best, abs=1e-5), f"{seed=}"


@pytest.mark.parametrize("name", ["clus2000", "pypi2000"])
def test_windows_of_64_are_more_similar_than_those_of_other_orders(name):
    reference = arrays(name)
    vectors, n = reference["X"], len(reference["X"])
    graph = graph_of(reference["knn_ids"], reference["knn_sims"])
    nearest = bounds.nearest_of(vectors, 10)[0]
    pairs = {}
    for mode in ("released", "paper", "greedy_edge", "cluster_path"):
        order, _ = ORDERS[mode](graph, documents(n, vectors))
        pairs[mode] = bounds.window_metrics(order, vectors, 64, nearest)["pair_w"]
    assert pairs.pop("cluster_path") > 1.05 * max(pairs.values())


def test_clusters_follow_each_other_unbroken():
    vectors = arrays("pypi2000")["X"]
    given = documents(len(vectors), vectors)
    order = path_of_clusters(given, MAX_CLUSTER)
    assert order.tolist() != path_of_clusters(documents(len(vectors), vectors, seed=1), MAX_CLUSTER).tolist()
    assert bounds.mean_consecutive(order, vectors) > 0.69
    assert path_of_clusters(given, len(vectors)).tolist() != order.tolist()
