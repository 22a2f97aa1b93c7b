"""Clusters of at most 96 documents, a path inside each, and a path over their centroids.

For windows of many documents: consecutive documents are a little less similar than with greedy_edge, the documents of a
window more so. Each cluster is walked in the direction that makes its ends most similar to those of its neighbours.
"""

import numpy as np

from pipelines.keys import keyed, salt
from pipelines.order.graph import Graph, graph_of, restarts_of, union_graph
from pipelines.order.orders.documents import OrderDocuments
from pipelines.order.orders.fragments import Fragments, link_greedily
from pipelines.order.orders.improve import N_NEIGHBOURS, improved
from pipelines.order.orders.join import join_by_vectors, products
from pipelines.order.orders.split import direction, split
from pipelines.shares import MICRO

MAX_CLUSTER = 96  # bisection leaves clusters of about 45 on average


def cluster_path(graph: Graph, documents: OrderDocuments) -> tuple[np.ndarray, np.ndarray]:
    order = path_of_clusters(documents, MAX_CLUSTER)
    return order, restarts_of(graph, order)


def path_of_clusters(documents: OrderDocuments, max_cluster: int) -> np.ndarray:
    """[n] int64.

    Raises:
        ValueError: the documents have no vectors.
    """
    vectors = documents.vectors
    if vectors is None:
        raise ValueError("cluster_path: documents without vectors; give their embeddings or use another order")
    if not documents.n:
        return np.empty(0, np.int64)
    keys = keyed(documents.content, salt("clusters", documents.seed))
    paths = [rows[path_inside(vectors[rows])] for rows in split(vectors, keys, max_cluster)]
    centroids = np.array([direction(vectors[rows]) for rows in paths])
    along = Fragments.singles(len(paths))
    join_by_vectors(along, centroids, np.array([keys[rows].min() for rows in paths]))
    paths = [paths[cluster] for cluster in along.chain()]
    reverse = directions(vectors, paths)
    return np.concatenate([rows[::-1] if back else rows for rows, back in zip(paths, reverse, strict=True)])


def path_inside(vectors: np.ndarray) -> np.ndarray:
    """[m] int64: the greedy edges of all pairs, then the improvement."""
    fragments = Fragments.singles(len(vectors))
    similarities = products(vectors)
    link_greedily(*fragments, np.arange(len(vectors)), similarities, 0)
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, : N_NEIGHBOURS + 1]
    graph = graph_of(nearest, np.take_along_axis(similarities, nearest, axis=1) / MICRO)
    return improved(fragments.chain(), union_graph(graph), vectors)


def directions(vectors: np.ndarray, paths: list[np.ndarray]) -> list[bool]:
    """Which paths to reverse so that the similarities between consecutive ones sum to the most; ties: as they are."""
    first = np.array([rows[0] for rows in paths])
    last = np.array([rows[-1] for rows in paths])
    ends = vectors[np.stack([first, last], axis=1)].astype(np.float64)  # [n_paths, 2, d]
    joints = np.rint(np.einsum("cad,cbd->cab", ends[:-1], ends[1:]) * MICRO).astype(np.int64)
    best = [0, 0]  # total so far if the last path is as it is, or reversed
    choices: list[tuple[int, int]] = []
    for joint in joints.tolist():
        # As it is, a path ends at its end 1 and begins at 0; reversed, the other way round.
        totals = [[best[before] + joint[1 - before][after] for before in (0, 1)] for after in (0, 1)]
        choices.append((int(totals[0][1] > totals[0][0]), int(totals[1][1] > totals[1][0])))
        best = [max(totals[0]), max(totals[1])]
    state = int(best[1] > best[0])
    reverse = [bool(state)]
    for choice in reversed(choices):
        state = choice[state]
        reverse.append(bool(state))
    return reverse[::-1]
