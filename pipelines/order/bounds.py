"""How good an order is, and how good an order can be at most.

Every figure is of similarities as floats; those of windows need the vectors in memory.
"""

import numpy as np

from pipelines.order.graph import Graph, restarts_of, union_graph
from pipelines.shares import MICRO
from schemas.kernels import kernel

BLOCK = 1_024  # documents whose vectors are read together
PRODUCTS = 1 << 24  # cosines of a block of nearest_of
N_STEPS = 600  # of the subgradient ascent
MAX_EXACT = 5_000  # documents of the Held-Karp bound, whose matrix takes 4 * n * n bytes


def path_weight(order: np.ndarray, vectors: np.ndarray) -> float:
    """Sum of the cosines of consecutive documents."""
    return float(consecutive(order, vectors).sum())


def mean_consecutive(order: np.ndarray, vectors: np.ndarray) -> float:
    """Mean cosine of consecutive documents; NaN for fewer than two."""
    return path_weight(order, vectors) / (len(order) - 1) if len(order) > 1 else np.nan


def consecutive(order: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """[n - 1] float64: the cosine of each document with the one after it."""
    cosines = np.empty(max(len(order) - 1, 0))
    for start in range(0, len(cosines), BLOCK):
        rows = vectors[order[start : start + BLOCK + 1]].astype(np.float64)
        cosines[start : start + BLOCK] = (rows[:-1] * rows[1:]).sum(axis=1)
    return cosines


def graph_weight(order: np.ndarray, graph: Graph) -> float:
    """Sum of the similarities of consecutive documents in the union graph, 0 where there is no edge."""
    union = union_graph(graph)
    return float(edge_weight(*union, np.asarray(order, np.int64))) / MICRO


@kernel
def edge_weight(offsets: np.ndarray, neighbours: np.ndarray, similarities: np.ndarray, order: np.ndarray) -> int:
    total = 0
    for t in range(1, len(order)):
        for e in range(offsets[order[t]], offsets[order[t] + 1]):
            if neighbours[e] == order[t - 1]:
                total += similarities[e]
    return total


def jump_rate(order: np.ndarray, graph: Graph) -> float:
    """Share of consecutive pairs that are no edge of the union graph; NaN for fewer than two documents."""
    return float(restarts_of(graph, order)[1:].mean()) if len(order) > 1 else np.nan


def window_metrics(order: np.ndarray, vectors: np.ndarray, size: int, nearest: np.ndarray) -> dict[str, float]:
    """Similarity inside windows of `size` consecutive documents. A last, shorter window counts in nn10in_w alone.

    Args:
        order: [n] int64.
        vectors: [n, d] float32, rows of length 1.
        nearest: [n, 10] the nearest documents of each, -1 for none, itself not among them.

    Returns:
        pair_w: mean cosine of the pairs in a window. maxprior_w: mean, over all but the first document of a window, of
        the largest cosine with one before it. nn10in_w: share of a document's nearest that are in its window. NaN if no
        window is full, or no document has a neighbour.
    """
    window = np.empty(len(order), np.int64)
    window[order] = np.arange(len(order)) // size
    pairs, n_pairs, priors = 0.0, 0, []
    for start in range(0, len(order) - size + 1, size):
        rows = vectors[order[start : start + size]]
        before = np.tri(len(rows), k=-1, dtype=bool)
        cosines = np.where(before, rows @ rows.T, -np.inf)
        pairs += float(cosines[before].sum(dtype=np.float64))
        n_pairs += int(before.sum())
        priors.append(cosines[1:].max(axis=1, initial=-np.inf))
    prior = np.concatenate(priors) if priors else np.empty(0)
    inside = (nearest >= 0) & (window[nearest] == window[:, None])
    return {
        "pair_w": pairs / n_pairs if n_pairs else np.nan,
        "maxprior_w": float(prior.mean(dtype=np.float64)) if len(prior) else np.nan,
        "nn10in_w": float(inside.sum() / (nearest >= 0).sum()) if (nearest >= 0).any() else np.nan,
    }


def nearest_of(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """ids [n, k] int64 and cosines [n, k] float32 of the nearest other documents, in blocks over all pairs; -1 for none."""
    n = len(vectors)
    ids, cosines = np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32)
    n_nearest = min(k, n - 1)
    size = max(1, PRODUCTS // max(n, 1))
    for start in range(0, n if n_nearest > 0 else 0, size):
        products = vectors[start : start + size] @ vectors.T
        rows = np.arange(len(products))[:, None]
        products[rows[:, 0], rows[:, 0] + start] = -np.inf
        some = np.argpartition(-products, n_nearest - 1, axis=1)[:, :n_nearest]
        some = some[rows, np.lexsort((some, -products[rows, some]))]
        ids[start : start + size, :n_nearest] = some
        cosines[start : start + size, :n_nearest] = products[rows, some]
    return ids, cosines


def half_sum_bound(nearest_two: np.ndarray) -> float:
    """No path weighs more: a document has at most two links, each at most as similar as its two nearest.

    A second link below 0 counts as 0, because the ends of the path do without.

    nearest_two: [n, 2] cosines of each document with its two nearest, -inf for none.
    """
    if len(nearest_two) < 2:
        return 0.0
    first, second = nearest_two[:, 0].astype(np.float64), nearest_two[:, 1].astype(np.float64)
    return float((first + np.maximum(second, 0)).sum() / 2)


def held_karp_bound(vectors: np.ndarray, n_steps: int = N_STEPS) -> float:
    """No path weighs more; within a few tenths of a per cent of the best path for real documents.

    A path, closed through one more node at similarity 0 to all, is a 1-tree in which every document has two links. The
    heaviest 1-tree is a maximum spanning tree and the two best links of the added node. Penalties on the documents, found by
    subgradient steps, push every degree towards two; the bound holds for any penalties.

    Source: Held and Karp 1970, 1971.

    Raises:
        ValueError: more than 5,000 documents.
    """
    if len(vectors) > MAX_EXACT:
        raise ValueError(f"held_karp_bound: {len(vectors)} documents; at most {MAX_EXACT}, use half_sum_bound")
    if len(vectors) < 2:
        return 0.0
    vectors = np.asarray(vectors, np.float32)
    start = half_sum_bound(nearest_of(vectors, 2)[1])
    return float(least_one_tree((vectors @ vectors.T).astype(np.float32), n_steps, start))


@kernel
def least_one_tree(similarities: np.ndarray, n_steps: int, start: float) -> float:
    """The least weight, over the steps, of the heaviest 1-tree under penalties; `start` if that is less.

    Each step moves by the gap to an estimate of the best path, which narrows when the bound stops falling.
    """
    n = len(similarities)
    penalty, degree = np.zeros(n), np.zeros(n, np.int64)
    least, scale, stalled = start, 1.0, 0
    previous = np.zeros(n)
    for _ in range(n_steps):
        weight = one_tree(similarities, penalty, degree) - 2 * penalty.sum()
        if weight < least - 1e-9 * abs(least):
            least, stalled = weight, 0
        else:
            stalled += 1
            if stalled >= 10:
                scale, stalled = scale * 0.7, 0
        squares = 0
        for i in range(n):
            squares += (degree[i] - 2) ** 2
        if squares == 0:
            break
        step = scale * (weight - 0.98 * least) / squares
        for i in range(n):
            change = 0.7 * (degree[i] - 2) + 0.3 * previous[i]
            previous[i] = degree[i] - 2
            penalty[i] -= step * change
    return least


@kernel
def one_tree(similarities: np.ndarray, penalty: np.ndarray, degree: np.ndarray) -> float:
    """Weight of the heaviest 1-tree, where a link of i and j counts similarity + penalty[i] + penalty[j]. Prim's method.

    degree: [n], filled with the links of each document.
    """
    n = len(similarities)
    degree[:] = 0
    best, parent = np.full(n, -np.inf), np.full(n, -1, np.int64)
    inside = np.zeros(n, np.bool_)
    total, at = 0.0, 0
    inside[0] = True
    for _ in range(n - 1):
        row = similarities[at]
        heaviest = -1
        for j in range(n):
            if not inside[j]:
                weight = row[j] + penalty[at] + penalty[j]
                if weight > best[j]:
                    best[j], parent[j] = weight, at
                if heaviest < 0 or best[j] > best[heaviest]:
                    heaviest = j
        at = heaviest
        inside[at] = True
        total += best[at]
        degree[at] += 1
        degree[parent[at]] += 1
    first, second = -1, -1
    for i in range(n):
        if first < 0 or penalty[i] > penalty[first]:
            first, second = i, first
        elif second < 0 or penalty[i] > penalty[second]:
            second = i
    degree[first] += 1
    degree[second] += 1
    return total + penalty[first] + penalty[second]
