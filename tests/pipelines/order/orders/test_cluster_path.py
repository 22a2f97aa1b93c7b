import itertools

import numpy as np
import pytest

from pipelines.order import bounds
from pipelines.order.graph import graph_of
from pipelines.order.orders import ORDERS
from pipelines.order.orders.cluster_path import MAX_CLUSTER, directions, path_of_clusters
from tests.pipelines.order.reference import arrays, documents, unit


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
