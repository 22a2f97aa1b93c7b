"""Negative extension: after each chunk of a document come the chunks of other documents that are most similar to it.

Source of the idea: NExtLong, Gao et al. 2025 (arXiv 2501.12766), in its order "chunk first". A distant chunk of the same
document has to be found among similar ones that do not belong to it.

No recipe uses this: it takes lists of neighbours of chunks, and the build searches for neighbours of documents only.
"""

import numpy as np

from pipelines.pack.packers import Rows
from schemas.kernels import kernel


def negative_extension(
    lengths: np.ndarray, chunk_tokens: int, offsets: np.ndarray, neighbours: np.ndarray, k: int, capacity: int
) -> Rows:
    """Rows of chunks: those of each document in order, each followed by up to k neighbours.

    Documents are taken in order. A chunk that is already in a row, as another's neighbour, is passed over: every token is
    in one row. So are neighbours of the same document and those that do not fit into the row; a document's own chunk that
    does not fit opens the next row. Copies of a document must not be among the documents: they would share rows.

    Args:
        lengths: [n] int64 tokens of each document.
        chunk_tokens: of a chunk, at most capacity; the last of a document may be shorter.
        offsets: [c + 1] int64 of each chunk's neighbours; chunks are numbered document by document.
        neighbours: [e] chunks, the most similar of each list first.
        k: maximum neighbours after a chunk.
    """
    n_chunks = -(-lengths // chunk_tokens)
    document = np.repeat(np.arange(len(lengths)), n_chunks)
    start = (np.arange(len(document)) - np.repeat(np.cumsum(n_chunks) - n_chunks, n_chunks)) * chunk_tokens
    stop = np.minimum(start + chunk_tokens, lengths[document])
    chunk, row = extended(document, stop - start, offsets, neighbours, k, capacity)
    document, start, stop = document[chunk], start[chunk], stop[chunk]
    continues = (document[1:] == document[:-1]) & (start[1:] == stop[:-1]) & (row[1:] == row[:-1])
    first = np.flatnonzero(np.concatenate([[True], ~continues])[: len(row)])  # of chunks that are one piece
    last = np.append(first[1:], len(row))[: len(first)] - 1
    return Rows.by_row(document[first], start[first], stop[last], row[first])


@kernel
def extended(
    document: np.ndarray, lengths: np.ndarray, offsets: np.ndarray, neighbours: np.ndarray, k: int, capacity: int
) -> tuple[np.ndarray, np.ndarray]:
    """[c] the chunks in their order, and [c] the row of each."""
    chunk, row = np.empty(len(document), np.int64), np.empty(len(document), np.int64)
    is_used = np.zeros(len(document), np.bool_)
    n, r, room = 0, 0, capacity
    for i in range(len(document)):
        if is_used[i]:
            continue
        if lengths[i] > room:
            r, room = r + 1, capacity
        chunk[n], row[n], is_used[i] = i, r, True
        n, room, left = n + 1, room - lengths[i], k
        for e in range(offsets[i], offsets[i + 1]):
            j = neighbours[e]
            if left and not is_used[j] and document[j] != document[i] and lengths[j] <= room:
                chunk[n], row[n], is_used[j] = j, r, True
                n, room, left = n + 1, room - lengths[j], left - 1
    return chunk, row
