"""Raw records -> rows of DOCUMENTS and of REJECTED, piece by piece."""

from collections.abc import Callable, Iterator
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from pipelines.ingest.hive import with_keys
from pipelines.ingest.readers.record import HEAD_BYTES, Parsed, Record, Unusable, hash_of
from pipelines.ingest.source import Source
from schemas.tables import REJECTED

PIECE_BYTES = 8 << 20  # of raw records that are parsed and written together
HEADS_BYTES = 1 << 20  # of the complete heads of a shard of REJECTED
SHORT_HEAD_BYTES = 256  # of each head after them
RECORD_BYTES = 256  # memory overhead of a record; counts towards the size of chunks and pieces


def size_of(record: Record) -> int:
    return len(record.raw) + RECORD_BYTES


def parse_pieces(
    records: list[Record], source: Source, parse: Callable[[bytes], Parsed], unusable: list[tuple[int, str, str]]
) -> Iterator[pa.Table]:
    """DOCUMENTS, piece by piece. Appends (index, reason, detail) of each unusable record to `unusable`."""
    indices: list[int] = []
    parsed: list[Parsed] = []
    n_bytes = 0
    for i, record in enumerate(records):
        if record.fault:
            unusable.append((i, record.fault.reason, record.fault.detail))
            continue
        try:
            parsed.append(parse(record.raw))
            indices.append(i)
        except Unusable as error:
            unusable.append((i, error.reason, error.detail))
        n_bytes += size_of(record)
        if n_bytes >= PIECE_BYTES:
            yield documents_of(parsed, indices, records, source)
            indices, parsed, n_bytes = [], [], 0
    if indices:
        yield documents_of(parsed, indices, records, source)


def rejected_pieces(records: list[Record], source: Source, unusable: list[tuple[int, str, str]]) -> Iterator[pa.Table]:
    """REJECTED, piece by piece. After HEADS_BYTES of heads the others are short: a million of 64 kB would be a corpus."""
    rows, n_bytes = max(1, PIECE_BYTES // HEAD_BYTES), 0
    for start in range(0, len(unusable), rows):
        piece = []
        for i, reason, detail in unusable[start : start + rows]:
            head = records[i].raw[: HEAD_BYTES if n_bytes < HEADS_BYTES else SHORT_HEAD_BYTES]
            n_bytes += len(head)
            piece.append(rejected_row(i, records[i], (reason, detail), head, source))
        yield pa.Table.from_pylist(piece, schema=REJECTED)


def rejected_row(i: int, record: Record, why: tuple[str, str], head: bytes, source: Source) -> dict[str, object]:
    """why: reason and detail."""
    return {
        "source": source.name,
        "file": record.file,
        "record": i,
        "reason": why[0],
        "detail": why[1],
        "head": head,
        "n_bytes": record.fault.n_bytes if record.fault else len(record.raw),
        "record_hash": record.fault.record_hash if record.fault else hash_of(record.raw),
    }


def documents_of(parsed: list[Parsed], indices: list[int], records: list[Record], source: Source) -> pa.Table:
    """Rows of DOCUMENTS.

    Args:
        parsed: the values of each usable record.
        indices: its index in `records`.
    """
    n = len(parsed)
    files = [records[i].file for i in indices]
    parsed = with_keys(parsed, files, source.fields)
    hashes = [hash_of(document.text) for document in parsed]
    id_of = identity(source.name)
    ids = [id_of(document.id, file, h) for document, file, h in zip(parsed, files, hashes, strict=True)]
    lengths = np.array([len(document.text) for document in parsed], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    text = b"".join(document.text for document in parsed)
    return pa.table(
        {
            "document_id": pa.array(ids, pa.string()),
            "content_hash": pa.array(hashes, pa.string()),
            "source": pa.repeat(pa.scalar(source.name), n),
            "record_id": pa.array([document.id for document in parsed], pa.string()),
            "origin": pa.array([document.origin for document in parsed], pa.string()),
            "domain": pa.repeat(pa.scalar(source.domain), n),
            "license": pa.array([document.license or source.license for document in parsed], pa.string()),
            "file": pa.array(files, pa.string()),
            "record": pa.array(indices, pa.int64()),
            "n_bytes": pa.array(lengths),
            "text": pa.Array.from_buffers(pa.large_string(), n, [None, pa.py_buffer(offsets), pa.py_buffer(text)]),
        }
    )


def identity(source: str) -> Callable[[str | None, str, str], str]:
    """A function (record id, file, content_hash) -> document_id for a source: blake2b-128 of

        LENGTH:SOURCE, then 2:idLENGTH:ID or 4:fileLENGTH:FILE, then CONTENT_HASH

    with lengths in bytes of UTF-8, so that different triples never give the same bytes.
    """
    name = source.encode()
    start = blake2b(b"%d:%b" % (len(name), name), digest_size=16)

    def document_id(record_id: str | None, file: str, content_hash: str) -> str:
        kind, value = (b"4:file", file.encode()) if record_id is None else (b"2:id", record_id.encode())
        digest = start.copy()
        digest.update(b"%b%d:%b%b" % (kind, len(value), value, content_hash.encode()))
        return digest.hexdigest()

    return document_id
