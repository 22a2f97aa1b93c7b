"""Consecutive texts of about the same number of bytes."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BATCH_BYTES = 4 << 20  # of text at a time, so that intermediate arrays fit into the CPU caches


def batches(texts: pa.ChunkedArray | pa.Array, max_bytes: int = BATCH_BYTES) -> Iterator[pa.Array]:
    """Every text once, in order; a text of more than `max_bytes` is a batch of its own. No batch crosses a chunk."""
    for chunk in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        ends = np.cumsum(pc.binary_length(chunk).to_numpy(zero_copy_only=False), dtype=np.int64)
        first = 0
        while first < len(chunk):
            begin = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, begin + max_bytes, side="right")))
            yield chunk.slice(first, last - first)
            first = last
