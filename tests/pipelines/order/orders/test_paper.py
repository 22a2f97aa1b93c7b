import numpy as np
import pytest

from pipelines.order.graph import graph_of, restarts_of
from pipelines.order.orders.paper import paper, paper_static
from tests.pipelines.order import slow
from tests.pipelines.order.reference import EDGE_CASES, MANIFEST, SETS, arrays, documents, random_lists

MODES = {paper: "alg1_residual", paper_static: "alg1_static"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SETS)
def test_the_order_is_the_reference(name, mode):
    reference = arrays(name)
    graph = graph_of(reference["knn_ids"], reference["knn_sims"], int(reference["graph_k"]))
    order, restarts = mode(graph, documents(graph.n))
    np.testing.assert_array_equal(order, reference[MODES[mode]])
    np.testing.assert_array_equal(restarts, restarts_of(graph, order))
    if mode is paper_static:
        assert restarts.sum() == MANIFEST[name]["alg1_static_starts"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", EDGE_CASES)
def test_edge_cases(name, mode):
    case = EDGE_CASES[name]
    graph = graph_of(np.array(case["ids"]), np.array(case["sims"]))
    assert mode(graph, documents(graph.n))[0].tolist() == case[MODES[mode]]


@pytest.mark.parametrize("mode", MODES)
def test_random_lists_give_what_plain_python_gives(mode):
    for seed in range(300):
        ids, similarities = random_lists(seed)
        expected = slow.paper(slow.union_of(slow.lists_of(ids, similarities)), residual=mode is paper)
        order, restarts = mode(graph_of(ids, similarities), documents(len(ids)))
        assert (order.tolist(), restarts.tolist()) == expected, f"{seed=}"


def test_the_modes_differ():
    """Guards the tests above from lists on which both degrees give the same path."""
    graphs = [graph_of(*random_lists(seed)) for seed in range(50)]
    both = [[mode(graph, documents(graph.n))[0].tolist() for mode in MODES] for graph in graphs]
    assert sum(residual != static for residual, static in both) > 10
