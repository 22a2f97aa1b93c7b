"""The order of documents that decides which of two duplicates stays.

Those kept in the base version first, then by the recipe's order of sources, the longer first, then by content_hash,
document_id, file and record. A document's position is its row among those of all shards, one after another; it names
the document within a run, and no result depends on it: what is equal in all of these is the same record, found twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.store.content_hash import values_buffer

COLUMNS = ("document_id", "content_hash", "source", "file", "record", "n_bytes")  # of DOCUMENTS, for the order


@dataclass(frozen=True)
class Ranked:
    """Arrays of all documents, by position. A text stands for all documents that hold it, at its first one's position.

    The text_ arrays hold something at the positions of texts only.
    """

    document_id: np.ndarray  # S16, the bytes of the hex digits
    content_hash: np.ndarray  # S16
    rank: np.ndarray  # its place in the order
    text: np.ndarray  # the position of the first document, by rank, with the same text
    text_rank_without_base: np.ndarray  # what the rank of the text's first document would be
    text_kept_in_base: np.ndarray  # whether one of its documents was


def ranked(tables: Sequence[pa.Table], sources: Sequence[str], kept_in_base: np.ndarray) -> Ranked:
    """Put documents in order.

    Args:
        tables: COLUMNS of each shard of DOCUMENTS.
        sources: their names in the recipe's order.
        kept_in_base: S16, the document_ids.
    """
    ids, hashes = (np.concatenate([raw(t[name]) for t in tables]) for name in ("document_id", "content_hash"))
    n_bytes, record = (np.concatenate([t[name].to_numpy() for t in tables]) for name in ("n_bytes", "record"))
    files, source = codes([t["file"] for t in tables]), codes([t["source"] for t in tables], sources)
    kept = np.isin(ids, kept_in_base)
    keys = (record, files, ids, hashes, -n_bytes, source)  # lexsort's last key comes first
    rank, rank_without_base = places(np.lexsort((*keys, ~kept))), places(np.lexsort(keys))
    text = first_of(hashes, rank)
    text_rank, text_kept = rank_without_base.copy(), kept.copy()
    np.minimum.at(text_rank, text, rank_without_base)
    np.logical_or.at(text_kept, text, kept)
    return Ranked(ids, hashes, rank, text, text_rank, text_kept)


def places(order: np.ndarray) -> np.ndarray:
    """The place of each item in an order of items."""
    found = np.empty(len(order), np.int64)
    found[order] = np.arange(len(order))
    return found


def first_of(hashes: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """For each document the position of the first one, by rank, with the same hash."""
    order = np.lexsort((rank, hashes))
    begins = np.concatenate([np.ones(min(1, len(order)), bool), hashes[order][1:] != hashes[order][:-1]])
    found = np.empty(len(order), np.int64)
    found[order] = order[begins][np.cumsum(begins) - 1]
    return found


def raw(column: pa.ChunkedArray) -> np.ndarray:
    """[n] S16: the bytes of hashes that are written as 32 hex digits."""
    digits = b"".join(bytes(values_buffer(chunk)) for chunk in column.chunks)
    return np.frombuffer(bytes.fromhex(digits.decode()), "S16")


def hex_digits(hashes: np.ndarray) -> list[str]:
    """Each hash as the tables hold it."""
    digits = hashes.tobytes().hex()
    return [digits[i : i + 32] for i in range(0, len(digits), 32)]


def codes(columns: Sequence[pa.ChunkedArray], order: Sequence[str] | None = None) -> np.ndarray:
    """A number for each value of a column that comes in pieces: its place in `order`, else in the alphabet."""
    chunks = [chunk.dictionary_encode() for column in columns for chunk in column.chunks]
    unified = pa.chunked_array(chunks, pa.dictionary(pa.int32(), columns[0].type)).unify_dictionaries()
    known = unified.chunk(0).dictionary.to_pylist() if unified.num_chunks else []
    number = {value: i for i, value in enumerate(order or sorted(known))}
    lookup = np.array([number[value] for value in known], np.int64)
    return lookup[np.concatenate([np.empty(0, np.int32), *(chunk.indices.to_numpy() for chunk in unified.chunks)])]
