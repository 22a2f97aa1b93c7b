r"""Exact similarity of documents by the plain definition of words, without a line of the kernels.

The words of a lower-cased text: in scripts without spaces each letter with its combining marks, elsewhere runs of `\w`.
A document is its set of distinct windows of 5 words. A window is represented by 64 bits, from xxh3_64 of its words.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import xxhash

from pipelines.dedup.characters import UNSPACED

SHINGLE_WORDS = 5
WORD = re.compile("AM*|L+")  # over the kinds of the characters of a text
FACTORS = np.array([xxhash.xxh3_64_intdigest(str(i).encode()) | 1 for i in range(SHINGLE_WORDS)], np.uint64)


class Kinds(dict):
    r"""The kind of each character, by its code point: A and M, letter and mark of UNSPACED; L, other `\w`; a space."""

    def __missing__(self, point: int) -> str:
        character, is_unspaced = chr(point), any(first <= point <= last for first, last in UNSPACED)
        category = unicodedata.category(character)
        if is_unspaced and category[0] == "M":
            kind = "M"
        elif re.match(r"\w", character):
            kind = "A" if is_unspaced and category != "Nd" else "L"
        else:
            kind = " "
        self[point] = kind
        return kind


KINDS = Kinds()


def words_of(text: str) -> list[str]:
    lowered = text.lower()
    kinds = lowered.translate(KINDS)
    if "A" not in kinds:
        return re.findall(r"\w+", lowered)
    return [lowered[slice(*match.span())] for match in WORD.finditer(kinds)]


def old_words_of(text: str) -> list[str]:
    r"""Runs of `\w` in all scripts."""
    return re.findall(r"\w+", text.lower())


def is_unspaced(text: str) -> bool:
    """Whether a text has letters of scripts without spaces."""
    return "A" in text.lower().translate(KINDS)


@cache
def word_hash(word: str) -> int:
    return xxhash.xxh3_64_intdigest(word.encode())


def windows(text: str, words: Callable[[str], list[str]] = words_of) -> np.ndarray:
    """[n] uint64, ascending and distinct."""
    hashes = np.array([word_hash(word) for word in words(text)], np.uint64)
    n_words = min(SHINGLE_WORDS, len(hashes))
    if n_words == 0:
        return hashes
    n = len(hashes) - n_words + 1
    total = sum((hashes[k : k + n] * FACTORS[k] for k in range(n_words)), np.zeros(n, np.uint64))
    return np.unique(total + np.uint64(n_words))


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    n_common = len(np.intersect1d(one, other, assume_unique=True))
    return n_common / max(1, len(one) + len(other) - n_common)


def similar_pairs(sets: Sequence[np.ndarray], floor: float, n_first: int | None = None) -> list[tuple[int, int, float]]:
    """(i, j, Jaccard similarity) of every pair with i < j that reaches `floor` > 0.

    Common windows are counted along the list of documents of each window. Memory: 4 bytes for each pair.

    Args:
        sets: the windows of each document, distinct.
        n_first: only the pairs with i < n_first.
    """
    n_first = len(sets) if n_first is None else n_first
    sizes = np.array([len(s) for s in sets])
    values, rows = np.concatenate(sets), np.repeat(np.arange(len(sets)), sizes)
    order = np.argsort(values, kind="stable")  # of equal windows, documents stay in ascending order
    values, rows = values[order], rows[order]
    common = np.zeros(n_first * len(sets), np.int32)
    places, distance = np.flatnonzero(rows < n_first), 1
    while len(places):
        places = places[places + distance < len(values)]
        places = places[values[places] == values[places + distance]]
        np.add.at(common, rows[places] * len(sets) + rows[places + distance], np.int32(1))
        distance += 1
    chosen = np.flatnonzero(common)
    i, j = np.divmod(chosen, len(sets))
    similarity = common[chosen] / (sizes[i] + sizes[j] - common[chosen])
    reaches = similarity >= floor
    return list(zip(i[reaches].tolist(), j[reaches].tolist(), similarity[reaches].tolist(), strict=True))
