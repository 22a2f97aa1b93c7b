"""Documents and tokens by domain, kind and length bucket, counted or estimated. A mix is solved from nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.lengths import BUCKETS, bucket_of

KINDS = ("short", "long")
SHORT, LONG = 0, 1


@dataclass(frozen=True)
class Cells:
    """Counts of available documents, or of drawn copies. The axes are domain, kind (short, long) and length bucket.

    Attributes:
        domains: [d] ascending.
        documents: [d, 2, 9] int64 documents or copies.
        tokens: [d, 2, 9] int64.
        largest: [d] int64 tokens of the largest document.
    """

    domains: tuple[str, ...]
    documents: np.ndarray
    tokens: np.ndarray
    largest: np.ndarray


def cells_of(
    domains: Sequence[str], domain: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray, long_tokens: int
) -> Cells:
    """Count documents or copies.

    Args:
        domains: names; one without documents is a row of zeros.
        domain: [n] index in `domains`.
        n_tokens: [n] of the complete document, which decides the bucket even of a cut copy.
        drawn: [n] tokens to count: all of the document's, or those of the copy.
        long_tokens: minimum tokens of a long document.
    """
    shape = (len(domains), len(KINDS), len(BUCKETS))
    cell = np.ravel_multi_index((domain, kind_of(n_tokens, long_tokens), bucket_of(n_tokens)), shape)
    documents, tokens, largest = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape[0], np.int64)
    np.add.at(documents.reshape(-1), cell, 1)
    np.add.at(tokens.reshape(-1), cell, drawn)
    np.maximum.at(largest, domain, drawn)
    return Cells(tuple(domains), documents, tokens, largest)


def kind_of(n_tokens: np.ndarray, long_tokens: int) -> np.ndarray:
    return (n_tokens >= long_tokens).astype(np.int64)
