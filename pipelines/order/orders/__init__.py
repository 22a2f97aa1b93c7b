"""Orders turn neighbour lists into a path through all documents."""
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.order.orders.documents import OrderDocuments
from pipelines.order.orders.greedy_edge import greedy_edge
from pipelines.order.orders.paper import paper
from pipelines.order.orders.random_order import random_order
from pipelines.order.orders.released import released


@dataclass(frozen=True)
class Order:
    function: Callable
    needs: tuple[str, ...]

    def __call__(self, graph, documents):
        return self.function(graph, documents)


ORDERS = {"random": Order(random_order, ()), "released": Order(released, ("graph",)), "paper": Order(paper, ("graph",)), "greedy_edge": Order(greedy_edge, ("graph", "vectors"))}
