"""Which documents of a shard are checked, and whether ids decode to their text."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

SAMPLE_SHARE = 0.003  # of the bytes of a shard


def sampled(n_bytes: np.ndarray, content_hash: pa.ChunkedArray) -> np.ndarray:
    """The texts with the lowest content hashes, at least one and SAMPLE_SHARE of all bytes: their places, ascending.

    n_bytes: [n] of each text.
    """
    order = pc.sort_indices(content_hash).to_numpy()
    if not len(order):
        return order
    ends = n_bytes[order].cumsum(dtype=np.int64)
    n_texts = int(np.searchsorted(ends, SAMPLE_SHARE * ends[-1])) + 1
    return np.sort(order[:n_texts])


def decodes(tokenizer: Tokenizer, text: str, ids: np.ndarray) -> bool:
    """Whether ids decode to their text, or to one that the tokenizer's normalizer does not tell from it."""
    decoded = tokenizer.decode(ids.tolist(), skip_special_tokens=False)
    if decoded == text:
        return True
    normalizer = tokenizer.normalizer
    return normalizer is not None and normalizer.normalize_str(decoded) == normalizer.normalize_str(text)
