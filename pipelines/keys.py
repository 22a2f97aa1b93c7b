"""Keyed order: a number for each document that depends on its content and on a seed, never on its position.

A selection or an order by such keys is stable: adding or removing other documents does not change it.
"""

from hashlib import blake2b

import numpy as np
import pyarrow as pa

from schemas.errors import SchemaError

HEX_DIGITS = 32  # of a blake2b-128 hash
NIBBLE = np.full(256, 255, np.uint8)
NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def contents(hashes: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """[n, 2] uint64: content hashes (hex, 128 bits) as numbers that sort like the strings.

    Raises:
        SchemaError: a hash is not 32 hex digits.
    """
    chunks = hashes.chunks if isinstance(hashes, pa.ChunkedArray) else [hashes]
    return np.concatenate([np.empty((0, 2), np.uint64), *map(numbers, chunks)])


def numbers(hashes: pa.Array) -> np.ndarray:
    """contents() of one chunk."""
    try:
        raw = hashes.cast(pa.binary()).cast(pa.binary(HEX_DIGITS))
    except pa.ArrowInvalid as error:
        raise SchemaError(f"content_hash: a value is not {HEX_DIGITS} hex digits ({error})") from error
    start = raw.offset * HEX_DIGITS
    digits = NIBBLE[np.frombuffer(raw.buffers()[1], np.uint8)[start : start + len(raw) * HEX_DIGITS]]
    if digits.max(initial=0) > 15:
        raise SchemaError("content_hash: a value is not lower-case hex")
    return (digits[::2] << 4 | digits[1::2]).view(">u8").astype(np.uint64).reshape(-1, 2)


def salt(*parts: int | str) -> np.uint64:
    """A number that identifies one use of keys, such as ("draw", seed, epoch)."""
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def keyed(content: np.ndarray, salts: np.uint64 | np.ndarray) -> np.ndarray:
    """[n] uint64: a uniform key for each document, independent of its keys under other salts.

    Args:
        content: [n, 2] uint64, see contents().
        salts: one for all documents, or [n].
    """
    return mixed(mixed(content[:, 0] ^ salts) ^ content[:, 1])


def mixed(x: np.ndarray) -> np.ndarray:
    """A bijection of uint64 in which every bit of the result depends on every bit of the argument.

    Source: the output function of SplitMix64 (Steele, Lea, Flood 2014; constants of Stafford's variant 13).
    """
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def ascending(keys: np.ndarray, content: np.ndarray) -> np.ndarray:
    """[n] indices in ascending order of key; equal keys are ordered by content hash."""
    order = np.argsort(keys)
    tied = (keys[order[1:]] == keys[order[:-1]]).any()
    return np.lexsort((content[:, 1], content[:, 0], keys)) if tied else order
