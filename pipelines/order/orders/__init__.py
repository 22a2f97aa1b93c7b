"""Orders turn neighbour lists into a path through all documents."""
from typing import NamedTuple, Callable
from pipelines.order.orders.paper import paper
class Order(NamedTuple):
    function: Callable
    needs: frozenset
ORDERS = {"random": Order(paper, frozenset()), "paper": Order(paper, frozenset({"vectors"}))}
