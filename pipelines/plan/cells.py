"""Documents and tokens by domain, kind and length bucket: all that a mix is solved from, exact or estimated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.lengths import BUCKETS, bucket_of

KINDS = ("short", "long")
SHORT, LONG = 0, 1


@dataclass(frozen=True)
class Cells:
    """What there is to draw from, or what was drawn.

    Attributes:
        domains: ascending; the first axis below. kind (short, long) is the second, length bucket the third.
        documents: [d, 2, 9] int64, documents or copies of them.
        tokens: [d, 2, 9] int64.
        largest: [d] int64, tokens of the largest document.
    """

    domains: tuple[str, ...]
    documents: np.ndarray
    tokens: np.ndarray
    largest: np.ndarray


def cells_of(
    domains: Sequence[str], domain: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray, long_tokens: int
) -> Cells:
    """Count documents, or copies of them.

    Args:
        domains: the names that `domain` numbers; one without a document is a row of zeros.
        domain: [n] place in `domains`.
        n_tokens: [n] of the document, which decides the bucket, also of a copy that was cut.
        drawn: [n] tokens to count.
        long_tokens: a document of at least so many is long.
    """
    shape = (len(domains), len(KINDS), len(BUCKETS))
    place = np.ravel_multi_index((domain, kind_of(n_tokens, long_tokens), bucket_of(n_tokens)), shape)
    documents, tokens, largest = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape[0], np.int64)
    np.add.at(documents.reshape(-1), place, 1)
    np.add.at(tokens.reshape(-1), place, drawn)
    np.maximum.at(largest, domain, drawn)
    return Cells(tuple(domains), documents, tokens, largest)


def kind_of(n_tokens: np.ndarray, long_tokens: int) -> np.ndarray:
    return (n_tokens >= long_tokens).astype(np.int64)
