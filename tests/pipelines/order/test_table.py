import numpy as np
import pyarrow as pa

from pipelines.order.graph import Graph
from pipelines.order.neighbours import Neighbours
from pipelines.order.table import MOST_NEIGHBOURS, Found, nearest_lists, order_table
from schemas.conform import conform
from schemas.tables import ORDER


def found():
    vectors = np.array([[1, 0], [0.6, 0.8], [0.6, 0.8], [0, 1]], np.float32)
    graph = Graph(
        np.array([0, 2, 4, 4, 6]), np.array([1, 3, 3, 0, 1, 0], np.int32),
        np.array([600_000, 0, 800_000, 600_000, 800_000, 0], np.int32),
    )  # fmt: skip
    near = Neighbours(graph, np.array([False, False, True, False]), np.array([0, 1, 1, 3], np.int32))
    places = np.array([[1, -1], [0, -1], [0, 1], [0, -1]], np.int32)
    return Found(vectors, places, np.array([[0, 1], [1, 0]], np.float32), near)


def test_rows_of_a_path_then_of_near_copies():
    table = order_table(
        pa.chunked_array([["a", "b", "c", "d"]]), found(), np.array([3, 1, 0]), np.array([1, 0, 0], bool)
    )
    rows = conform(table, ORDER, "ORDER").to_pylist()
    assert [row["document_id"] for row in rows] == ["d", "b", "a", "c"]
    assert [row["place"] for row in rows] == [0, 1, 2, None]
    assert [row["restarts"] for row in rows] == [True, False, False, False]
    assert [row["near_set"] for row in rows] == [None, "b", None, "b"]
    assert [row["partition"] for row in rows] == [0, 0, 1, 0]
    assert [row["neighbours"] for row in rows] == [[1, 2], [0, 2], [1, 0], []]
    cosines = [row["similarity_to_previous"] for row in rows]
    assert cosines[0] is None
    assert cosines[3] is None
    assert np.allclose(cosines[1:3], [0.8, 0.6])
    assert np.allclose([row["centre_similarity"] for row in rows], [1, 0.8, 1, 0.8])


def test_without_vectors_no_cosine_is_stated():
    graph = Graph(np.zeros(3, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
    alone = Found(
        np.empty((2, 0), np.float32), np.zeros((2, 2), np.int32), np.empty((1, 0), np.float32),
        Neighbours(graph, np.zeros(2, bool), np.arange(2, dtype=np.int32)),
    )  # fmt: skip
    rows = order_table(pa.chunked_array([["a", "b"]]), alone, np.array([1, 0]), np.array([1, 1], bool)).to_pylist()
    assert [(r["similarity_to_previous"], r["centre_similarity"], r["neighbours"]) for r in rows] == [
        (None, None, [])
    ] * 2


def test_a_list_has_the_first_neighbours_only():
    n = MOST_NEIGHBOURS + 5
    graph = Graph(np.array([0, *[n] * n, n]), np.arange(1, n + 1, dtype=np.int32), np.arange(n, 0, -1, dtype=np.int32))
    rows = np.arange(n + 1)[::-1].copy()
    row_of = np.argsort(rows).astype(np.int32)
    neighbours, similarities = nearest_lists(graph, rows, row_of)
    assert neighbours.to_pylist()[-1] == [int(row_of[i]) for i in range(1, MOST_NEIGHBOURS + 1)]
    assert len(similarities.to_pylist()[-1]) == MOST_NEIGHBOURS
    assert neighbours.to_pylist()[0] == []
