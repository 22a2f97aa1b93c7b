"""Algorithm 1 of in-context pretraining: a greedy path of the heaviest edges through the union graph.

The path starts at the document of least degree and always continues with the unvisited neighbour of highest similarity;
where there is none, it restarts at the unvisited document of least degree. Ties go to the lowest id. `paper` counts the
neighbours that are still unvisited (the residual degree), `paper_static` all of them: the paper's min_deg(D) over a
shrinking D admits both.

Source: Shi et al. 2024 (arXiv 2310.10638), Algorithm 1, where `arg min sim` must read `arg max`, as in its text.
"""

import heapq

import numpy as np

from pipelines.order.graph import Graph, union_graph
from pipelines.order.orders.documents import OrderDocuments
from schemas.kernels import kernel


def paper(graph: Graph, documents: OrderDocuments) -> tuple[np.ndarray, np.ndarray]:
    del documents
    union = union_graph(graph)
    return walk_residual(union.offsets, union.neighbours)


def paper_static(graph: Graph, documents: OrderDocuments) -> tuple[np.ndarray, np.ndarray]:
    del documents
    union = union_graph(graph)
    starts = np.argsort(np.diff(union.offsets), kind="stable")
    return walk_static(union.offsets, union.neighbours, starts)


@kernel
def walk_static(offsets: np.ndarray, neighbours: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """starts: [n] the documents in the order in which the path may restart at them."""
    n = len(offsets) - 1
    visited = np.zeros(n, np.bool_)
    cursor = offsets[:-1].copy()
    order, restarts = np.empty(n, np.int64), np.zeros(n, np.bool_)
    at, candidate = -1, 0
    for place in range(n):
        at = heaviest(at, offsets, neighbours, cursor, visited)
        if at < 0:
            while visited[starts[candidate]]:
                candidate += 1
            at = starts[candidate]
            restarts[place] = True
        order[place] = at
        visited[at] = True
    return order, restarts


@kernel
def walk_residual(offsets: np.ndarray, neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The heap has each unvisited document of degree at most `limit` under its present degree.

    A degree only falls, so a document enters when it reaches the limit, and again with each further fall. The limit
    grows when no document is below it; so high degrees, which fall most often, are rarely in the heap.
    """
    n = len(offsets) - 1
    visited = np.zeros(n, np.bool_)
    cursor = offsets[:-1].copy()
    degree = np.diff(offsets)
    order, restarts = np.empty(n, np.int64), np.zeros(n, np.bool_)
    heap = [np.int64(0) for _ in range(0)]
    at, limit = -1, -1
    for place in range(n):
        at = heaviest(at, offsets, neighbours, cursor, visited)
        if at < 0:
            restarts[place] = True
            while at < 0:
                if len(heap) == 0:
                    limit = fill(heap, degree, visited)
                key = heapq.heappop(heap)
                document = int(key & 0xFFFFFFFF)
                if not visited[document]:  # then this is its present degree: lower keys come first
                    at = document
        order[place] = at
        visited[at] = True
        for e in range(offsets[at], offsets[at + 1]):
            j = neighbours[e]
            degree[j] -= 1
            if degree[j] <= limit and not visited[j]:
                heapq.heappush(heap, (degree[j] << 32) | np.int64(j))
    return order, restarts


@kernel
def fill(heap: list, degree: np.ndarray, visited: np.ndarray) -> int:
    """Push every unvisited document whose degree is at most twice the least one. Returns this limit."""
    least = len(degree)
    for i in range(len(degree)):
        if not visited[i] and degree[i] < least:
            least = degree[i]
    limit = 2 * least + 1
    for i in range(len(degree)):
        if not visited[i] and degree[i] <= limit:
            heapq.heappush(heap, (degree[i] << 32) | np.int64(i))
    return limit


@kernel
def heaviest(at: int, offsets: np.ndarray, neighbours: np.ndarray, cursor: np.ndarray, visited: np.ndarray) -> int:
    """The first unvisited neighbour in the row of `at`, or -1. Visits are final, so the cursor only moves forward."""
    if at < 0:
        return -1
    while cursor[at] < offsets[at + 1]:
        j = neighbours[cursor[at]]
        if not visited[j]:
            return j
        cursor[at] += 1
    return -1
