import numpy as np

from pipelines.order.graph import graph_of, union_graph
from pipelines.order.orders.fragments import Fragments
from pipelines.order.orders.greedy_edge import matched
from tests.pipelines.order import slow
from tests.pipelines.order.reference import is_permutation, links_of, random_lists


def test_the_matching_is_the_slow_one():
    for seed in range(200):
        ids, similarities = random_lists(seed)
        expected = slow.fragments(slow.union_of(slow.lists_of(ids, similarities)))
        fragments = matched(union_graph(graph_of(ids, similarities)))
        assert links_of(fragments) == expected, f"{seed=}"
        assert is_permutation(fragments.chain(), len(ids))


def test_documents_without_links_are_fragments_in_the_order_of_ids():
    fragments = Fragments.singles(4)
    assert (fragments.n_fragments, fragments.ends().tolist(), fragments.chain().tolist()) == (
        4,
        [0, 1, 2, 3],
        [0, 1, 2, 3],
    )


def test_fragments_are_counted():
    for seed in range(50):
        fragments = matched(union_graph(graph_of(*random_lists(seed))))
        links = links_of(fragments)
        parts = {frozenset(slow.connected(links, i)) for i in links}
        assert fragments.n_fragments == len(parts)
        assert fragments.ends().tolist() == [i for i, linked in links.items() if len(linked) < 2]
        breaks = np.array(
            [j not in links[i] for i, j in zip(fragments.chain()[:-1], fragments.chain()[1:], strict=True)]
        )
        assert breaks.sum() == len(parts) - 1
