r"""UTF-8 bytes -> words: the unit of the cheap scores, split and hashed directly from Arrow's buffers.

A word is a run of ASCII letters, digits, `_` and characters from U+00C0 to U+1FFF (the alphabets), or any other single
character except ASCII spaces and controls: a mark, a sign, an ideograph. PATTERN is the same rule for Python's `re`.
Words are case-sensitive. Ideographs and kana are split into single characters; Thai, Lao and Khmer only at spaces.
"""

import numpy as np
import pyarrow as pa

from schemas.kernels import kernel

PATTERN = r"[0-9A-Za-z_\u00c0-\u1fff]+|[!-/:-@\[-^`{-~\u0080-\u00bf\u2000-\U0010ffff]"  # the rule as the tests use it

BLOCK = 110  # words: 128 byte-pair tokens are 100 to 121 words, depending on the domain

START = np.uint64(0x243F6A8885A308D3)  # pi; any number but 0
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
MIX = np.array([0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53], np.uint64)  # MurmurHash3's fmix64
HALF = np.uint64(33)


def kinds() -> np.ndarray:
    """[256] uint8: the kind of each byte at the start of a character: 0 outside words, 1 in a run, else 1 + mark bytes.

    Continuation bytes are 1: in a run they continue it, and a mark is consumed with all its bytes.
    """
    table = np.zeros(256, np.uint8)
    table[0x21:0x7F] = 2
    for run in (b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz", b"_"):
        table[list(run)] = 1
    table[0x80:0xE2] = 1
    table[0xC2], table[0xE2:0xF0], table[0xF0:] = 3, 4, 5
    return table


KINDS = kinds()


def buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of a string array, without a copy, and [n + 1] int64 offsets of the texts in them."""
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    if offsets is None or data is None or len(texts) == 0:
        return np.empty(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    starts = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, np.uint8), starts.astype(np.int64)


@kernel
def cut(text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words of a text: [n_words] uint64 hashes and [n_words] int64 first bytes.

    Two different words collide with probability 2**-64; any two of 100,000 different words with probability 3e-10.

    Memory: 16 bytes per word. 16 bytes per byte of text are reserved; the system backs only the pages that are written.

    text: UTF-8.
    """
    hashes, begins = np.empty(len(text), np.uint64), np.empty(len(text), np.int64)
    n, i, stop = 0, 0, len(text)
    while i < stop:
        kind = KINDS[text[i]]
        if kind == 0:
            i += 1
            continue
        begins[n] = i
        h = START
        if kind == 1:
            while i < stop and KINDS[text[i]] == 1:
                h = (h ^ np.uint64(text[i])) * FACTOR
                i += 1
        else:
            for _ in range(kind - 1):
                h = (h ^ np.uint64(text[i])) * FACTOR
                i += 1
        h = (h ^ (h >> HALF)) * MIX[0]
        h = (h ^ (h >> HALF)) * MIX[1]
        hashes[n] = h ^ (h >> HALF)
        n += 1
    return hashes[:n], begins[:n]


@kernel
def number(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number words by first occurrence: [n_words] int32 numbers, and [n_distinct] uint64 hash of each number.

    Memory: 12 to 20 bytes per word, and 8 per distinct word.
    """
    size = 2
    while size < 2 * len(hashes):
        size *= 2
    slots, mask = np.full(size, -1, np.int32), np.uint64(size - 1)
    numbers, distinct = np.empty(len(hashes), np.int32), np.empty(len(hashes), np.uint64)
    n = 0
    for i in range(len(hashes)):
        at = hashes[i] & mask
        while slots[at] >= 0 and distinct[slots[at]] != hashes[i]:
            at = (at + np.uint64(1)) & mask
        if slots[at] < 0:
            slots[at] = n
            distinct[n] = hashes[i]
            n += 1
        numbers[i] = slots[at]
    return numbers, distinct[:n]


@kernel
def blocks(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct words of each full block of BLOCK words: those of block i are members[starts[i] : starts[i + 1]].

    numbers: [n_words] int32, as `number` returns them. Words after the last full block are ignored.

    Returns:
        members: int32, in order of first occurrence in the block.
        starts: [n_blocks + 1] int64.
    """
    n_blocks = len(numbers) // BLOCK
    members, starts = np.empty(n_blocks * BLOCK, np.int32), np.zeros(n_blocks + 1, np.int64)
    last = np.full(1 + (numbers.max() if len(numbers) else 0), -1, np.int32)
    n = 0
    for block in range(n_blocks):
        for i in range(block * BLOCK, (block + 1) * BLOCK):
            if last[numbers[i]] != block:
                last[numbers[i]] = block
                members[n] = numbers[i]
                n += 1
        starts[block + 1] = n
    return members[:n], starts
