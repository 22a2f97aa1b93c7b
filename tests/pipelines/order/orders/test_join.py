import itertools

import numpy as np

from pipelines.order import bounds
from pipelines.order.graph import graph_of, union_graph
from pipelines.order.orders import join
from pipelines.order.orders.fragments import Fragments
from pipelines.order.orders.greedy_edge import matched
from pipelines.order.orders.join import join_by_lists, join_by_vectors, products
from pipelines.order.orders.split import split
from tests.pipelines.order import slow
from tests.pipelines.order.reference import arrays, is_permutation, links_of, random_lists, random_unit


def test_the_join_is_the_slow_one():
    for seed in range(60):
        ids, similarities = random_lists(seed)
        ids, similarities = ids[:25], similarities[:25]
        ids[ids >= len(ids)] = -1
        n = len(ids)
        vectors = random_unit(seed, n)
        if seed % 3 == 0:
            vectors = np.sign(vectors[:, :2]).astype(np.float32) / np.float32(np.sqrt(2))  # many ties
        fragments = matched(union_graph(graph_of(ids, similarities)))
        expected = links_of(fragments)
        slow.join(expected, products(vectors))
        join_by_vectors(fragments, vectors, np.arange(n, dtype=np.uint64))
        assert links_of(fragments) == expected, f"{seed=}"


def test_a_join_in_rounds_keeps_the_links_and_is_nearly_as_good(monkeypatch):
    reference = arrays("pypi2000")
    union, vectors = union_graph(graph_of(reference["knn_ids"], reference["knn_sims"], 3)), reference["X"]
    exact, rounds = matched(union), matched(union)
    keys = np.arange(len(vectors), dtype=np.uint64)
    before = links_of(exact)
    join_by_vectors(exact, vectors, keys)
    monkeypatch.setattr(join, "CELL", 64)
    assert len(rounds.ends()) > 64 * 4
    join_by_vectors(rounds, vectors, keys)
    after = links_of(rounds)
    assert all(before[i] <= after[i] for i in before)
    assert is_permutation(rounds.chain(), len(vectors))
    weights = [bounds.path_weight(fragments.chain(), vectors) for fragments in (rounds, exact)]
    assert weights[0] > 0.99 * weights[1]


def test_the_rounds_of_a_join_halve_the_ends(monkeypatch):
    monkeypatch.setattr(join, "CELL", 64)
    n_ends = []
    monkeypatch.setattr(
        join, "split", lambda vectors, keys, size: n_ends.append(len(vectors)) or split(vectors, keys, size)
    )
    join_by_vectors(Fragments.singles(3_000), random_unit(1, 3_000), np.arange(3_000, dtype=np.uint64))
    assert all(later <= 0.6 * earlier for earlier, later in itertools.pairwise(n_ends))
    assert n_ends[0] == 3_000
    assert n_ends[-1] <= 64


def test_without_vectors_fragments_join_at_the_end_nearer_to_the_best_listed_neighbour():
    ids, similarities = np.full((9, 2), -1), np.zeros((9, 2))
    for i, j, value in [(0, 1, 0.9), (1, 2, 0.9), (2, 3, 0.9), (4, 5, 0.8), (7, 8, 0.7)]:
        ids[i, 0], similarities[i, 0] = j, value
    ids[5, 0], similarities[5, 0] = 2, 0.5  # 2 is within 0-1-2-3, and 3 is its nearer end
    ids[8, 0], similarities[8, 0] = 1, 0.4  # 1 is nearer to 0
    union = union_graph(graph_of(ids, similarities))
    fragments = matched(union)
    assert links_of(fragments)[5] == {4}
    join_by_lists(fragments, union)
    assert fragments.chain().tolist() == [4, 5, 3, 2, 1, 0, 8, 7, 6]
