"""Inner products that depend on the two vectors alone: blocks of one fixed shape, on one thread, counted in millionths.

A library of linear algebra chooses its kernels by shape, and their sums differ in the last bits. In blocks of a fixed shape
every product is summed in the same order, whatever other vectors there are. Another kind of processor or another build of
the library may round differently, so both are part of an action's name, see `library`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from pipelines.shares import MICRO

ROWS, COLUMNS = 256, 1024  # of a block; both are multiples of the tiles of all kernels


@contextmanager
def one_thread() -> Iterator[None]:
    """Products run on the calling thread: workers are spread by the engine, and sums do not depend on their number."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def library() -> list[tuple[str, str, str]]:
    """The builds of linear algebra in this process and the kind of processor that they chose their kernels for."""
    builds = [info for info in threadpool_info() if info["user_api"] == "blas"]
    own = [
        info for info in builds if Path(info["filepath"]).parent.name.startswith("numpy")
    ]  # not that of torch or faiss
    return sorted((i["internal_api"], str(i["version"]), str(i.get("architecture", ""))) for i in own or builds)


def padded(vectors: np.ndarray) -> np.ndarray:
    """The vectors and zeros after them, up to whole blocks. vectors: [n, d] float32."""
    n = -(-len(vectors) // COLUMNS) * COLUMNS
    out = np.zeros((n, vectors.shape[1]), np.float32)
    out[: len(vectors)] = vectors
    return out


def strips(vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each block of rows with its products with all vectors up to its last row: (first row, [rows, columns] float32).

    The array is overwritten by the next block. Its columns after the last row of the block hold products too.

    Args:
        vectors: padded.
    """
    strip = np.empty((ROWS, len(vectors)), np.float32)
    for first in range(0, len(vectors), ROWS):
        rows = vectors[first : first + ROWS]
        stop = -(-(first + ROWS) // COLUMNS) * COLUMNS
        for column in range(0, stop, COLUMNS):
            np.matmul(rows, vectors[column : column + COLUMNS].T, out=strip[:, column : column + COLUMNS])
        yield first, strip[:, :stop]


def products(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[n, m] int32 millionths: each row with each column, in blocks of the same shape as in `strips`."""
    left, right = padded(rows), padded(columns)
    out = np.empty((len(rows), len(columns)), np.int32)
    for i in range(0, len(rows), ROWS):
        for j in range(0, len(columns), COLUMNS):
            block = left[i : i + ROWS] @ right[j : j + COLUMNS].T
            part = out[i : i + ROWS, j : j + COLUMNS]
            part[:] = millionths(block[: part.shape[0], : part.shape[1]])
    return out


def millionths(cosines: np.ndarray) -> np.ndarray:
    """int32 of the same shape."""
    return np.rint(cosines.astype(np.float64) * MICRO).astype(np.int32)


def of_pairs(vectors: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n] int32 millionths of vectors[a[i]] with vectors[b[i]], summed in float64."""
    out = np.empty(len(a), np.int32)
    for i in range(0, len(a), COLUMNS):
        left, right = vectors[a[i : i + COLUMNS]].astype(np.float64), vectors[b[i : i + COLUMNS]].astype(np.float64)
        out[i : i + COLUMNS] = millionths((left * right).sum(axis=1))
    return out
