"""The order of documents that decides which of two duplicates is kept.

Documents are ordered by: kept in the base version first, the recipe's order of sources, longer first, content_hash,
document_id, file, record. A document's position is its row number in the concatenation of all shards. It identifies the
document within a run, and no result depends on it: two documents that are equal in all of these keys are the same
record, read twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.store.content_hash import values_buffer

COLUMNS = ("document_id", "content_hash", "source", "file", "record", "n_bytes")  # of DOCUMENTS, that decide the order


@dataclass(frozen=True)
class Ranked:
    """Arrays of all documents, by position. A text is represented by its first document, by rank.

    The text_ arrays are defined only at the positions of these documents.
    """

    document_id: np.ndarray  # S16, the bytes of the hex digits
    content_hash: np.ndarray  # S16
    rank: np.ndarray  # index in the order
    text: np.ndarray  # position of the first document, by rank, with the same text
    text_rank_without_base: np.ndarray  # lowest rank of a document with this text if there were no base
    text_kept_in_base: np.ndarray  # whether the base kept a document with this text


class Columns(NamedTuple):
    """COLUMNS of a shard: hashes as bytes, repeated strings as dictionaries."""

    document_id: np.ndarray
    content_hash: np.ndarray
    n_bytes: np.ndarray
    record: np.ndarray
    file: pa.ChunkedArray
    source: pa.ChunkedArray

    @classmethod
    def of(cls, table: pa.Table) -> "Columns":
        ids, hashes = (hash_bytes(table[name]) for name in ("document_id", "content_hash"))
        n_bytes, record = (table[name].to_numpy() for name in ("n_bytes", "record"))
        file, source = (table[name].dictionary_encode() for name in ("file", "source"))
        return cls(ids, hashes, n_bytes, record, file, source)


def ranked(tables: Iterable[pa.Table], sources: Sequence[str], kept_in_base: np.ndarray) -> Ranked:
    """Order documents.

    Args:
        tables: COLUMNS of each shard of DOCUMENTS, which is held only until its values are packed.
        sources: their names, in the order of the recipe.
        kept_in_base: S16 document_ids.
    """
    packed = [Columns.of(table) for table in tables]
    ids, hashes, n_bytes, record = (
        np.concatenate(arrays) for arrays in zip(*(each[:4] for each in packed), strict=True)
    )
    files, source = codes([each.file for each in packed]), codes([each.source for each in packed], sources)
    del packed
    kept = np.isin(ids, kept_in_base)
    keys = (record, files, ids, hashes, -n_bytes, source)  # the last key of lexsort is the primary one
    rank, rank_without_base = inverse(np.lexsort((*keys, ~kept))), inverse(np.lexsort(keys))
    del keys, record, files, n_bytes, source
    text = first_of(hashes, rank)
    text_rank, text_kept = rank_without_base.copy(), kept.copy()
    np.minimum.at(text_rank, text, rank_without_base)
    np.logical_or.at(text_kept, text, kept)
    return Ranked(ids, hashes, rank, text, text_rank, text_kept)


def inverse(permutation: np.ndarray) -> np.ndarray:
    """The inverse permutation: the index of each item in an order."""
    index = np.empty(len(permutation), np.int64)
    index[permutation] = np.arange(len(permutation))
    return index


def first_of(hashes: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """For each document, the position of the first one, by rank, with the same hash."""
    order = np.lexsort((rank, hashes))
    ordered = hashes[order]
    begins = np.concatenate([np.ones(min(1, len(order)), bool), ordered[1:] != ordered[:-1]])
    del ordered
    first = np.empty(len(order), np.int64)
    first[order] = order[begins][np.cumsum(begins) - 1]
    return first


def hash_bytes(column: pa.ChunkedArray) -> np.ndarray:
    """[n] S16: the bytes of hashes that are stored as 32 hex digits."""
    digits = b"".join(bytes(values_buffer(chunk)) for chunk in column.chunks)
    return np.frombuffer(bytes.fromhex(digits.decode()), "S16")


def hex_digits(hashes: np.ndarray) -> list[str]:
    """The inverse of hash_bytes."""
    digits = hashes.tobytes().hex()
    return [digits[i : i + 32] for i in range(0, len(digits), 32)]


def hex_strings(hashes: np.ndarray, is_null: np.ndarray | None = None) -> pa.Array:
    """The hex digits as an Arrow array, NULL where `is_null`."""
    offsets = np.arange(len(hashes) + 1, dtype=np.int64) * 32
    data = pa.py_buffer(hashes.tobytes().hex().encode())
    strings = pa.LargeStringArray.from_buffers(len(hashes), pa.py_buffer(offsets), data).cast(pa.string())
    return strings if is_null is None else pc.if_else(pa.array(~is_null), strings, None)


def codes(columns: Sequence[pa.ChunkedArray], order: Sequence[str] | None = None) -> np.ndarray:
    """A number for each value of all columns together: its index in `order`, by default in alphabetical order.

    columns: dictionary-encoded.
    """
    chunks = [chunk for column in columns for chunk in column.chunks]
    unified = pa.chunked_array(chunks, columns[0].type).unify_dictionaries()
    values = unified.chunk(0).dictionary.to_pylist() if unified.num_chunks else []
    number = {value: i for i, value in enumerate(order or sorted(values))}
    lookup = np.array([number[value] for value in values], np.int64)
    return lookup[np.concatenate([np.empty(0, np.int32), *(chunk.indices.to_numpy() for chunk in unified.chunks)])]
