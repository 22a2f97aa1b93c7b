"""The nearest documents of each document of a group, and its near copies.

A partition is searched exactly: every product of two of its documents, one for each pair. A document whose second nearest
centre is almost as near as its own is a ghost in that partition too, so that borders do not part neighbours. A partition of
more than `exact_documents` is searched by faiss.

Of two documents with a cosine of at least `near`, the later leaves the graph; documents joined by such pairs are a near set.
Memory: the vectors of a partition and its ghosts, and their products with ROWS of them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipelines.order.graph import Graph
from pipelines.order.products import ROWS, millionths, padded, strips
from pipelines.shares import MICRO
from schemas.kernels import kernel

GHOST_SHARE = 0.9  # of the cosine with its own centre that a ghost has with the other centre


@dataclass(frozen=True)
class Neighbours:
    """What a search found of the documents of a group.

    Attributes:
        graph: lists of at most k; empty for a document that leaves.
        leaves: [n] bool, an earlier document is a near copy.
        near_set: [n] int32 lowest document of the near set, itself if it is alone.
    """

    graph: Graph
    leaves: np.ndarray
    near_set: np.ndarray


@dataclass(frozen=True)
class Lists:
    """What a search found in one partition.

    Attributes:
        ids: [n, k] int32 the nearest documents, the nearest first, ties by id; -1 where there are fewer.
        similarities: [n, k] int32 millionths; NOTHING where there is none.
        leaves: [n] bool, as in Neighbours.
        near_set: [n] int32 row of the lowest document of the near set.
    """

    ids: np.ndarray
    similarities: np.ndarray
    leaves: np.ndarray
    near_set: np.ndarray


NOTHING = np.iinfo(np.int32).min


class Search(NamedTuple):
    """The numbers that a search depends on.

    Attributes:
        k: neighbours of each document.
        near: millionths, the least cosine of near copies.
        exact_documents: a larger partition is searched by faiss.
    """

    k: int
    near: int
    exact_documents: int


def nearest(
    vectors: np.ndarray, places: np.ndarray, rank: np.ndarray, search: Search, document: np.ndarray | None = None
) -> Neighbours:
    """Neighbours of all documents of a group, or of all chunks of them.

    Args:
        vectors: [n, d] float32 of length 1, in the order of ids.
        places: [n, 2] int32 the partition of each document, and the one that it is a ghost in, or -1.
        rank: [n] int64 in dedup's order: of near copies the one of the lowest rank stays in the graph.
        document: [n] int64 the document of each chunk: chunks of one are no neighbours, though they may be near copies.
            None: the vectors are of documents. faiss does not read it.
    """
    n = len(vectors)
    document = np.arange(n) if document is None else document
    lists = [(np.empty(0, np.int64), np.empty((0, search.k), np.int32), np.empty((0, search.k), np.int32))]
    leaves, parent = np.zeros(n, bool), np.arange(n, dtype=np.int32)
    for partition in np.unique(places[:, 0]).tolist():
        members = np.flatnonzero((places == partition).any(axis=1))
        members = members[np.argsort(rank[members], kind="stable")]
        ids = members.astype(np.int32)
        if len(members) <= search.exact_documents:
            one = exact(vectors[members], ids, document[members], search)
        else:
            one = by_faiss(vectors[members], ids, search)
        leaves[members] |= one.leaves
        join(parent, members[one.near_set].astype(np.int32), members.astype(np.int32))
        lists.append((members, one.ids, one.similarities))
    return Neighbours(merged(n, lists, leaves, search.k), leaves, roots(parent))


def exact(vectors: np.ndarray, members: np.ndarray, document: np.ndarray, search: Search) -> Lists:
    """Every pair of one partition; the lists hold members.

    Args:
        vectors: in dedup's order.
        members: the id of each.
        document: see `nearest`.
    """
    n = len(vectors)
    ids = np.full((n, search.k), -1, np.int32)
    similarities = np.full((n, search.k), NOTHING, np.int32)
    least = np.full(n, -np.inf, np.float32)
    leaves, parent = np.zeros(n, bool), np.arange(n, dtype=np.int32)
    for first, strip in strips(padded(vectors)):
        n_rows = min(ROWS, n - first)
        if n_rows <= 0:
            break
        mark_near(strip, first, n_rows, search.near, leaves, parent)
        insert(strip, first, n_rows, leaves, members, document, ids, similarities, least)
    return Lists(ids, similarities, leaves, roots(parent))


def by_faiss(vectors: np.ndarray, members: np.ndarray, search: Search) -> Lists:
    """An approximate search by an inverted file; near copies are those in the lists. Arguments: see `exact`.

    Raises:
        StageError: faiss is not installed.
    """
    from pipelines.order.approximate import lists_of  # rarely needed

    found, cosines = lists_of(vectors, search.k + 1)
    n = len(vectors)
    row = np.repeat(np.arange(n), found.shape[1]).reshape(found.shape)
    is_pair = (found >= 0) & (found != row)
    micro = millionths(cosines)
    near = is_pair & (micro >= search.near)
    leaves, parent = np.zeros(n, bool), np.arange(n, dtype=np.int32)
    np.logical_or.at(leaves, np.maximum(row, found)[near], True)
    join(parent, row[near].astype(np.int32), found[near].astype(np.int32))
    ids = np.where(is_pair, members[found], -1).astype(np.int32)
    micro = np.where(is_pair, micro, NOTHING).astype(np.int32)
    return Lists(ids, micro, leaves, roots(parent))


def merged(n: int, lists: list[tuple[np.ndarray, np.ndarray, np.ndarray]], leaves: np.ndarray, k: int) -> Graph:
    """The lists of all partitions together, without documents that leave, at most k of each document.

    lists: (documents, ids, millionths) of each partition.
    """
    row = np.concatenate([np.repeat(members, ids.shape[1]) for members, ids, _ in lists])
    other = np.concatenate([ids.reshape(-1) for _, ids, _ in lists])
    micro = np.concatenate([similarities.reshape(-1) for _, _, similarities in lists])
    stays = other >= 0
    stays[stays] = ~leaves[other[stays]] & ~leaves[row[stays]]
    row, other, micro = row[stays], other[stays], micro[stays]
    order = np.lexsort((other, -micro.astype(np.int64), row))
    row, other, micro = row[order], other[order], micro[order]
    twice = np.zeros(len(row), bool)  # a pair of ghosts is found in several partitions, with the same similarity
    twice[1:] = (row[1:] == row[:-1]) & (other[1:] == other[:-1])
    row, other, micro = row[~twice], other[~twice], micro[~twice]
    first = np.arange(len(row)) - np.searchsorted(row, row) < k
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row[first], minlength=n))])
    return Graph(offsets, other[first], micro[first])


@kernel
def mark_near(strip: np.ndarray, first: int, n_rows: int, near: int, leaves: np.ndarray, parent: np.ndarray) -> None:
    """Mark each row with an earlier near copy, and join the two."""
    candidate = np.float32((near - 2) / MICRO)  # a little less, to look at few pairs
    for r in range(n_rows):
        i = first + r
        for j in range(i):
            if strip[r, j] >= candidate and micro_of(strip[r, j]) >= near:
                leaves[i] = True
                unite(parent, i, j)


@kernel
def insert(  # noqa: PLR0913, PLR0917 kernel
    strip: np.ndarray, first: int, n_rows: int, leaves: np.ndarray, members: np.ndarray, document: np.ndarray,
    ids: np.ndarray, similarities: np.ndarray, least: np.ndarray,
) -> None:  # fmt: skip
    """Add each pair of a strip with a positive cosine to the lists of both. A document that leaves is in no list.

    least: [n] float32, a cosine below which a document's list takes no more.
    """
    last = ids.shape[1] - 1
    for r in range(n_rows):
        i = first + r
        if leaves[i]:
            continue
        for j in range(i):
            cosine = strip[r, j]
            if cosine <= 0 or (cosine < least[i] and cosine < least[j]) or leaves[j] or document[i] == document[j]:
                continue
            micro = micro_of(cosine)
            if micro == 0:
                continue
            put(ids[i], similarities[i], members[j], micro)
            put(ids[j], similarities[j], members[i], micro)
            for x in (i, j):
                if ids[x, last] >= 0:
                    least[x] = np.float32((similarities[x, last] - 2) / MICRO)


@kernel
def micro_of(cosine: float) -> int:
    return int(np.rint(np.float64(cosine) * MICRO))


@kernel
def put(ids: np.ndarray, similarities: np.ndarray, other: int, micro: int) -> None:
    """Insert into a list that is descending by similarity, then ascending by id."""
    at = len(ids) - 1
    if micro < similarities[at] or (micro == similarities[at] and 0 <= ids[at] < other):
        return
    while at > 0 and (micro > similarities[at - 1] or (micro == similarities[at - 1] and other < ids[at - 1])):
        ids[at], similarities[at] = ids[at - 1], similarities[at - 1]
        at -= 1
    ids[at], similarities[at] = other, micro


@kernel
def unite(parent: np.ndarray, a: int, b: int) -> None:
    """Join two sets; the lower of their roots is the root of both."""
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    while parent[b] != b:
        parent[b] = parent[parent[b]]
        b = parent[b]
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@kernel
def join(parent: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    for i in range(len(a)):
        unite(parent, a[i], b[i])


@kernel
def roots(parent: np.ndarray) -> np.ndarray:
    """[n] int32 the root of each."""
    out = parent.copy()
    for i in range(len(out)):
        r = i
        while out[r] != r:
            r = out[r]
        out[i] = r
    return out
