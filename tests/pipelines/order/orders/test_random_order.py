import numpy as np

from pipelines.keys import keyed, salt
from pipelines.order.graph import no_edges
from pipelines.order.orders.random_order import random_order
from tests.pipelines.order.reference import documents


def test_the_random_order_is_by_key_of_content_and_seed():
    orders = [random_order(no_edges(50), documents(50, seed=seed))[0] for seed in (1, 2)]
    assert orders[0].tolist() != orders[1].tolist()
    keys = keyed(documents(50).content, salt("order", 1))
    np.testing.assert_array_equal(orders[0], np.argsort(keys))
