r"""Texts -> their shingles: 64-bit hashes of the distinct windows of words or characters, from Arrow's buffers.

Words are taken from `text.lower()`. In scripts that are written without spaces (UNSPACED in characters.py), each letter
or number with the combining marks after it is a word; decimal digits are not. Elsewhere a word is a maximal run of `\w`
(Python's `re`, Unicode). Everything else separates words and is dropped. "Win 11版、2枚" has the words win, 11, 版, 2, 枚.

In windows of characters, each `\w` of any script is a word with the combining marks after it: "Win 11" has w, i, n, 1, 1.

A text with fewer words than a window is one shingle; a text without words has none. The hashes are the same on every
machine and in every process. They depend on the Unicode tables of Python, see UNICODE.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.batches import batches
from pipelines.dedup.characters import (
    ALONE,
    CASED,
    CODE,
    DOT_ABOVE,
    DOTTED_I,
    FINAL_SIGMA,
    IGNORABLE,
    KIND_BIT,
    LETTER,
    MARK,
    SIGMA,
    Unit,
    characters,
)
from pipelines.dedup.distinct import sort_distinct
from schemas.kernels import kernel

MAX_WORDS = 1 << 10  # of a text at a time, so that they stay in the CPU's first cache
MAX_HASHES = 1 << 21  # of a long text at a time, 16 MB; at least 4 * MAX_WORDS

ONE = np.uint64(1)
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
START = np.uint64(0x243F6A8885A308D3)  # pi; any number but 0
MIX = np.array([0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53], np.uint64)  # MurmurHash3's fmix64
HALF = np.uint64(33)
LAST = np.uint64(2**64 - 1)
SIGMA_POINT, FINAL_SIGMA_POINT, DOTTED_I_POINT = ord(SIGMA), ord(FINAL_SIGMA), ord(DOTTED_I)
DOT_ABOVE_POINT = np.uint64(ord(DOT_ABOVE))

NOTHING, CLOSED = -1, -2  # no word has begun; a word has, and no character continues it


class Window(NamedTuple):
    """What a shingle is a hash of: `length` consecutive words, or characters."""

    length: int
    unit: Unit = "words"


class Shingles(NamedTuple):
    """The distinct shingles of text i are values[offsets[i] : offsets[i + 1]], ascending."""

    values: np.ndarray  # uint64
    offsets: np.ndarray  # int64, [n_texts + 1]


def shingles(texts: pa.Array, window: Window) -> Shingles:
    """The shingles of each text. Memory: 8 bytes for each shingle; for long columns use `batches` and `in_parts`.

    texts: string or large_string, without NULL.
    """
    parts = [list(in_parts(batch, window)) for batch in batches(texts)]
    values = [part.values for batch in parts for part in batch]
    counts = [sum(np.diff(part.offsets) for part in batch) for batch in parts]
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *counts]))
    return Shingles(np.concatenate([np.empty(0, np.uint64), *values]), ends)


def in_parts(batch: pa.Array, window: Window) -> Iterator[Shingles]:
    """The shingles of a batch: in one part, or those of one long text in several, in ascending order.

    A part is a range of hashes, and the text is read again for each, so a text of any length takes the memory of
    MAX_HASHES. Where a range holds more, half of it is tried.
    """
    data, starts = buffers(batch)
    max_words = np.diff(starts) if window.unit == "characters" else (np.diff(starts) + 1) // 2
    table = characters(window.unit)
    n_longest = int(max_words.max(initial=0))
    if n_longest <= MAX_HASHES or len(batch) > 1:
        values, offsets = np.empty(int(max_words.sum()), np.uint64), np.zeros(len(starts), np.int64)
        shingle_all(data, starts, table, window.length, np.empty(n_longest + 1, np.uint64), values, offsets)
        yield Shingles(values[: offsets[-1]], offsets)
        return
    text, hashes = data[starts[0] : starts[1]], np.empty(MAX_HASHES, np.uint64)
    low, n_ranges = 0, 1 + n_longest // (2 * MAX_HASHES)
    while low < 2**64:
        high = min(low + 2**64 // n_ranges, 2**64) - 1
        values = np.empty(MAX_HASHES, np.uint64)
        n = shingle_range(text, table, window.length, (np.uint64(low), np.uint64(high)), hashes, values)
        if n < 0:
            n_ranges *= 2
            continue
        yield Shingles(values[:n], np.array([0, n]))
        low = high + 1


def buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of a string array, not copied, and the int64 offset of each text."""
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    if offsets is None or len(texts) == 0:
        return np.empty(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    starts = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), starts


@kernel
def shingle_all(  # noqa: PLR0913, PLR0917 numba: arrays one by one
    data: np.ndarray,
    starts: np.ndarray,
    table: np.ndarray,
    length: int,
    hashes: np.ndarray,
    values: np.ndarray,
    offsets: np.ndarray,
) -> None:
    """Fill `values` and `offsets`. `hashes` has room for the windows of the longest text."""
    slots = np.empty((2, len(hashes) + 2), np.int32)
    everything = (np.uint64(0), LAST)
    for i in range(len(starts) - 1):
        text = data[starts[i] : starts[i + 1]]
        n = hash_windows(text, table, length, everything, hashes, values, slots)
        offsets[i + 1] = offsets[i] + sort_distinct(hashes, n, slots, values[offsets[i] :])


@kernel
def shingle_range(
    text: np.ndarray,
    table: np.ndarray,
    length: int,
    bounds: tuple[np.uint64, np.uint64],
    hashes: np.ndarray,
    values: np.ndarray,
) -> int:
    """Write the distinct shingles of a text within bounds to `values`. Returns their number, -1 if too many."""
    slots = np.empty((2, len(hashes) + 2), np.int32)
    n = hash_windows(text, table, length, bounds, hashes, values, slots)
    return n if n < 0 else sort_distinct(hashes, n, slots, values)


@kernel
def mix(h: np.uint64) -> np.uint64:
    """A bijection in which every bit of the result depends on every bit of h."""
    h = (h ^ (h >> HALF)) * MIX[0]
    h = (h ^ (h >> HALF)) * MIX[1]
    return h ^ (h >> HALF)


@kernel
def code_point(text: np.ndarray, i: int) -> tuple[np.int64, int]:
    """The character at byte i of a UTF-8 text, and where the next one begins."""
    point = np.int64(text[i])
    if point < 0x80:
        return point, i + 1
    width = 2 if point < 0xE0 else 3 if point < 0xF0 else 4
    point &= 0x7F >> width
    for j in range(i + 1, min(i + width, len(text))):
        point = (point << 6) | (text[j] & 0x3F)
    return point, i + width


@kernel
def hash_windows(  # noqa: PLR0913, PLR0917 numba: arrays one by one
    text: np.ndarray,
    table: np.ndarray,
    length: int,
    bounds: tuple[np.uint64, np.uint64],
    hashes: np.ndarray,
    spare: np.ndarray,
    slots: np.ndarray,
) -> int:
    """Write the hash of each window of a UTF-8 text within bounds to `hashes`. Returns their number, -1 if too many.

    The hash of a window is a polynomial in FACTOR with its words as coefficients, so the next one costs two products.
    spare, slots: to make room when `hashes` is full.
    """
    length = min(length, len(text) + 1)
    low, span = bounds[0], bounds[1] - bounds[0]
    weight = ONE  # of the oldest word of a window
    for _ in range(length - 1):
        weight *= FACTOR
    words = np.empty(length + min(MAX_WORDS, len(text)), np.uint64)
    n, n_words, i, is_short = 0, 0, 0, True
    while i < len(text):
        n_words, i = hash_words(text, i, table, words, n_words)
        width = n_words if is_short and n_words < length else length
        if n_words < width or width == 0:  # no word since the last window, or no word at all
            break
        n_new = n_words - width + 1
        if n + n_new > len(hashes):
            n = sort_distinct(hashes, n, slots, spare)
            hashes[:n] = spare[:n]
            if n + max(n_new, len(hashes) // 4) > len(hashes):
                return -1
        rolling = np.uint64(0)
        for k in range(width - 1):
            rolling = rolling * FACTOR + words[k]
        for k in range(n_new):
            rolling = rolling * FACTOR + words[k + width - 1]
            value = mix(rolling)
            rolling -= words[k] * weight
            if value - low <= span:
                hashes[n] = value
                n += 1
        is_short = False
        for k in range(length - 1):  # the next windows begin in these words
            words[k] = words[n_words - length + 1 + k]
        n_words = length - 1
    return n


@kernel
def hash_words(text: np.ndarray, i: int, table: np.ndarray, words: np.ndarray, n: int) -> tuple[int, int]:
    """Append hashes of the words from byte i of a UTF-8 text to the n in `words`.

    Returns:
        The number of words then, and the byte where the next word may begin.
    """
    h, continues = START, NOTHING
    while i < len(text):
        begin, point = i, np.int64(text[i])
        if point < 0x80:
            i += 1
        else:
            point, i = code_point(text, i)
        entry = table[point]
        kind, code = np.int64(entry >> KIND_BIT), np.uint64(entry & CODE)
        if point == SIGMA_POINT and is_final(text, begin, i, table):
            code = np.uint64(FINAL_SIGMA_POINT)
        if kind == continues:
            h = (h ^ code) * FACTOR
        else:
            if continues != NOTHING:
                words[n] = mix(h)
                n += 1
                if n == len(words):
                    return n, begin
            h = (START ^ code) * FACTOR
            continues = LETTER if kind == LETTER else MARK if kind == ALONE else NOTHING
        if point == DOTTED_I_POINT:  # lowered to i and a mark, which separates words and is part of a character
            if kind == LETTER:
                continues = CLOSED
            else:
                h = (h ^ DOT_ABOVE_POINT) * FACTOR
    if continues != NOTHING:
        words[n] = mix(h)
        n += 1
    return n, i


@kernel
def is_final(text: np.ndarray, begin: int, end: int, table: np.ndarray) -> bool:
    """Whether a sigma at [begin, end) ends a word: a cased letter before it and none after, ignorable ones skipped.

    Source: the Final_Sigma condition of the Unicode Standard, section 3.13, as in CPython's handle_capital_sigma.
    """
    entry = IGNORABLE
    while begin > 0 and entry & IGNORABLE:
        begin -= 1
        while text[begin] & 0xC0 == 0x80:
            begin -= 1
        entry = table[code_point(text, begin)[0]]
    if not entry & CASED:
        return False
    entry = IGNORABLE
    while end < len(text) and entry & IGNORABLE:
        point, end = code_point(text, end)
        entry = table[point]
    return not entry & CASED
