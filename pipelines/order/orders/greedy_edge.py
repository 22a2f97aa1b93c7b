"""The heaviest edges of the union graph, then a join of the fragments that they form, then local improvement.

An edge is taken in descending order of similarity if both documents have a link free and it closes no cycle (greedy
matching, as in the travelling salesman problem). Ties go to the lower ids.
"""

import numpy as np

from pipelines.keys import keyed, salt
from pipelines.order.graph import Graph, restarts_of, union_graph
from pipelines.order.orders.documents import OrderDocuments
from pipelines.order.orders.fragments import Fragments, match
from pipelines.order.orders.improve import improved
from pipelines.order.orders.join import join_by_lists, join_by_vectors
from schemas.kernels import kernel

MAX_COUNTED = 1 << 22  # distinct values that are sorted by counting; cosines have half as many


def greedy_edge(graph: Graph, documents: OrderDocuments) -> tuple[np.ndarray, np.ndarray]:
    union = union_graph(graph)
    order = improved(joined(union, documents), union, documents.vectors)
    return order, restarts_of(graph, order)


def joined(union: Graph, documents: OrderDocuments) -> np.ndarray:
    """[n] int64: the path before the improvement."""
    fragments = matched(union)
    if documents.vectors is None:
        join_by_lists(fragments, union)
    else:
        keys = keyed(documents.content, salt("join", documents.seed))
        join_by_vectors(fragments, documents.vectors, keys)
    return fragments.chain()


def matched(union: Graph) -> Fragments:
    """Fragments of the greedy matching."""
    fragments = Fragments.singles(union.n)
    weights = union.similarities
    if len(weights) and int(weights.max()) - int(weights.min()) >= MAX_COUNTED:
        weights = np.unique(weights, return_inverse=True)[1].astype(np.int32)
    low, high = heaviest_first(union.offsets, union.neighbours, weights)
    match(*fragments, low, high)
    return fragments


@kernel
def heaviest_first(offsets: np.ndarray, neighbours: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n_edges] the lower and the higher id of each edge, by weight descending, then by the two ids: a counting sort."""
    n_edges = len(neighbours) // 2
    low, high = np.empty(n_edges, np.int32), np.empty(n_edges, np.int32)
    if not n_edges:
        return low, high
    heaviest = weights.max()
    cursor = np.zeros(np.int64(heaviest) - weights.min() + 2, np.int64)
    for i in range(len(offsets) - 1):
        for e in range(offsets[i], offsets[i + 1]):
            if neighbours[e] > i:
                cursor[heaviest - weights[e] + 1] += 1
    for w in range(1, len(cursor)):
        cursor[w] += cursor[w - 1]
    for i in range(len(offsets) - 1):
        for e in range(offsets[i], offsets[i + 1]):
            if neighbours[e] > i:
                at = cursor[heaviest - weights[e]]
                low[at], high[at] = i, neighbours[e]
                cursor[heaviest - weights[e]] += 1
    return low, high
