"""Consecutive texts of about the same number of bytes."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def batches(texts: pa.Array, max_bytes: int) -> Iterator[pa.Array]:
    """Every text once, in order; a text of more than `max_bytes` is a batch of its own."""
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False), dtype=np.int64)
    first = 0
    while first < len(texts):
        begin = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, begin + max_bytes, side="right")))
        yield texts.slice(first, last - first)
        first = last
