"""Length buckets: how documents are grouped by their number of tokens. K = 1,024."""

import numpy as np

BUCKETS = ("0-1K", "1-2K", "2-4K", "4-8K", "8-16K", "16-32K", "32-64K", "64-128K", "128K+")


EDGES = 1024 << np.arange(len(BUCKETS) - 1)  # the lower end belongs to the bucket


def bucket_of(n_tokens: np.ndarray) -> np.ndarray:
    """[n] place in BUCKETS."""
    return np.searchsorted(EDGES, n_tokens, side="right")
