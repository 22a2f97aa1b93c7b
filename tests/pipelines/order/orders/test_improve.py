import itertools

import numpy as np

from pipelines.order import bounds
from pipelines.order.graph import graph_of, union_graph
from pipelines.order.orders import improve
from pipelines.order.orders.join import products
from tests.pipelines.order.reference import is_permutation, random_lists, random_unit


def complete(vectors: np.ndarray):
    similarity = products(vectors)
    ids = np.argsort(-similarity, axis=1, kind="stable")
    return union_graph(graph_of(ids, np.take_along_axis(similarity, ids, axis=1) / 1e6)), similarity.astype(np.int64)


def weight(path, similarity) -> int:
    return int(sum(similarity[i, j] for i, j in itertools.pairwise(path)))


def reversals(path: list[int]):
    """Every 2-opt move."""
    n = len(path)
    for i, j in itertools.combinations(range(n + 1), 2):
        yield path[:i] + path[i:j][::-1] + path[j:]


def or_moves(path: list[int], similarity: np.ndarray):
    """Every Or-opt move that links an end of the segment better than before."""
    n = len(path)
    for start, size in itertools.product(range(n), (1, 2, 3)):
        segment, rest = path[start : start + size], path[:start] + path[start + size :]
        if len(segment) < size or not rest:
            continue
        before = [path[start - 1] if start else None, path[start + size] if start + size < n else None]
        old = [0 if b is None else similarity[b, end] for b, end in zip(before, (segment[0], segment[-1]), strict=True)]
        for at in range(len(rest) + 1):
            for flipped in (False, True):
                first, last = (segment[-1], segment[0]) if flipped else (segment[0], segment[-1])
                was = old[::-1] if flipped else old
                gains = [
                    similarity[rest[at - 1], first] - was[0] if at else 0,
                    similarity[rest[at], last] - was[1] if at < len(rest) else 0,
                ]
                if max(gains) > 0:
                    yield rest[:at] + (segment[::-1] if flipped else segment) + rest[at:]


def test_no_move_improves_an_improved_path():
    for seed in range(80):
        n = 5 + seed % 7
        vectors = random_unit(seed, n, 3)
        union, similarity = complete(vectors)
        start = np.random.default_rng(seed).permutation(n)
        path = improve.improved(start, union, vectors).tolist()
        assert is_permutation(np.array(path), n)
        assert path[0] < path[-1]
        total = weight(path, similarity)
        assert total >= weight(start, similarity)
        # The products of the improvement and of the test differ by a millionth at most, in each link.
        for other in itertools.chain(reversals(path), or_moves(path, similarity)):
            assert weight(other, similarity) <= total + 2 * n, f"{seed=} {path} {other}"


def test_without_vectors_the_listed_weight_never_falls():
    for seed in range(100):
        graph = graph_of(*random_lists(seed))
        order = np.random.default_rng(seed).permutation(graph.n)
        better = improve.improved(order, union_graph(graph), None)
        assert is_permutation(better, graph.n)
        assert bounds.graph_weight(better, graph) >= bounds.graph_weight(order, graph) - 1e-9, f"{seed=}"


def test_an_improvement_leaves_its_argument():
    vectors = random_unit(3, 200)
    union, similarity = complete(vectors)
    start = np.random.default_rng(3).permutation(200)
    kept = start.copy()
    order = improve.improved(start, union, vectors)
    assert weight(order, similarity) > weight(start, similarity)
    assert np.array_equal(start, kept)
