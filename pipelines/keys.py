"""Keyed order: a number for each document that depends on what it holds and on a seed, never on where it stood.

What is chosen or ordered by such a key stays chosen and in order when other documents come and go.
"""

from hashlib import blake2b

import numpy as np
import pyarrow as pa

from schemas.errors import SchemaError

HEX_DIGITS = 32  # of a blake2b-128
NIBBLE = np.full(256, 255, np.uint8)
NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def contents(hashes: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """[n, 2] uint64: content hashes, hex of 128 bits, as numbers whose order is that of the strings.

    Raises:
        SchemaError: one is not 32 hex digits.
    """
    joined = pa.chunked_array(hashes).combine_chunks().cast(pa.binary()) if len(hashes) else pa.array([], pa.binary())
    try:
        raw = joined.cast(pa.binary(HEX_DIGITS))
    except pa.ArrowInvalid as error:
        raise SchemaError(f"content_hash: not all of {HEX_DIGITS} hex digits ({error})") from error
    start = raw.offset * HEX_DIGITS
    digits = NIBBLE[np.frombuffer(raw.buffers()[1], np.uint8)[start : start + len(raw) * HEX_DIGITS]]
    if digits.max(initial=0) > 15:
        raise SchemaError("content_hash: not all are hex digits in lower case")
    return (digits[::2] << 4 | digits[1::2]).view(">u8").astype(np.uint64).reshape(-1, 2)


def salt(*parts: int | str) -> np.uint64:
    """A number that stands for a use of keys, such as ("draw", seed, epoch)."""
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def keyed(content: np.ndarray, salts: np.uint64 | np.ndarray) -> np.ndarray:
    """[n] uint64: a key for each document, uniform, and independent of that under another salt.

    Args:
        content: [n, 2] uint64, see contents().
        salts: one for all, or [n].
    """
    return mixed(mixed(content[:, 0] ^ salts) ^ content[:, 1])


def mixed(x: np.ndarray) -> np.ndarray:
    """A bijection of uint64 in which every bit depends on every other.

    Source: the output function of SplitMix64 (Steele, Lea, Flood 2014; constants of Stafford's variant 13).
    """
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def ascending(keys: np.ndarray, content: np.ndarray) -> np.ndarray:
    """[n] places in ascending order of key; equal keys by content hash."""
    order = np.argsort(keys)
    tied = (keys[order[1:]] == keys[order[:-1]]).any()
    return np.lexsort((content[:, 1], content[:, 0], keys)) if tied else order
