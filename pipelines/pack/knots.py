"""Untie the Knots: the documents of a row are cut into chunks, and the chunks of several documents are interleaved.

Source of the idea: Tian et al. 2024 (arXiv 2409.04774). A set is the next K documents of a row, K being the number of the
recipe's knot tokens. Chunks of a set are in a keyed order in which those of each document keep theirs. After each chunk
but a document's last stands the marker of the document, its own in the set, so a reader can tell which document goes on.

Unlike the paper, chunks have a fixed length, every row of two or more documents is interleaved, a chunk has a marker at its
end only, and no list of chunks follows a document.
"""

from dataclasses import replace

import numpy as np

from pipelines.keys import mixed
from pipelines.pack.packers import Rows


def knotted(rows: Rows, keys: np.ndarray, chunk_tokens: int, n_knots: int) -> Rows:
    """The same rows, with interleaved chunks and their markers.

    A row of n tokens gets at most n / chunk_tokens markers.

    Args:
        keys: [n] uint64 of each draw, see pipelines.keys.
        chunk_tokens: tokens of a chunk; the last of a document may be shorter.
        n_knots: number of marker tokens.
    """
    row, in_row = rows.row, np.arange(len(rows.draw)) - np.repeat(rows.offsets[:-1], np.diff(rows.offsets))
    members = np.diff(rows.offsets)[row]
    in_set = in_row % n_knots
    is_alone = (in_set == 0) & (in_row == members - 1)  # nothing to interleave it with
    tokens = rows.stop - rows.start
    n_chunks = np.where(is_alone, 1, -(-tokens // chunk_tokens))
    piece = np.repeat(np.arange(len(rows.draw)), n_chunks)
    index = np.arange(len(piece)) - np.repeat(np.cumsum(n_chunks) - n_chunks, n_chunks)
    is_last = index == n_chunks[piece] - 1
    start = rows.start[piece] + index * chunk_tokens
    stop = np.where(is_last, rows.stop[piece], start + chunk_tokens)
    shuffle = mixed(keys[rows.draw[piece]] ^ mixed(start.astype(np.uint64)))
    group = in_row[piece] // n_knots
    slots = np.lexsort((shuffle, group, row[piece]))  # which document's chunk comes in each place
    own = np.argsort(piece[slots], kind="stable")  # the places of each document, in order; chunks are by document
    order = np.empty(len(piece), np.int64)
    order[own] = np.arange(len(piece))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, n_chunks, len(rows)).astype(np.int64))])
    chunks = Rows(rows.draw[piece], start, stop, offsets, (~is_last).astype(np.int64), in_set[piece])
    return replace(chunks.pieces(order), offsets=offsets)
