import pytest
from pydantic import ValidationError

from pipelines.order.neighbours import Search
from pipelines.order.orders import ORDERS
from pipelines.order.params import OrderParams
from tests.pipelines.order.mixes import ENCODER


def test_an_order_of_vectors_needs_an_encoder():
    with pytest.raises(ValidationError, match="encoder: greedy_edge orders by the vectors of an encoder; name one"):
        OrderParams(by="greedy_edge")
    assert OrderParams(by="greedy_edge", encoder=ENCODER).needs_vectors
    assert OrderParams(by="released", encoder=ENCODER).needs_vectors


@pytest.mark.parametrize("by", ["random", "path", "bm25_buffer"])
def test_other_orders_need_none(by):
    assert not OrderParams(by=by).needs_vectors
    assert OrderParams(by=by).makes_path == (by != "random")


def test_an_unknown_order_is_refused_with_the_names_of_all():
    with pytest.raises(ValidationError, match=f"unknown order 'gredy'; choose one of {', '.join(ORDERS)}"):
        OrderParams(by="gredy")


@pytest.mark.parametrize("near", [0, -1, 1.01])
def test_a_near_similarity_is_a_cosine(near):
    with pytest.raises(ValidationError, match="near_similarity"):
        OrderParams(near_similarity=near)


def test_settings_count_in_millionths():
    params = OrderParams(by="path", near_similarity=0.9500004, neighbours=7, exact_documents=9, seed=3)
    assert params.settings == ("path", 3, Search(k=7, near=950_000, exact_documents=9))
