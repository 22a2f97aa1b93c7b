from dataclasses import fields

from pipelines.order.orders import ORDERS
from pipelines.order.orders.documents import OrderDocuments
from tests.pipelines.order.reference import documents


def test_what_an_order_needs_is_the_graph_or_a_field():
    needed = {need for order in ORDERS.values() for need in order.needs}
    optional = {field.name for field in fields(OrderDocuments) if field.default is None}
    assert needed == {"graph"} | optional


def test_documents_have_only_content_unless_more_is_given():
    given = documents(3)
    assert (given.vectors, given.texts, given.paths) == (None, None, None)
    assert given.content.shape == (3, 2)
