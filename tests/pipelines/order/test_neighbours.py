"""The search against looking at every pair."""

from itertools import pairwise

import numpy as np
import pytest

from pipelines.order.neighbours import Search, nearest
from pipelines.order.products import one_thread, products
from tests.pipelines.order.vectors import unit

EXACT = 10_000  # documents


def slow_nearest(vectors, rank, search, partition, document=None):
    """Neighbour lists, the documents that leave, and near sets, where only documents of one partition see each other.

    document: of each chunk, where the vectors are of chunks.
    """
    document = range(len(vectors)) if document is None else document
    with one_thread():
        cosine = products(vectors, vectors)
    n = len(vectors)
    pairs = [
        (i, j) for i in range(n) for j in range(n)
        if i != j and partition[i] == partition[j] and cosine[i, j] >= search.near
    ]  # fmt: skip
    leaves = {i for i, j in pairs if rank[j] < rank[i]}
    near_set = list(range(n))
    changed = True
    while changed:
        changed = False
        for i, j in pairs:
            low = min(near_set[i], near_set[j])
            changed |= near_set[i] != low or near_set[j] != low
            near_set[i] = near_set[j] = low
    lists = []
    for i in range(n):
        others = [
            j for j in range(n)
            if document[i] != document[j] and partition[i] == partition[j] and cosine[i, j] > 0 and not {i, j} & leaves
        ]  # fmt: skip
        lists.append([(j, int(cosine[i, j])) for j in sorted(others, key=lambda j: (-cosine[i, j], j))[: search.k]])
    return lists, leaves, near_set


def lists_of(graph):
    return [
        list(zip(graph.neighbours[a:b].tolist(), graph.similarities[a:b].tolist(), strict=True))
        for a, b in zip(graph.offsets[:-1], graph.offsets[1:], strict=True)
    ]


def case(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    x = unit(n, 8, seed, n_clusters=5, spread=float(rng.choice([0.05, 0.3, 1])))
    if seed % 3 == 0:
        x = np.where(x > 0, 1, -1).astype(np.float32) / np.float32(8**0.5)  # ties: few different cosines
    copies = rng.integers(n, size=n // 4)
    x[rng.integers(n, size=n // 4)] = x[copies]  # near copies
    x[rng.random(n) < 0.05] = 0  # no vector
    partition = rng.integers(int(rng.integers(1, 4)), size=n)
    search = Search(
        k=int(rng.integers(1, 8)), near=int(rng.choice([900_000, 990_000, 1_000_000])), exact_documents=EXACT
    )
    return x, partition, rng.permutation(n), search


SEEDS = range(120)


def test_the_search_finds_what_looking_at_every_pair_finds():
    for seed in SEEDS:
        x, partition, rank, search = case(seed)
        places = np.stack([partition, np.full(len(x), -1)], axis=1)
        with one_thread():
            found = nearest(x, places, rank, search)
        lists, leaves, near_set = slow_nearest(x, rank, search, partition)
        assert lists_of(found.graph) == lists, f"{seed=}"
        assert set(np.flatnonzero(found.leaves).tolist()) == leaves, f"{seed=}"
        assert found.near_set.tolist() == near_set, f"{seed=}"


def test_chunks_of_one_document_are_no_neighbours():
    n_fewer, n_near = 0, 0
    for seed in SEEDS:
        x, partition, rank, search = case(seed)
        document = np.sort(np.random.default_rng(seed).integers(max(1, len(x) // 3), size=len(x)))
        with one_thread():
            found = nearest(x, np.stack([partition, np.full(len(x), -1)], axis=1), rank, search, document)
        lists, leaves, _ = slow_nearest(x, rank, search, partition, document.tolist())
        assert lists_of(found.graph) == lists, f"{seed=}"
        assert set(np.flatnonzero(found.leaves).tolist()) == leaves, f"{seed=}"
        n_fewer += lists != slow_nearest(x, rank, search, partition)[0]
        n_near += len(leaves)
    assert n_fewer > 60
    assert n_near > 60


def test_the_cases_the_oracle_must_reach():
    reached = set()
    for seed in SEEDS:
        x, partition, rank, search = case(seed)
        lists, leaves, near_set = slow_nearest(x, rank, search, partition)
        reached |= {"alone"} if len(x) == 1 else set()
        reached |= {"leaves"} if leaves else set()
        reached |= {"large set"} if max(map(near_set.count, near_set)) > 3 else set()
        reached |= {"zero"} if not x.any(axis=1).all() else set()
        reached |= {"short list"} if any(len(each) < search.k for each in lists) else set()
        reached |= {"full list"} if any(len(each) == search.k for each in lists) else set()
        reached |= {"tie"} if any(a[1] == b[1] for each in lists for a, b in pairwise(each)) else set()
    assert reached == {"alone", "leaves", "large set", "zero", "short list", "full list", "tie"}


def test_many_documents_in_several_strips():
    x = unit(1500, 16, seed=1, n_clusters=40, spread=0.3)
    rank = np.random.default_rng(1).permutation(1500)
    search = Search(k=7, near=950_000, exact_documents=EXACT)
    with one_thread():
        found = nearest(x, np.stack([np.zeros(1500, int), np.full(1500, -1)], axis=1), rank, search)
        cosine = products(x, x).astype(np.int64)
    is_near = cosine >= search.near
    np.fill_diagonal(is_near, val=False)
    leaves = (is_near & (rank[None, :] < rank[:, None])).any(axis=1)
    assert (found.leaves == leaves).all()
    assert 0 < leaves.sum() < 1500
    cosine[leaves] = cosine[:, leaves] = -1
    np.fill_diagonal(cosine, -1)
    for i in np.flatnonzero(~leaves)[::97]:
        best = np.lexsort((np.arange(1500), -cosine[i]))[:7]
        assert lists_of(found.graph)[i] == [(int(j), int(cosine[i, j])) for j in best if cosine[i, j] > 0]


def test_a_ghost_is_seen_by_the_documents_of_its_second_partition_and_sees_them():
    x = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    search = Search(k=3, near=1_000_000, exact_documents=EXACT)
    apart = np.array([[0, -1], [0, -1], [1, -1], [1, -1]])
    with one_thread():
        parted = lists_of(nearest(x, apart, np.arange(4), search).graph)
        border = lists_of(nearest(x, np.array([[0, -1], [0, 1], [1, -1], [1, -1]]), np.arange(4), search).graph)
    assert parted == [[(1, 800_000)], [(0, 800_000)], [(3, 800_000)], [(2, 800_000)]]
    assert border == [
        [(1, 800_000)], [(2, 960_000), (0, 800_000), (3, 600_000)], [(1, 960_000), (3, 800_000)],
        [(2, 800_000), (1, 600_000)],
    ]  # fmt: skip


def test_a_ghost_lists_no_more_than_k_of_both_partitions():
    x = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    search = Search(k=1, near=1_000_000, exact_documents=EXACT)
    with one_thread():
        found = nearest(x, np.array([[0, -1], [0, 1], [1, -1], [1, -1]]), np.arange(4), search)
    assert lists_of(found.graph)[1] == [(2, 960_000)]


def test_a_near_copy_in_another_partition_is_found_as_a_ghost():
    x = np.array([[1, 0], [0.8, 0.6], [0.8, 0.6]], np.float32)
    search = Search(k=3, near=999_000, exact_documents=EXACT)
    with one_thread():
        found = nearest(x, np.array([[0, -1], [0, 1], [1, -1]]), np.array([2, 1, 0]), search)
    assert found.leaves.tolist() == [False, True, False]
    assert found.near_set.tolist() == [0, 1, 1]
    assert lists_of(found.graph) == [[], [], []]


def test_all_identical_documents_leave_one():
    x = np.repeat(unit(1, 8, seed=0), 600, axis=0)
    search = Search(k=5, near=950_000, exact_documents=EXACT)
    with one_thread():
        found = nearest(x, np.stack([np.zeros(600, int), np.full(600, -1)], axis=1), np.arange(600)[::-1], search)
    assert np.flatnonzero(~found.leaves).tolist() == [599]
    assert (found.near_set == 0).all()
    assert len(found.graph.neighbours) == 0


def test_no_documents():
    found = nearest(np.empty((0, 4), np.float32), np.empty((0, 2), int), np.empty(0, int), Search(5, 950_000, EXACT))
    assert found.graph.offsets.tolist() == [0]


def test_faiss_finds_almost_all_of_a_large_partition():
    pytest.importorskip("faiss")
    x = unit(4000, 32, seed=2, n_clusters=60, spread=0.6)
    x[1] = x[0]
    places = np.stack([np.zeros(4000, int), np.full(4000, -1)], axis=1)
    with one_thread():
        exact = nearest(x, places, np.arange(4000), Search(10, 999_000, EXACT))
        again = [nearest(x, places, np.arange(4000), Search(10, 999_000, 1000)) for _ in range(2)]
    assert again[0].graph.neighbours.tolist() == again[1].graph.neighbours.tolist()
    found, every = (
        {(i, j) for i, each in enumerate(lists_of(graph)) for j, _ in each} for graph in (again[0].graph, exact.graph)
    )
    assert len(found & every) / len(every) > 0.9
    assert found != every  # it is another search
    assert again[0].leaves.tolist() == exact.leaves.tolist()


def test_without_faiss_a_large_partition_is_an_error_that_says_what_to_do(monkeypatch):
    import sys

    from schemas.errors import StageError

    monkeypatch.setitem(sys.modules, "faiss", None)
    x = unit(50, 4, seed=0)
    with pytest.raises(StageError, match=r"50 documents.*install faiss-cpu, or raise order.exact_documents"):
        nearest(x, np.stack([np.zeros(50, int), np.full(50, -1)], axis=1), np.arange(50), Search(5, 950_000, 49))
