"""Neighbour lists by faiss, for a partition too large for all of its products: an inverted file of whole vectors."""

from typing import Any

import numpy as np

from schemas.errors import StageError

PROBE_SHARE = 32  # one of so many lists is searched, at least MIN_PROBES
MIN_PROBES = 32
POINTS_PER_LIST = 40  # faiss warns below 39


def lists_of(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """[n, k] ids, -1 where there are fewer, and [n, k] float32 cosines. Runs on one thread, so results do not vary.

    Raises:
        StageError: faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise StageError(
            f"order: a partition has {len(vectors):,} documents, which faiss searches, and it is not installed; install "
            "faiss-cpu, or raise order.exact_documents"
        ) from error
    faiss.omp_set_num_threads(1)
    n_lists = max(1, min(int(4 * len(vectors) ** 0.5), len(vectors) // POINTS_PER_LIST))
    index: Any = faiss.index_factory(vectors.shape[1], f"IVF{n_lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[:: max(1, len(vectors) // (64 * n_lists))])
    index.add(vectors)
    index.nprobe = min(n_lists, max(MIN_PROBES, n_lists // PROBE_SHARE))
    cosines, ids = index.search(vectors, k)
    return ids, cosines
