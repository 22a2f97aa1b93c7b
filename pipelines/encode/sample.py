"""Which documents of a shard are checked, and whether ids decode to their text."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from pipelines.encode.attempt import attempted

SAMPLE_SHARE = 0.003  # of the bytes of a shard
HEAD_CHARS = 1_000_000  # of a sampled text: the reference takes 2 CPU seconds for them, and two minutes for 62 MB


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


def heads(documents: pa.Table) -> tuple[pa.Table, np.ndarray]:
    """The documents with the first HEAD_CHARS of longer texts, and [n] which are cut."""
    texts = documents["text"]
    cut = pc.utf8_slice_codeunits(texts, 0, HEAD_CHARS)
    place = documents.schema.get_field_index("text")
    is_cut = pc.less(pc.binary_length(cut), pc.binary_length(texts))
    return documents.set_column(place, "text", cut), is_cut.to_numpy(zero_copy_only=False).astype(bool)


def decodes(tokenizer: Tokenizer, text: str, ids: np.ndarray) -> bool:
    """Whether ids decode to their text, or to one that the tokenizer's normalizer does not tell from it."""
    decoded = attempted(lambda: tokenizer.decode(ids.tolist(), skip_special_tokens=False))
    if decoded == text:
        return True
    normalizer = tokenizer.normalizer
    if decoded is None or normalizer is None:
        return False
    return bool(attempted(lambda: normalizer.normalize_str(decoded) == normalizer.normalize_str(text)))
