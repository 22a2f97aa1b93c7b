"""Vectors in cells of bounded size, by recursive bisection.

A cell is cut across the line between two means, which are found on a sample. The cells are in the order of the tree,
so cells that follow each other are similar. Products are summed in a fixed order, without BLAS, so the cells of the same
vectors are the same on every processor.
"""

import numpy as np

from pipelines.shares import MICRO
from schemas.kernels import kernel

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
    first = vectors[sample[np.argmin(keys[sample])]]
    second = vectors[sample[np.argmin(millionths(vectors, first, sample))]]
    for _ in range(N_ITERATIONS):
        nearer = millionths(vectors, first - second, sample) > 0
        if nearer.all() or not nearer.any():
            break
        first, second = direction(vectors[sample[nearer]]), direction(vectors[sample[~nearer]])
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


@kernel
def millionths(vectors: np.ndarray, vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[len(rows)] int64: the product of each of these rows with `vector`."""
    products = np.empty(len(rows), np.int64)
    for r in range(len(rows)):
        products[r] = np.int64(np.rint(np.float64(product(vectors[rows[r]], vector)) * MICRO))
    return products


@kernel
def product(x: np.ndarray, y: np.ndarray) -> np.float32:
    """Of two vectors, as four partial sums in a fixed order on every processor.

    After an edit, delete the compiled code of improve.py, which calls this: numba looks at the file of the caller alone.
    """
    s0, s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    fourths = len(x) - len(x) % 4
    for t in range(0, fourths, 4):
        s0 += x[t] * y[t]
        s1 += x[t + 1] * y[t + 1]
        s2 += x[t + 2] * y[t + 2]
        s3 += x[t + 3] * y[t + 3]
    for t in range(fourths, len(x)):
        s0 += x[t] * y[t]
    return (s0 + s1) + (s2 + s3)
