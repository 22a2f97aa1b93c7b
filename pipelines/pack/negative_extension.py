"""Negative extension: after each chunk of a document come the chunks of other documents that are most similar to it.

Source of the idea: NExtLong, Gao et al. 2025 (arXiv 2501.12766), in its order "chunk first". A distant chunk of the same
document has to be found among similar ones that do not belong to it.

Documents of the path are extended in its order. Further copies and near copies, which left the path, are not: they fill the
ends of rows and rows of their own by best fit.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.pack.packers import Drawn, Rows
from pipelines.pack.packers.best_fit import full_rows
from pipelines.pack.packers.rooms import fill, longest_first, no_rooms, open_windows, unplaced
from pipelines.pieces import divided
from schemas.errors import SchemaError
from schemas.kernels import kernel

LISTS = ("neighbours",)  # columns of CHUNKS that pack reads


@dataclass(frozen=True)
class Chunks:
    """The lists of the chunks of all documents of the path, which are numbered document by document.

    Attributes:
        size: tokens of a chunk, at most the capacity of a row; the last of a document may be shorter.
        offsets: [c + 1] int64 of each chunk's neighbours.
        neighbours: [e] int32 chunks, the most similar of each list first.
        k: maximum neighbours after a chunk.
    """

    size: int
    offsets: np.ndarray
    neighbours: np.ndarray
    k: int

    @classmethod
    def of(cls, table: pa.Table, size: int, k: int) -> "Chunks":
        """table: LISTS of the group's shard of CHUNKS."""
        lists = table["neighbours"].combine_chunks()
        return cls(size, lists.offsets.to_numpy().astype(np.int64), lists.values.to_numpy(), k)


@dataclass(frozen=True)
class Pieces:
    """Pieces of rows. draw: [p] index of the draw; start, stop: [p] its tokens; row: [p]."""

    draw: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    row: np.ndarray

    def rows(self, *others: "Pieces") -> Rows:
        """Rows of these pieces and then of others."""
        draw, start, stop, row = (
            np.concatenate(column) for column in zip(*(vars(each).values() for each in (self, *others)), strict=True)
        )
        order = np.argsort(row, kind="stable")
        return Rows.by_row(draw[order], start[order], stop[order], row[order])


def negative_extension(drawn: Drawn, capacity: int, chunks: Chunks) -> Rows:
    """Rows of chunks: those of each document of the path in order, each followed by up to k neighbours.

    A chunk that is already in a row, as another's neighbour, is passed over: every token is in one row. So are neighbours of
    the same document, those that do not fit into the row, and those of which the row has another draw of the same label; a
    document's own chunk for which one of the last two holds opens the next row.

    Args:
        drawn: the draws, those on the path first.
        capacity: maximum tokens of a row.

    Raises:
        SchemaError: the chunks are those of other draws.
    """
    extended = extended_path(drawn, capacity, chunks)
    off_path = np.flatnonzero(~drawn.on_path)
    full = full_rows(drawn.lengths[off_path], capacity)
    n_rows = int(extended.row.max(initial=-1)) + 1
    rest, row = filled(drawn, capacity, extended, off_path)
    last = int(row.max(initial=n_rows - 1)) + 1
    begin = drawn.lengths[rest] // capacity * capacity
    return extended.rows(
        Pieces(rest, begin, drawn.lengths[rest], row),
        Pieces(off_path[full[0]], full[1], full[1] + capacity, last + np.arange(len(full[0]))),
    )


def extended_path(drawn: Drawn, capacity: int, chunks: Chunks) -> Pieces:
    """Pieces of the documents of the path; chunks that follow each other in their document and in a row are one."""
    lengths = drawn.lengths[drawn.on_path]
    document, start, stop = divided(lengths, chunks.size)
    if len(document) != len(chunks.offsets) - 1:
        raise SchemaError(
            f"CHUNKS has {len(chunks.offsets) - 1:,} chunks and the path {len(document):,}; use tables of the same build"
        )
    chunk, row = extend(document, drawn.documents, stop - start, chunks.offsets, chunks.neighbours, chunks.k, capacity)
    document, start, stop = document[chunk], start[chunk], stop[chunk]
    continues = (document[1:] == document[:-1]) & (start[1:] == stop[:-1]) & (row[1:] == row[:-1])
    first = np.flatnonzero(np.concatenate([[True], ~continues])[: len(row)])  # of chunks that are one piece
    last = np.append(first[1:], len(row))[: len(first)] - 1
    return Pieces(document[first], start[first], stop[last], row[first])


@kernel
def extend(  # noqa: PLR0913, PLR0917 kernel
    document: np.ndarray, labels: np.ndarray, lengths: np.ndarray, offsets: np.ndarray, neighbours: np.ndarray, k: int,
    capacity: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """[c] the chunks in their order, and [c] the row of each.

    Args:
        document, lengths: [c] of each chunk.
        labels: [n] of each document: two of one label never share a row.
    """
    chunk, row = np.empty(len(document), np.int64), np.empty(len(document), np.int64)
    is_used = np.zeros(len(document), np.bool_)
    last_row = np.full(labels.max() + 1 if len(labels) else 0, -1)  # label -> the last row that has it
    holder = np.full(len(last_row), -1)  # label -> its document in that row
    n, r, room = 0, 0, capacity
    for i in range(len(document)):
        if is_used[i]:
            continue
        label = labels[document[i]]
        if lengths[i] > room or (last_row[label] == r and holder[label] != document[i]):
            r, room = r + 1, capacity
        chunk[n], row[n], is_used[i], last_row[label], holder[label] = i, r, True, r, document[i]
        n, room, left = n + 1, room - lengths[i], k
        for e in range(offsets[i], offsets[i + 1]):
            j = neighbours[e]
            if not left or is_used[j] or document[j] == document[i] or lengths[j] > room:
                continue
            label = labels[document[j]]
            if last_row[label] == r and holder[label] != document[j]:
                continue
            chunk[n], row[n], is_used[j], last_row[label], holder[label] = j, r, True, r, document[j]
            n, room, left = n + 1, room - lengths[j], left - 1
    return chunk, row


def filled(drawn: Drawn, capacity: int, extended: Pieces, off_path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The draws off the path that have tokens after their full rows, and the row of each: that with the least room.

    extended: what the rows hold already.
    """
    n_rows = int(extended.row.max(initial=-1)) + 1
    rests = drawn.lengths[off_path] % capacity
    order = longest_first(rests, drawn.documents[off_path])
    pairs, pair = np.unique(
        extended.row * len(drawn) + extended.draw, return_inverse=True
    )  # each draw of each row once
    tokens = np.bincount(pair, extended.stop - extended.start, len(pairs)).astype(np.int64)
    held, rest = pairs % max(1, len(drawn)), off_path[order]
    pieces = unplaced(np.concatenate([tokens, rests[order]]), drawn.documents[np.concatenate([held, rest])])
    rooms = no_rooms(n_rows + len(rest), capacity, len(pairs) + len(rest) + 1)
    open_windows(np.concatenate([pairs // max(1, len(drawn)), np.full(len(rest), -1)]), pieces, rooms)
    free = np.arange(len(pairs), len(pairs) + len(rest))
    fill(free[:0], free, free[:0], np.arange(n_rows), pieces, rooms)
    return rest, pieces.row[len(pairs) :].astype(np.int64)
