import itertools
from functools import cache

import numpy as np
import pytest

from pipelines.order import bounds
from pipelines.order.graph import graph_of, no_edges
from pipelines.order.orders import ORDERS
from tests.pipelines.order import slow
from tests.pipelines.order.reference import MANIFEST, SETS, arrays, documents, unit

HELD_KARP = {"clus2000": 1579.0, "pypi2000": 1477.9}  # of another implementation
KEYS = {"released_merged_order": "released", "alg1_static": "alg1_static", "alg1_residual": "alg1_residual"}


@cache
def bound_of(name: str) -> float:
    return bounds.held_karp_bound(arrays(name)["X"])


def small(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((2 + seed % 9, 2 + seed % 3))
    if seed % 4 == 0:
        vectors = np.sign(vectors)  # ties and copies
    return unit(vectors)


def complete(vectors: np.ndarray):
    similarity = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    ids = np.argsort(-similarity, axis=1, kind="stable")
    return graph_of(ids, np.take_along_axis(similarity, ids, axis=1).clip(-1, 1)), similarity


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("order", KEYS)
def test_the_metrics_of_the_reference_orders(name, order):
    """Five metrics, as the manifest has them, rounded to four digits (total: two)."""
    reference, expected = arrays(name), MANIFEST[name]["metrics"][KEYS[order]]
    vectors, path = reference["X"], reference[order]
    graph = graph_of(reference["knn_ids"], reference["knn_sims"])
    assert bounds.path_weight(path, vectors) == pytest.approx(expected["total"], abs=0.006)
    assert bounds.mean_consecutive(path, vectors) == pytest.approx(expected["mean"], abs=6e-5)
    assert bounds.jump_rate(path, graph) == pytest.approx(expected["nonedge"], abs=6e-5)
    nearest = bounds.nearest_of(vectors, 10)[0]
    for size in (8, 64):
        found = bounds.window_metrics(path, vectors, size, nearest)
        assert found["pair_w"] == pytest.approx(expected[f"pair{size}"], abs=6e-5)
        assert found["maxprior_w"] == pytest.approx(expected[f"maxprior{size}"], abs=6e-5)
        assert found["nn10in_w"] == pytest.approx(expected[f"nn10in{size}"], abs=6e-5)


@pytest.mark.parametrize("name", HELD_KARP)
def test_the_held_karp_bound_is_that_of_another_implementation(name):
    assert bound_of(name) == pytest.approx(HELD_KARP[name], abs=0.3)


@pytest.mark.parametrize("name", SETS)
def test_greedy_edges_reach_98_per_cent_of_the_bound_and_no_order_beats_it(name):
    reference = arrays(name)
    vectors = reference["X"]
    bound, half = bound_of(name), bounds.half_sum_bound(bounds.nearest_of(vectors, 2)[1])
    assert bound <= half
    graph = graph_of(reference["knn_ids"], reference["knn_sims"], int(reference["graph_k"]))
    modes = ("random", "released", "paper", "paper_static", "greedy_edge", "cluster_path")
    totals = {mode: bounds.path_weight(ORDERS[mode](graph, documents(graph.n, vectors))[0], vectors) for mode in modes}
    assert max(totals.values()) == totals["greedy_edge"] <= bound
    assert totals["greedy_edge"] >= 0.98 * bound
    assert totals["cluster_path"] > totals["released"]


def test_no_order_beats_the_best_path_and_the_best_path_no_bound():
    gaps, shares = [], {mode: [] for mode in ("paper", "greedy_edge", "cluster_path")}
    for seed in range(90):
        vectors = small(seed)
        graph, similarity = complete(vectors)
        best = slow.best_path(similarity)
        bound = bounds.held_karp_bound(vectors, n_steps=200)
        assert bound >= best - 1e-5, f"{seed=}"
        assert bounds.half_sum_bound(bounds.nearest_of(vectors, 2)[1]) >= best - 1e-5, f"{seed=}"
        for mode in ("random", "released", "paper", "paper_static", "greedy_edge", "cluster_path"):
            order, _ = ORDERS[mode](graph, documents(graph.n, vectors))
            weight = bounds.path_weight(order, vectors)
            assert weight <= best + 1e-5, f"{seed=} {mode}"
            if mode in shares and best > 1:
                shares[mode].append(weight / best)
        if best > 1:
            gaps.append(bound / best)
    assert len(gaps) > 40
    assert np.mean(gaps) < 1.02
    assert np.mean(shares["greedy_edge"]) > 0.99
    assert min(shares["greedy_edge"]) > 0.85
    assert np.mean(shares["paper"]) > 0.9


def test_the_best_path_of_twelve():
    vectors = unit(np.random.default_rng(12).standard_normal((12, 4)))
    graph, similarity = complete(vectors)
    best = slow.best_path(similarity)
    order, _ = ORDERS["greedy_edge"](graph, documents(12, vectors))
    assert 0.96 * best <= bounds.path_weight(order, vectors) <= best + 1e-5
    assert best <= bounds.held_karp_bound(vectors) + 1e-5 <= 1.02 * best


def test_weights_by_hand():
    vectors = unit(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]]))
    order = np.array([0, 2, 1, 3])
    half = np.sqrt(0.5)
    assert bounds.path_weight(order, vectors) == pytest.approx(2 * half)
    assert bounds.mean_consecutive(order, vectors) == pytest.approx(2 * half / 3)
    graph = graph_of(np.array([[2], [-1], [0], [-1]]), np.array([[0.7], [0], [0.75], [0]]))
    assert bounds.graph_weight(order, graph) == pytest.approx(0.75)
    assert bounds.jump_rate(order, graph) == pytest.approx(2 / 3)
    nearest = np.array([[2], [2], [0], [-1]])
    three = bounds.window_metrics(order, vectors, 3, nearest)
    assert three == {"pair_w": pytest.approx(2 * half / 3), "maxprior_w": pytest.approx(half), "nn10in_w": 1}
    two = bounds.window_metrics(order, vectors, 2, nearest)
    assert two == {
        "pair_w": pytest.approx(half / 2),
        "maxprior_w": pytest.approx(half / 2),
        "nn10in_w": pytest.approx(2 / 3),
    }
    assert np.isnan(bounds.window_metrics(order, vectors, 5, nearest)["pair_w"])


def test_the_half_sum_by_hand():
    assert bounds.half_sum_bound(np.array([[0.9, 0.5], [0.9, -0.4], [0.5, -np.inf]])) == pytest.approx((2.3 + 0.5) / 2)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_documents_weigh_nothing(n):
    vectors, order = unit(np.ones((n, 3))), np.arange(n)
    assert bounds.path_weight(order, vectors) == 0
    assert np.isnan(bounds.mean_consecutive(order, vectors))
    assert np.isnan(bounds.jump_rate(order, no_edges(n)))
    assert bounds.held_karp_bound(vectors) == 0
    assert bounds.half_sum_bound(bounds.nearest_of(vectors, 2)[1]) == 0
    assert all(np.isnan(value) for value in bounds.window_metrics(order, vectors, 4, np.full((n, 10), -1)).values())


def test_nearest_are_the_most_similar_without_the_document_itself(monkeypatch):
    monkeypatch.setattr(bounds, "BLOCK", 16)
    monkeypatch.setattr(bounds, "PRODUCTS", 700)
    vectors = unit(np.random.default_rng(5).standard_normal((50, 8)))
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    ids, cosines = bounds.nearest_of(vectors, 5)
    np.testing.assert_array_equal(ids, np.argsort(-similarity, axis=1)[:, :5])
    np.testing.assert_allclose(cosines, -np.sort(-similarity, axis=1)[:, :5], rtol=1e-5)
    path = np.random.default_rng(6).permutation(50)
    direct = sum(float(vectors[i] @ vectors[j]) for i, j in itertools.pairwise(path))
    assert bounds.path_weight(path, vectors) == pytest.approx(direct, abs=1e-5)


def test_the_held_karp_bound_refuses_what_it_cannot_hold():
    with pytest.raises(ValueError, match="at most 5000"):
        bounds.held_karp_bound(np.zeros((5_001, 1), np.float32))
