"""2-opt and Or-opt of a path, over the nearest neighbours of each document.

The path is a cycle through one more node, at similarity 0 to all, so that its ends need no special case. 2-opt replaces
two links by two others and reverses the part between them; Or-opt moves up to three consecutive documents next to a
neighbour. A move is made only if it raises the total similarity in millionths. A document is looked at once, and again
when one of its links or of those of a document that lists it has changed (don't-look bits). A move takes O(sqrt(n)), see
cycle.py, and LOOKS_EACH bounds the work whatever the similarities.

Sources: Croes 1958 (2-opt), Or 1976, Bentley 1992 (neighbour lists, don't-look bits).
"""

import numpy as np

from pipelines.order.graph import Graph
from pipelines.order.orders.cycle import Cycle, following, nodes_in_order, reverse
from pipelines.order.orders.split import product
from pipelines.shares import MICRO
from schemas.kernels import kernel

N_NEIGHBOURS = 10  # of each document, how many are tried
MAX_SEGMENT = 3  # documents that Or-opt moves together
LOOKS_EACH = 60  # times that a document is looked at, on average
MAX_LISTING = 100  # documents that list a changed one, of which many may: only the most similar are looked at again
LEAST_DOCUMENTS = 5


def improved(order: np.ndarray, union: Graph, vectors: np.ndarray | None) -> np.ndarray:
    """[n] int64: the path after 2-opt and Or-opt, from its end with the lower id.

    Args:
        order: [n] int64.
        vectors: [n, d] float32; None, and documents that do not list each other have the similarity 0.
    """
    if len(order) < LEAST_DOCUMENTS:
        return order
    compared = np.empty((0, 0), np.float32) if vectors is None else np.ascontiguousarray(vectors, np.float32)
    cycle = Cycle.of(np.append(order, len(order)))
    improve(cycle, *union, compared)
    nodes = nodes_in_order(cycle).astype(np.int64)
    start = int(np.flatnonzero(nodes == len(order))[0])
    path = np.roll(nodes, -start)[1:]
    return path if path[0] < path[-1] else path[::-1].copy()


@kernel
def improve(
    cycle: Cycle, offsets: np.ndarray, neighbours: np.ndarray, similarities: np.ndarray, vectors: np.ndarray
) -> None:
    """cycle: of n + 1 nodes, n among them; changed in place."""
    n_nodes = len(cycle.nodes)
    n = n_nodes - 1
    graph = (offsets, neighbours, similarities, vectors)
    waits = np.ones(n_nodes, np.bool_)
    changed = np.empty(6, np.int64)  # nodes whose links a move changed
    looks = LOOKS_EACH * n
    while waits.any():
        for a in nodes_in_order(cycle):
            if not waits[a]:
                continue
            if not looks:
                return
            waits[a], looks = False, looks - 1
            if a != n and try_moves(a, cycle, graph, changed):
                for node in changed:
                    wake(node, graph, waits)


@kernel
def wake(node: int, graph: tuple, waits: np.ndarray) -> None:
    """A node whose links changed, and those that list it: a move may have come up for them."""
    offsets, neighbours = graph[0], graph[1]
    waits[node] = True
    if node < len(offsets) - 1:
        for e in range(offsets[node], min(offsets[node + 1], offsets[node] + MAX_LISTING)):
            waits[neighbours[e]] = True


@kernel
def try_moves(a: int, cycle: Cycle, graph: tuple, changed: np.ndarray) -> bool:
    """Make the first move found that links a to a neighbour and gains. Returns whether there is one."""
    offsets, neighbours = graph[0], graph[1]
    stop = min(offsets[a + 1], offsets[a] + N_NEIGHBOURS)
    for forward in (True, False):
        b = following(cycle, a, forward)
        replaced = similarity(graph, a, b)
        for e in range(offsets[a], stop):
            c = int(neighbours[e])
            gain = similarity(graph, a, c) - replaced  # not as listed: that may come from another product
            if gain <= 0:
                break
            if two_opt(a, b, c, gain, forward, cycle, graph, changed):
                return True
            if or_opt(a, b, c, gain, forward, cycle, graph, changed):
                return True
    return False


@kernel
def two_opt(  # noqa: PLR0913, PLR0917
    a: int,
    b: int,
    c: int,
    gain: int,
    forward: bool,
    cycle: Cycle,
    graph: tuple,
    changed: np.ndarray,
) -> bool:
    """a-b and c-d become a-c and b-d."""
    d = following(cycle, c, forward)
    if gain + similarity(graph, b, d) - similarity(graph, c, d) <= 0:
        return False
    changed[0], changed[1], changed[2], changed[3], changed[4], changed[5] = a, b, c, d, a, b
    reverse(cycle, b, c, forward)
    return True


@kernel
def or_opt(  # noqa: PLR0913, PLR0917
    a: int,
    p: int,
    c: int,
    gain: int,
    forward: bool,
    cycle: Cycle,
    graph: tuple,
    changed: np.ndarray,
) -> bool:
    """The segment a .. z, which follows p, moves between c and a node next to c, with a linked to c.

    forward: whether p follows a in the cycle, so that the segment extends backward.
    """
    n = len(cycle.nodes) - 1
    z = a
    for _ in range(MAX_SEGMENT):
        q = following(cycle, z, not forward)
        reaches_c = z == c or q == p
        if reaches_c or z == n:
            return False
        closing = gain + similarity(graph, p, q) - similarity(graph, z, q)
        for side in (True, False):
            d = following(cycle, c, side)
            if d in (a, z):  # c is p or q: the segment is there already
                continue
            if closing + similarity(graph, z, d) - similarity(graph, c, d) > 0:
                first, last = (z, a) if forward else (a, z)
                move(cycle, first, last, c, d, side, a)
                changed[0], changed[1], changed[2], changed[3], changed[4], changed[5] = a, p, z, q, c, d
                return True
        z = q
    return False


@kernel
def move(cycle: Cycle, first: int, last: int, c: int, d: int, side: bool, a: int) -> None:  # noqa: PLR0913, PLR0917
    """Move the segment first .. last (forward) between c and d, so that a, one of its ends, is next to c.

    side: whether d follows c. Before: p [first .. last] q .. u v, where u and v are c and d in their order.
    """
    u = c if side else d
    p, q = following(cycle, first, False), following(cycle, last, True)
    reverse(cycle, first, u, True)  # p u .. q last .. first v
    onward = following(cycle, p, True) == u
    reverse(cycle, u, q, onward)  # p q .. u last .. first v
    if (a == first) == (u == c):  # a must be next to c
        onward = following(cycle, u, True) == last
        reverse(cycle, last, first, onward)


@kernel
def similarity(graph: tuple, i: int, j: int) -> int:
    """In millionths: of vectors if there are any, else as listed, else 0."""
    offsets, neighbours, similarities, vectors = graph
    n = len(offsets) - 1
    if max(i, j) == n:
        return 0
    if len(vectors):
        return int(np.rint(np.float64(product(vectors[i], vectors[j])) * MICRO))
    if offsets[i + 1] - offsets[i] > offsets[j + 1] - offsets[j]:
        i, j = j, i
    for e in range(offsets[i], offsets[i + 1]):
        if neighbours[e] == j:
            return similarities[e]
    return 0
