"""2-opt and Or-opt of a path, over the nearest neighbours of each document.

The path is a cycle through one more node, at similarity 0 to all, so that its ends need no special case. 2-opt replaces
two links by two others and reverses the part between them; Or-opt moves up to three consecutive documents next to a
neighbour. A move is made only if it raises the total similarity in millionths. Documents are queued, and queued again
when one of their links changes (don't-look bits), and all once more after the last move. Every limit below bounds the work, whatever the similarities.

Sources: Croes 1958 (2-opt), Or 1976, Bentley 1992 (neighbour lists, don't-look bits).
"""

import numpy as np

from pipelines.order.graph import Graph
from pipelines.order.orders.split import product
from pipelines.shares import MICRO
from schemas.kernels import kernel

N_NEIGHBOURS = 10  # of each document, how many are tried
MAX_SEGMENT = 3  # documents that Or-opt moves together
MAX_REVERSED = 30_000  # a move that must reverse more places is not made
REVERSED_EACH = 3_000  # places reversed in all, per document
LOOKS_EACH = 60  # times that a document is taken from the queue, on average
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
    cycle = improve(np.append(order, len(order)), *union, compared)
    start = int(np.flatnonzero(cycle == len(order))[0])
    path = np.roll(cycle, -start)[1:]
    return path if path[0] < path[-1] else path[::-1].copy()


@kernel
def improve(
    cycle: np.ndarray, offsets: np.ndarray, neighbours: np.ndarray, similarities: np.ndarray, vectors: np.ndarray
) -> np.ndarray:
    """cycle: [n + 1], n among them; changed in place."""
    n_nodes = len(cycle)
    n = n_nodes - 1
    graph = (offsets, neighbours, similarities, vectors)
    place = np.empty(n_nodes, np.int64)
    place[cycle] = np.arange(n_nodes)
    queue, queued = cycle.copy(), np.ones(n_nodes, np.bool_)
    head, n_queued, n_moves = 0, n_nodes, 0
    changed = np.empty(6, np.int64)  # nodes whose links a move changed
    looks, reversed_places = LOOKS_EACH * n, REVERSED_EACH * n
    while n_queued and looks > 0 and reversed_places > 0:
        a = queue[head]
        head, n_queued, looks = (head + 1) % n_nodes, n_queued - 1, looks - 1
        queued[a] = False
        if a != n:
            cost = try_moves(a, cycle, place, graph, changed)
            if cost:
                n_moves, reversed_places = n_moves + 1, reversed_places - cost
                for node in changed:
                    if not queued[node]:
                        queue[(head + n_queued) % n_nodes] = node
                        queued[node] = True
                        n_queued += 1
        if not n_queued and n_moves:  # once more for all: a link changed far from those that could use it
            queue[:], queued[:] = cycle, True
            head, n_queued, n_moves = 0, n_nodes, 0
    return cycle


@kernel
def try_moves(a: int, cycle: np.ndarray, place: np.ndarray, graph: tuple, changed: np.ndarray) -> int:
    """Make the first move found that links a to a neighbour and gains. Returns the places it reversed, or 0."""
    offsets, neighbours = graph[0], graph[1]
    stop = min(offsets[a + 1], offsets[a] + N_NEIGHBOURS)
    for forward in (True, False):
        b = following(cycle, place, a, forward)
        replaced = similarity(graph, a, b)
        for e in range(offsets[a], stop):
            c = int(neighbours[e])
            gain = similarity(graph, a, c) - replaced  # not as listed: that may come from another product
            if gain <= 0:
                break
            cost = two_opt(a, b, c, gain, forward, cycle, place, graph, changed)
            if not cost:
                cost = or_opt(a, b, c, gain, forward, cycle, place, graph, changed)
            if cost:
                return cost
    return 0


@kernel
def two_opt(  # noqa: PLR0913, PLR0917
    a: int,
    b: int,
    c: int,
    gain: int,
    forward: bool,
    cycle: np.ndarray,
    place: np.ndarray,
    graph: tuple,
    changed: np.ndarray,
) -> int:
    """a-b and c-d become a-c and b-d."""
    d = following(cycle, place, c, forward)
    if gain + similarity(graph, b, d) - similarity(graph, c, d) <= 0 or is_long(place, b, c):
        return 0
    changed[0], changed[1], changed[2], changed[3], changed[4], changed[5] = a, b, c, d, a, b
    return reverse(cycle, place, b, c, forward)


@kernel
def or_opt(  # noqa: PLR0913, PLR0917
    a: int,
    p: int,
    c: int,
    gain: int,
    forward: bool,
    cycle: np.ndarray,
    place: np.ndarray,
    graph: tuple,
    changed: np.ndarray,
) -> int:
    """The segment a .. z, which follows p, moves between c and a node next to c, with a linked to c.

    forward: whether p follows a in the cycle, so that the segment extends backward.
    """
    n = len(cycle) - 1
    z = a
    for _ in range(MAX_SEGMENT):
        q = following(cycle, place, z, not forward)
        reaches_c = z == c or q == p
        if reaches_c or z == n:
            return 0
        closing = gain + similarity(graph, p, q) - similarity(graph, z, q)
        for side in (True, False):
            d = following(cycle, place, c, side)
            if d in (a, z):  # c is p or q: the segment is there already
                continue
            if closing + similarity(graph, z, d) - similarity(graph, c, d) > 0:
                first, last = (z, a) if forward else (a, z)
                cost = move(cycle, place, first, last, c, d, side, a)
                if cost:
                    changed[0], changed[1], changed[2], changed[3], changed[4], changed[5] = a, p, z, q, c, d
                    return cost
        z = q
    return 0


@kernel
def move(  # noqa: PLR0913, PLR0917
    cycle: np.ndarray, place: np.ndarray, first: int, last: int, c: int, d: int, side: bool, a: int
) -> int:
    """Move the segment first .. last (forward) between c and d, so that a, one of its ends, is next to c.

    side: whether d follows c. Before: p [first .. last] q .. u v, where u and v are c and d in their order.
    """
    u = c if side else d
    p, q = following(cycle, place, first, False), following(cycle, place, last, True)
    if is_long(place, q, u):
        return 0
    cost = reverse(cycle, place, first, u, True)  # p u .. q last .. first v
    onward = following(cycle, place, p, True) == u
    cost += reverse(cycle, place, u, q, onward)  # p q .. u last .. first v
    if (a == first) == (u == c):  # a must be next to c
        onward = following(cycle, place, u, True) == last
        cost += reverse(cycle, place, last, first, onward)
    return cost


@kernel
def reverse(cycle: np.ndarray, place: np.ndarray, x: int, y: int, forward: bool) -> int:
    """Reverse the part from x to y, or the rest, which gives the same cycle. Returns how many places it looked at, > 0."""
    n_nodes = len(cycle)
    i, j = (place[x], place[y]) if forward else (place[y], place[x])
    length = (j - i) % n_nodes + 1
    if 2 * length > n_nodes:
        i, j = (j + 1) % n_nodes, (i - 1) % n_nodes
        length = n_nodes - length
    for _ in range(length // 2):
        cycle[i], cycle[j] = cycle[j], cycle[i]
        place[cycle[i]], place[cycle[j]] = i, j
        i = i + 1 if i + 1 < n_nodes else 0
        j = j - 1 if j > 0 else n_nodes - 1
    return length + 1


@kernel
def is_long(place: np.ndarray, x: int, y: int) -> bool:
    """Whether a reversal from x to y, in either direction, changes too many places."""
    n_between = (place[y] - place[x]) % len(place) + 1
    return min(n_between, len(place) - n_between) > MAX_REVERSED


@kernel
def following(cycle: np.ndarray, place: np.ndarray, node: int, forward: bool) -> int:
    at = place[node] + (1 if forward else -1)
    if at == len(cycle):
        at = 0
    return cycle[at]  # -1 is the last place


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
