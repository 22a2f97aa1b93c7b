"""Vectors in cells of bounded size, by recursive bisection.

A cell is cut across the line between two means, which are found on a sample. The cells are in the order of the tree,
so cells that follow each other are similar. Products are in blocks of fixed shape: the result for a vector does not
depend on how many others there are.
"""

import numpy as np

from pipelines.order.graph import MILLION

BLOCK = 4_096  # rows of a product
SAMPLE = 4_096  # rows from which the two means are found
N_ITERATIONS = 6
LEAST_SHARE = 0.1  # of a cell in each part, so that the depth is logarithmic


def split(vectors: np.ndarray, keys: np.ndarray, size: int) -> list[np.ndarray]:
    """Cells of at most `size` rows: each [m] int64 ascending, together every row once.

    Args:
        vectors: [n, d] float32, rows of length 1.
        keys: [n] uint64 that depend on content alone; they select the sample and the first mean.
    """
    cells, pending = [], [np.arange(len(vectors))]
    while pending:
        rows = pending.pop()
        if len(rows) <= size:
            cells.append(rows)
        else:
            pending += halves(vectors, keys, rows)[::-1]
    return cells


def halves(vectors: np.ndarray, keys: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """The rows nearer to the first of two means, and the others; each at least LEAST_SHARE."""
    sample = rows
    if len(rows) > SAMPLE:
        sample = rows[np.sort(np.argsort(keys[rows], kind="stable")[:SAMPLE])]
    drawn = vectors[sample]
    first = drawn[np.argmin(keys[sample])]
    second = drawn[np.argmin(millionths(drawn, first))]
    for _ in range(N_ITERATIONS):
        nearer = millionths(drawn, first - second) > 0
        if nearer.all() or not nearer.any():
            break
        first, second = direction(drawn[nearer]), direction(drawn[~nearer])
    margins = millionths(vectors, first - second, rows)
    by_margin = np.argsort(-margins, kind="stable")
    least = int(len(rows) * LEAST_SHARE)
    cut = int(np.clip(np.count_nonzero(margins > 0), max(least, 1), len(rows) - max(least, 1)))
    return [np.sort(rows[by_margin[:cut]]), np.sort(rows[by_margin[cut:]])]


def direction(vectors: np.ndarray) -> np.ndarray:
    """[d] float32: the mean, at length 1 unless it is 0."""
    total = vectors.sum(axis=0, dtype=np.float64)
    length = np.sqrt((total * total).sum())
    return (total / length if length > 0 else total).astype(np.float32)


def millionths(vectors: np.ndarray, vector: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """[n] int64: the product of each row with `vector`."""
    n = len(vectors) if rows is None else len(rows)
    products = np.empty(n, np.int64)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        block = vectors[start:stop] if rows is None else vectors[rows[start:stop]]
        products[start:stop] = np.rint((block @ vector).astype(np.float64) * MILLION)
    return products
