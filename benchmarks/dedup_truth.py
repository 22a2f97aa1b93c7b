r"""Exact similarity of documents by the plain definition of words, without a line of the kernels.

The words of a lower-cased text: in scripts without spaces each letter with its combining marks, elsewhere runs of `\w`.
A document is its set of distinct windows of 5 words; each is represented by xxh3_64 of the words joined by spaces.
"""

import re
import sys
import unicodedata
from collections.abc import Sequence

import numpy as np
import xxhash
from scipy.sparse import csr_matrix

from pipelines.dedup.characters import UNSPACED

SHINGLE_WORDS = 5
POINTS = [p for first, last in UNSPACED for p in range(first, min(last, sys.maxunicode) + 1)]
LETTERS = re.escape("".join(chr(p) for p in POINTS if re.match(r"\w", chr(p)) and unicodedata.category(chr(p)) != "Nd"))
MARKS = re.escape("".join(chr(p) for p in POINTS if unicodedata.category(chr(p))[0] == "M"))
UNSPACED_LETTER = re.compile(f"[{LETTERS}]")
WORD = re.compile(rf"[{LETTERS}][{MARKS}]*|[^\W{LETTERS}]+")


def windows(text: str) -> np.ndarray:
    """[n] uint64, ascending and distinct."""
    words = WORD.findall(text.lower())
    n = max(1, len(words) - SHINGLE_WORDS + 1) if words else 0
    hashes = [xxhash.xxh3_64_intdigest(" ".join(words[i : i + SHINGLE_WORDS]).encode()) for i in range(n)]
    return np.unique(np.array(hashes, np.uint64))


def similar_pairs(sets: Sequence[np.ndarray], floor: float) -> list[tuple[int, int, float]]:
    """(i, j, Jaccard similarity) of every pair with i < j that reaches `floor` > 0."""
    sizes = np.array([len(s) for s in sets])
    _, column, counts = np.unique(np.concatenate(sets), return_inverse=True, return_counts=True)
    is_shared = counts[column] > 1
    rows = np.repeat(np.arange(len(sets)), sizes)[is_shared]
    has = csr_matrix((np.ones(len(rows), np.int32), (rows, column[is_shared])), (len(sets), len(counts)))
    pairs = []
    for first in range(0, len(sets), 500):
        common = (has[first : first + 500] @ has.T).tocoo()
        i, j = common.row + first, common.col
        jaccard = common.data / (sizes[i] + sizes[j] - common.data)
        chosen = (i < j) & (jaccard >= floor)
        pairs += zip(i[chosen].tolist(), j[chosen].tolist(), jaccard[chosen].tolist(), strict=True)
    return pairs
