r"""Texts -> their shingles: 64-bit hashes of the distinct windows of `n_words` words, straight from Arrow's buffers.

A word is a maximal run of `\w` (Python's `re`, Unicode) in `text.lower()`; "The CAT, the cat" has the words the, cat,
the, cat. A text with fewer words than a window is one shingle; a text without words has none. The hashes are the same
on every machine and in every process. They depend on the Unicode tables of Python, see UNICODE.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

UNICODE = unicodedata.unidata_version  # another version may classify other characters as letters

SIGMA = "\N{GREEK CAPITAL LETTER SIGMA}"  # lowered to another letter at the end of a word
DOTTED_I = (
    "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"  # its lower case is two characters: i, and a mark that ends the word
)

BATCH_BYTES = 4 << 20  # of text at a time, so that intermediate arrays fit into the CPU caches

ONE = np.uint64(1)
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
START = np.uint64(0x243F6A8885A308D3)  # pi; any number but 0
MIX = np.array([0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53], np.uint64)  # MurmurHash3's fmix64
HALF = np.uint64(33)
DOTTED_I_POINT = ord(DOTTED_I)
END_OF_UNICODE = sys.maxunicode + 1


class Shingles(NamedTuple):
    """The distinct shingles of text i are values[offsets[i] : offsets[i + 1]], ascending."""

    values: np.ndarray  # uint64
    offsets: np.ndarray  # int64, [n_texts + 1]


def shingles(texts: pa.Array, n_words: int) -> Shingles:
    """The shingles of each text. Memory: 4 bytes for each byte of text; use `batches` for long columns.

    Args:
        texts: string or large_string, without NULL.
        n_words: words in a window, at least 1.
    """
    if len(texts) == 0:
        return Shingles(np.empty(0, np.uint64), np.zeros(1, np.int64))
    data, starts = buffers(with_sigma_lowered(texts))
    n_bytes = np.diff(starts)
    max_words = int(((n_bytes + 1) // 2).sum())
    max_text_words = int(n_bytes.max() + 1) // 2
    values, offsets = np.empty(max_words, np.uint64), np.zeros(len(texts) + 1, np.int64)
    shingle_all(data, starts, lower_words(), n_words, np.empty(max_text_words, np.uint64), values, offsets)
    return Shingles(values[: offsets[-1]], offsets)


def batches(texts: pa.ChunkedArray | pa.Array, max_bytes: int = BATCH_BYTES) -> Iterator[pa.Array]:
    """Batches of consecutive texts of at most `max_bytes` in total; a longer text is a batch of its own."""
    for chunk in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        _, starts = buffers(chunk)
        first = 0
        while first < len(chunk):
            last = int(np.searchsorted(starts, starts[first] + max_bytes, side="right")) - 1
            last = max(first + 1, min(last, len(chunk)))
            yield chunk.slice(first, last - first)
            first = last


def buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of a string array, not copied, and the int64 offset of each text."""
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    if offsets is None or len(texts) == 0:
        return np.empty(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    starts = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), starts


def with_sigma_lowered(texts: pa.Array) -> pa.Array:
    """The texts, those with a capital sigma lowered by Python, since its lower case depends on the characters around it."""
    has_sigma = pc.match_substring(texts, SIGMA)
    if not pc.any(has_sigma).as_py():
        return texts
    lowered = pa.array([text.lower() for text in texts.filter(has_sigma).to_pylist()], texts.type)
    return pc.replace_with_mask(texts, has_sigma, lowered)


@cache
def lower_words() -> np.ndarray:
    r"""[code points] uint32: the lower case of each character that is part of words, 0 for other characters.

    The lowered character is matched with `\w`, as in the definition of a word. There are two exceptions: SIGMA is
    lowered beforehand, and DOTTED_I is mapped to i.
    """
    points = [p for p in range(END_OF_UNICODE) if not 0xD800 <= p < 0xE000 and chr(p) not in (SIGMA, DOTTED_I)]
    lowered = "".join(map(chr, points)).lower()
    assert len(lowered) == len(points), "a character other than DOTTED_I is lowered to several"
    inside = np.zeros(len(points), bool)
    for run in re.finditer(r"\w+", lowered):
        inside[run.start() : run.end()] = True
    table = np.zeros(END_OF_UNICODE, np.uint32)
    table[points] = np.where(inside, np.frombuffer(lowered.encode("utf-32-le"), np.uint32), 0)
    table[DOTTED_I_POINT] = ord("i")
    return table


@njit(cache=True, nogil=True)
def shingle_all(  # noqa: PLR0913, PLR0917 numba: arrays one by one
    data: np.ndarray,
    starts: np.ndarray,
    lower_words: np.ndarray,
    n_words: int,
    scratch: np.ndarray,
    values: np.ndarray,
    offsets: np.ndarray,
) -> None:
    """Fill `values` and `offsets`. `scratch` has room for the words of the longest text."""
    begins, sizes = np.empty(len(scratch) + 2, np.int32), np.empty(len(scratch) + 2, np.int32)
    for i in range(len(starts) - 1):
        n = hash_words(data[starts[i] : starts[i + 1]], lower_words, scratch)
        n = hash_windows(scratch, n, n_words)
        offsets[i + 1] = offsets[i] + sort_distinct(scratch, n, begins, sizes, values[offsets[i] :])


@njit(cache=True, nogil=True)
def mix(h: np.uint64) -> np.uint64:
    """A bijection in which every bit of the result depends on every bit of h."""
    h = (h ^ (h >> HALF)) * MIX[0]
    h = (h ^ (h >> HALF)) * MIX[1]
    return h ^ (h >> HALF)


@njit(cache=True, nogil=True)
def hash_words(text: np.ndarray, lower_words: np.ndarray, words: np.ndarray) -> int:
    """Write a hash of each word of a UTF-8 text to `words`. Returns the number of words."""
    n, i, stop = 0, 0, len(text)
    h, inside = START, False
    while i < stop:
        point = np.int64(text[i])
        if point < 0x80:
            i += 1
        else:
            width = 2 if point < 0xE0 else 3 if point < 0xF0 else 4
            point &= 0x7F >> width
            for j in range(i + 1, min(i + width, stop)):
                point = (point << 6) | (text[j] & 0x3F)
            i += width
        letter = lower_words[point] if point < END_OF_UNICODE else np.uint32(0)
        if letter:
            h = (h ^ np.uint64(letter)) * FACTOR
            inside = True
        if inside and (letter == 0 or point == DOTTED_I_POINT):
            words[n] = mix(h)
            n += 1
            h, inside = START, False
    if inside:
        words[n] = mix(h)
        n += 1
    return n


@njit(cache=True, nogil=True)
def hash_windows(words: np.ndarray, n: int, width: int) -> int:
    """Overwrite the hashes of words with the hashes of windows. Returns the number of windows.

    The hash of a window is a polynomial in FACTOR with its words as coefficients, so the next one costs two products.
    Index i can be overwritten because later windows start after it.
    """
    width = min(width, n)
    if width == 0:
        return 0
    rolling, first = np.uint64(0), ONE
    for i in range(width - 1):
        rolling = rolling * FACTOR + words[i]
        first *= FACTOR
    for i in range(n - width + 1):
        rolling = rolling * FACTOR + words[i + width - 1]
        leaving = words[i]
        words[i] = mix(rolling)
        rolling -= leaving * first
    return n - width + 1


@njit(cache=True, nogil=True)
def sort_distinct(hashes: np.ndarray, n: int, begins: np.ndarray, sizes: np.ndarray, out: np.ndarray) -> int:
    """Write the distinct values of the first n hashes to `out`, ascending. Returns their number.

    Hashes are uniform, so their leading bits give the approximate rank of each: `out` is divided into slots that hold
    one or two distinct values each, and each value is inserted into its slot in order. A duplicate costs one lookup.
    """
    bits = 0
    while (2 << bits) <= n:
        bits += 1
    shift, n_slots = np.uint64(63 - bits), 1 << bits  # shifted once more below, since a shift by 64 is undefined
    begins[: n_slots + 1] = 0
    sizes[:n_slots] = 0
    for i in range(n):
        begins[np.int64(hashes[i] >> shift >> ONE) + 1] += 1
    for slot in range(n_slots):
        begins[slot + 1] += begins[slot]
    for i in range(n):
        target = np.int64(hashes[i] >> shift >> ONE)
        first, last = begins[target], begins[target] + sizes[target]
        index = last
        while index > first and out[index - 1] > hashes[i]:
            index -= 1
        if index == first or out[index - 1] != hashes[i]:
            for j in range(last, index, -1):
                out[j] = out[j - 1]
            out[index] = hashes[i]
            sizes[target] += 1
    n_distinct = 0
    for slot in range(n_slots):
        for j in range(begins[slot], begins[slot] + sizes[slot]):
            out[n_distinct] = out[j]
            n_distinct += 1
    return n_distinct
