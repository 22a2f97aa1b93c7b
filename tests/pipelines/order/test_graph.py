import numpy as np
import pytest

from pipelines.order.graph import SHORT, Graph, graph_of, no_edges, restarts_of, sort_row, union_graph
from tests.pipelines.order import slow
from tests.pipelines.order.reference import random_lists

SEEDS = range(200)


def rows_of(graph: Graph) -> list[list[tuple[int, int]]]:
    bounds = list(zip(graph.offsets[:-1], graph.offsets[1:], strict=True))
    return [list(zip(graph.neighbours[a:b].tolist(), graph.similarities[a:b].tolist(), strict=True)) for a, b in bounds]


@pytest.mark.parametrize("k", [None, 1, 3])
def test_lists_are_cleaned_and_sorted(k):
    for seed in SEEDS:
        ids, similarities = random_lists(seed)
        assert rows_of(graph_of(ids, similarities, k)) == slow.lists_of(ids, similarities, k), f"{seed=}"


def test_the_union_has_each_edge_both_ways_at_the_larger_similarity():
    for seed in SEEDS:
        ids, similarities = random_lists(seed)
        union = slow.union_of(slow.lists_of(ids, similarities))
        expected = [sorted(row.items(), key=lambda pair: (-pair[1], pair[0])) for row in union]
        assert rows_of(union_graph(graph_of(ids, similarities))) == expected, f"{seed=}"


def test_a_document_that_all_list_has_a_sorted_row():
    """A row longer than SHORT is sorted in another way."""
    n = 3 * SHORT
    ids = np.zeros((n, 1), np.int64)
    similarities = np.arange(n)[:, None] % 7 / 10 - 0.3
    union = union_graph(graph_of(ids, similarities))
    assert rows_of(union)[0] == sorted(rows_of(union)[0], key=lambda pair: (-pair[1], pair[0]))
    assert len(rows_of(union)[0]) == n - 1


@pytest.mark.parametrize("n", [2, SHORT, SHORT + 1, 500])
def test_a_row_is_sorted_by_similarity_then_id(n):
    rng = np.random.default_rng(n)
    ids, weights = rng.permutation(n).astype(np.int32), rng.integers(-5, 5, n).astype(np.int32)
    expected = sorted(zip((-weights).tolist(), ids.tolist(), strict=True))
    sort_row(ids, weights)
    assert list(zip((-weights).tolist(), ids.tolist(), strict=True)) == expected


def test_the_cases_that_the_oracle_must_reach():
    lists = [random_lists(seed) for seed in SEEDS]
    assert any((ids == -1).any() for ids, _ in lists)
    assert any((ids == np.arange(len(ids))[:, None]).any() for ids, _ in lists)
    assert any(len(row) != len(set(row)) for ids, _ in lists for row in ids.tolist())
    assert any(not row for seed in SEEDS for row in slow.union_of(slow.lists_of(*random_lists(seed))))
    directed = [rows_of(graph_of(*random_lists(seed))) for seed in SEEDS]
    assert any(dict(rows[j]).get(i, w) != w for rows in directed for i, row in enumerate(rows) for j, w in row)
    assert any(len({w for _, w in row}) < len(row) for rows in directed for row in rows)
    assert any(len(ids) > 150 for ids, _ in lists)


def test_similarities_are_rounded_to_millionths():
    graph = graph_of(np.array([[1, 2], [-1, -1], [-1, -1]]), np.array([[0.9999996, 0.1234565], [0, 0], [0, 0]]))
    assert graph.similarities.tolist() == [1_000_000, 123_456]
    assert graph.similarities.dtype == graph.neighbours.dtype == np.int32


def test_a_place_restarts_if_neither_document_lists_the_other():
    graph = graph_of(np.array([[1], [-1], [1], [0]]), np.full((4, 1), 0.5))
    assert restarts_of(graph, np.array([0, 1, 2, 3])).tolist() == [True, False, False, True]
    assert restarts_of(no_edges(3), np.array([2, 1, 0])).tolist() == [True, True, True]
    assert restarts_of(no_edges(0), np.empty(0)).tolist() == []


@pytest.mark.parametrize(
    ("ids", "similarities", "message"),
    [
        ([[1, 0]], [[1.0, 1.0]], "ids 0 .. 1 of 1 documents"),
        ([[-2], [0]], [[1.0], [1.0]], "ids -2 .. 0"),
        ([[1], [0]], [[1.0], [np.nan]], "row 1"),
        ([[1], [0]], [[2_001.0], [1.0]], "row 0"),
        ([[1], [0]], [[1.0, 1.0], [1.0, 1.0]], "must both be"),
    ],
)
def test_lists_that_are_no_graph_are_refused(ids, similarities, message):
    with pytest.raises(ValueError, match=message):
        graph_of(np.array(ids), np.array(similarities))


def test_a_similarity_without_a_neighbour_is_not_read():
    assert graph_of(np.array([[-1], [0]]), np.array([[np.nan], [0.5]])).neighbours.tolist() == [0]
