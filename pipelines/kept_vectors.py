"""Vectors of documents or chunks, kept by content under the fingerprint of an encoder, in blocks that never change.

    ROOT/measured/embedding/a1b2.../3f/3f09....vectors     xxh3-128 of the rest, n, d, [n] hashes, [n, d] float32

A block gets its name, a hash of the documents that it holds, once it is complete: a crash loses at most the blocks that
workers were filling. A block whose checksum differs is treated as missing, so its documents are embedded again. Blocks are
read one at a time; an index of them holds 24 bytes a document.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np
import xxhash

from pipelines.store import files
from schemas.errors import StageError

CHECK_BYTES = 16  # xxh3-128
SIZES_BYTES = 16  # two int64


@dataclass(frozen=True)
class KeptVectors:
    """The blocks under one fingerprint."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.vectors"

    def add(self, keys: np.ndarray, vectors: np.ndarray, part_folder: Path) -> str:
        """Write a block. Returns its name.

        Args:
            keys: [n] S16 content hashes.
            vectors: [n, d] float32; zeros for a document without a token.
            part_folder: for the temporary file, on the same file system.
        """
        sizes = np.array(vectors.shape, "<i8").tobytes()
        body = b"".join([sizes, keys.tobytes(), np.ascontiguousarray(vectors, "<f4").tobytes()])
        name = blake2b(keys.tobytes(), digest_size=16).hexdigest()
        files.write_bytes(self.path(name), xxhash.xxh3_128_digest(body) + body, part_folder)
        return name

    def block(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """[n] S16 content hashes and [n, d] float32 vectors; None where the block is missing or damaged."""
        try:
            raw = self.path(name).read_bytes()
        except FileNotFoundError:
            return None
        if len(raw) < CHECK_BYTES + SIZES_BYTES or xxhash.xxh3_128_digest(raw[CHECK_BYTES:]) != raw[:CHECK_BYTES]:
            return None
        n, d = np.frombuffer(raw, "<i8", 2, CHECK_BYTES).tolist()
        keys = np.frombuffer(raw, "S16", n, CHECK_BYTES + SIZES_BYTES)
        return keys, np.frombuffer(raw, "<f4", n * d, CHECK_BYTES + SIZES_BYTES + 16 * n).reshape(n, d)

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*/*.vectors"))


@dataclass(frozen=True, eq=False)
class Places:
    """Where the vectors of some documents are. block, row: [n] int32, a place in `names` and a row; -1: not kept."""

    names: tuple[str, ...]
    block: np.ndarray
    row: np.ndarray

    def missing(self) -> np.ndarray:
        """[k] the documents whose vectors are not kept, ascending."""
        return np.flatnonzero(self.block < 0)

    def vectors(self, kept: KeptVectors) -> np.ndarray:
        """[n, d] float32.

        Raises:
            StageError: one is not kept, or its block was damaged meanwhile.
        """
        vectors = np.zeros((len(self.block), 0), np.float32)
        for number in np.unique(self.block).tolist():
            block = kept.block(self.names[number]) if number >= 0 else None
            if block is None:
                raise StageError(f"embed: {kept.folder}: a block is missing or damaged; run the build again")
            here = self.block == number
            if not vectors.size:
                vectors = np.zeros((len(here), block[1].shape[1]), np.float32)
            vectors[here] = block[1][self.row[here]]
        return vectors


@dataclass(frozen=True, eq=False)
class Index:
    """All undamaged blocks. keys: [n] S16, ascending and distinct; block, row: [n] int32, where each is."""

    names: list[str]
    keys: np.ndarray
    block: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, kept: KeptVectors) -> Self:
        names = kept.names()
        keys = [np.array(each[0]) if (each := kept.block(name)) else np.empty(0, "S16") for name in names]
        lengths = list(map(len, keys))
        joined = np.concatenate([np.empty(0, "S16"), *keys])
        distinct, first = np.unique(joined, return_index=True)
        block = np.repeat(np.arange(len(names), dtype=np.int32), lengths)
        row = np.concatenate([np.empty(0, np.int32), *(np.arange(n, dtype=np.int32) for n in lengths)])
        return cls(names, distinct, block[first], row[first])

    def places(self, keys: np.ndarray) -> Places:
        """Where the documents of [n] S16 content hashes are."""
        at = np.searchsorted(self.keys, keys)
        is_kept = at < len(self.keys)
        is_kept[is_kept] = self.keys[at[is_kept]] == keys[is_kept]
        block, row = np.full(len(keys), -1, np.int32), np.full(len(keys), -1, np.int32)
        used, place = np.unique(self.block[at[is_kept]], return_inverse=True)
        block[is_kept], row[is_kept] = place, self.row[at[is_kept]]
        return Places(tuple(self.names[k] for k in used.tolist()), block, row)


def keys_of(content: Sequence[int] | np.ndarray) -> np.ndarray:
    """[n] S16 of [n, 2] uint64 content hashes, whose order is that of the strings."""
    return np.ascontiguousarray(np.asarray(content, ">u8")).view("S16").ravel()
