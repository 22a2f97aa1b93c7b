"""What holds for every order, and orders of any neighbour lists."""

import numpy as np
import pytest

from pipelines.order.graph import graph_of, no_edges, restarts_of
from pipelines.order.orders import ORDERS, orders_of_lists
from pipelines.order.orders.released import merged
from tests.pipelines.order.reference import SETS, arrays, documents, random_lists, unit

OF_GRAPH = [name for name, order in ORDERS.items() if not {"texts", "paths"} & set(order.needs)]


def all_of(n: int, vectors: np.ndarray, seed: int = 0):
    """Documents with everything that an order may need."""
    texts = [f"word{i % 7} word{i % 11} word{i}" for i in range(n)]
    paths = [("code", f"a{i % 3}/b{i % 5}.py", i) for i in range(n)]
    return documents(n, vectors, seed, texts=texts, paths=paths)


def cases():
    """Graphs and vectors of every degenerate kind, and random ones."""
    for n in (0, 1, 2, 3):
        yield no_edges(n), unit(np.eye(4, dtype=np.float32)[:n])
    for n in (2, 150):
        same = unit(np.ones((n, 4)))
        yield no_edges(n), same
        yield graph_of((np.arange(n)[:, None] + np.arange(1, 2)) % n, np.ones((n, 1))), same
    for seed in range(12):
        ids, similarities = random_lists(seed)
        vectors = unit(np.random.default_rng(seed).standard_normal((len(ids), 5)))
        yield graph_of(ids, similarities), vectors
    opposite = unit(np.array([[1.0, 0.1 * i] for i in range(40)]) * np.where(np.arange(40) % 2, -1, 1)[:, None])
    yield no_edges(40), opposite
    yield no_edges(5), np.zeros((5, 3), np.float32)


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_a_permutation_and_begins_with_a_restart(name):
    for graph, vectors in cases():
        order, restarts = ORDERS[name](graph, all_of(graph.n, vectors))
        assert (order.dtype, restarts.dtype) == (np.int64, np.bool_)
        np.testing.assert_array_equal(np.sort(order), np.arange(graph.n))
        assert restarts.shape == order.shape
        assert restarts[:1].all()


@pytest.mark.parametrize("name", OF_GRAPH)
def test_a_place_restarts_where_no_edge_reaches_it(name):
    for graph, vectors in cases():
        order, restarts = ORDERS[name](graph, all_of(graph.n, vectors))
        np.testing.assert_array_equal(restarts, restarts_of(graph, order))


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_reads_only_what_it_needs(name):
    ids, similarities = random_lists(7)
    full = all_of(len(ids), unit(np.random.default_rng(7).standard_normal((len(ids), 5))))
    needs = ORDERS[name].needs
    bare = documents(full.n, **{field: getattr(full, field) for field in needs if field != "graph"})
    graph = graph_of(ids, similarities)
    expected = ORDERS[name](graph, full)
    found = ORDERS[name](graph if "graph" in needs else no_edges(full.n), bare)
    np.testing.assert_array_equal(found[0], expected[0])
    if name != "random":  # its restarts are of whichever graph it is given
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_the_same_each_time_and_leaves_its_arguments(name):
    ids, similarities = random_lists(20)
    vectors = unit(np.random.default_rng(20).standard_normal((len(ids), 5)))
    graph, given = graph_of(ids, similarities), all_of(len(ids), vectors)
    kept = [array.copy() for array in (*graph, vectors, given.content)]
    first, second = ORDERS[name](graph, given), ORDERS[name](graph, given)
    np.testing.assert_array_equal(first[0], second[0])
    for before, after in zip(kept, (*graph, vectors, given.content), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", ["cluster_path", "bm25_buffer", "path"])
def test_an_order_without_what_it_needs_says_so(name):
    with pytest.raises(ValueError, match=f"{name}: documents without"):
        ORDERS[name](no_edges(3), documents(3))


def test_lists_give_the_order_of_each_mode():
    reference = arrays("pypi2000")
    paths = orders_of_lists(reference["knn_ids"], reference["knn_sims"])
    assert list(paths) == ["released", "paper", "paper_static", "greedy_edge"]
    np.testing.assert_array_equal(paths["released"][0], reference["released_merged_order"])
    np.testing.assert_array_equal(paths["paper"][0], reference["alg1_residual"])
    np.testing.assert_array_equal(paths["paper_static"][0], reference["alg1_static"])
    graph = graph_of(reference["knn_ids"], reference["knn_sims"])
    for order, restarts in paths.values():
        np.testing.assert_array_equal(restarts, restarts_of(graph, order))


def test_vectors_reach_the_orders_that_read_them():
    reference = arrays("rand200")
    lists = reference["knn_ids"], reference["knn_sims"]
    with_vectors = orders_of_lists(*lists, ["cluster_path", "greedy_edge"], reference["X"].astype(np.float64))
    assert list(with_vectors) == ["cluster_path", "greedy_edge"]
    assert (
        with_vectors["greedy_edge"][0].tolist() != orders_of_lists(*lists, ["greedy_edge"])["greedy_edge"][0].tolist()
    )


def test_released_reads_the_columns_after_the_first():
    ids = np.array([[1, 0, 2], [0, 1, 2], [2, 0, 1]])  # a copy at rank 0, before the document itself
    order, restarts = orders_of_lists(ids, np.full(ids.shape, 0.5), ["released"])["released"]
    assert order.tolist() == merged(ids[:, 1:]).order.tolist() == [0, 2, 1]
    assert restarts.tolist() == [True, False, False]


@pytest.mark.parametrize("mode", ["cluster_path", "bm25_buffer", "papers"])
def test_a_mode_that_lists_do_not_give_is_refused(mode):
    with pytest.raises(ValueError, match=f"'{mode}' is not an order of these lists"):
        orders_of_lists(np.array([[1], [0]]), np.ones((2, 1)), [mode])


def test_the_reference_sets_have_their_sizes():
    assert [len(arrays(name)["X"]) for name in SETS] == [200, 2000, 2000]
