"""Orders put documents on a path. To add one, write a file here and name it in ORDERS."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from pipelines.order.graph import Graph, graph_of, restarts_of
from pipelines.order.orders.bm25_buffer import bm25_buffer
from pipelines.order.orders.cluster_path import cluster_path
from pipelines.order.orders.documents import OrderDocuments
from pipelines.order.orders.greedy_edge import greedy_edge
from pipelines.order.orders.paper import paper, paper_static
from pipelines.order.orders.path import path
from pipelines.order.orders.random_order import random_order
from pipelines.order.orders.released import RANKS, merged, released

Path = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Order:
    """order(graph, documents) -> order [n] int64, a permutation, and restarts [n] bool.

    A place restarts where the path begins or where no edge of the union graph joins its document to the one before; the
    orders that read no graph state their own rule.
    """

    function: Callable[[Graph, OrderDocuments], Path]
    needs: tuple[str, ...]  # graph, vectors, texts or paths: all that it reads besides n, content and seed

    def __call__(self, graph: Graph, documents: OrderDocuments) -> Path:
        return self.function(graph, documents)


ORDERS: dict[str, Order] = {
    "random": Order(random_order, ()),
    "released": Order(released, ("graph",)),
    "paper": Order(paper, ("graph",)),
    "paper_static": Order(paper_static, ("graph",)),
    "greedy_edge": Order(greedy_edge, ("graph", "vectors")),  # without vectors, it uses the listed similarities
    "cluster_path": Order(cluster_path, ("graph", "vectors")),  # the graph for restarts alone
    "bm25_buffer": Order(bm25_buffer, ("texts",)),
    "path": Order(path, ("paths",)),
}
OF_LISTS = ("released", "paper", "paper_static", "greedy_edge")  # orders of neighbour lists alone


def orders_of_lists(
    ids: np.ndarray,
    similarities: np.ndarray,
    modes: Collection[str] = OF_LISTS,
    vectors: np.ndarray | None = None,
) -> dict[str, Path]:
    """The order of each mode for any neighbour lists, and where it restarts.

    `released` reads columns 1 to 9, as the released code does, which expects the document itself in column 0. The others
    read all columns and skip the document itself, repeats and -1.

    Args:
        ids: [n, c] integers, the nearest first; -1 where there is no neighbour.
        similarities: [n, c] floats.
        modes: names in ORDERS of orders that need no texts and no paths.
        vectors: [n, d] rows of length 1, for cluster_path and, if given, for the join and improvement of greedy_edge.

    Raises:
        ValueError: an unknown mode, a mode that needs what is not given, or invalid lists (see graph_of).
    """
    given = {"graph"} if vectors is None else {"graph", "vectors"}
    usable = [name for name, order in ORDERS.items() if name in OF_LISTS or set(order.needs) <= given]
    unusable = [name for name in modes if name not in usable]
    if unusable:
        raise ValueError(f"orders_of_lists: {unusable[0]!r} is not an order of these lists; use one of {usable}")
    graph = graph_of(ids, similarities)
    content = np.zeros((graph.n, 2), np.uint64)
    content[:, 1] = np.arange(graph.n)
    unit = None if vectors is None else np.ascontiguousarray(vectors, np.float32)
    documents = OrderDocuments(graph.n, content, seed=0, vectors=unit)
    paths = {}
    for name in modes:
        if name == "released":
            order = merged(np.asarray(ids)[:, 1 : RANKS + 1]).order
            paths[name] = order, restarts_of(graph, order)
        else:
            paths[name] = ORDERS[name](graph, documents)
    return paths


__all__ = ["ORDERS", "Order", "OrderDocuments", "orders_of_lists"]
