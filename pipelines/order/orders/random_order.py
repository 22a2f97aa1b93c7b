"""Documents in keyed order: what every other order is compared with."""

import numpy as np

from pipelines.keys import ascending, keyed, salt
from pipelines.order.graph import Graph, restarts_of
from pipelines.order.orders.documents import OrderDocuments


def random_order(graph: Graph, documents: OrderDocuments) -> tuple[np.ndarray, np.ndarray]:
    keys = keyed(documents.content, salt("order", documents.seed))
    order = ascending(keys, documents.content).astype(np.int64)
    return order, restarts_of(graph, order)
