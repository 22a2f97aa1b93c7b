"""Write tokens to their planned places: each TOKENS shard is read once and written into one flat file per group.

A flat file is little-endian int32, row after row. Pad tokens are left out: they are filled in when the file is read. Workers write to disjoint ranges of the same files,
so the order of writes does not matter, and writing a piece twice is idempotent.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.pack.packers import Rows
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch, write_at
from schemas.errors import SchemaError, StageError

PIECE = np.dtype([("row", "<i4"), ("start", "<i4"), ("stop", "<i4"), ("group", "<i4"), ("place", "<i8")])


class Index:
    """The shard and row of each document's tokens, by document_id. About 60 bytes per document."""

    def __init__(self, tokens: Sequence[Shard], store: Store):
        ids, shards, rows, lengths = [], [], [], []
        for i, shard in enumerate(tokens):
            table = store.read(shard, ("document_id", "n_tokens"))
            kept = pc.is_valid(table["n_tokens"]).to_numpy()
            ids.append(table["document_id"].filter(kept))
            lengths.append(table["n_tokens"].drop_null().to_numpy())
            rows.append(np.flatnonzero(kept).astype(np.int32))
            shards.append(np.full(len(rows[-1]), i, np.int32))
        self.ids = pa.chunked_array([chunk for column in ids for chunk in column.chunks], pa.string())
        self.shard, self.row, self.n_tokens = (np.concatenate(c) for c in (shards, rows, lengths))

    def find(self, draws: pa.Table) -> np.ndarray:
        """[n] the position in this index of each draw.

        Raises:
            SchemaError: the document of a draw has no tokens, or a different number of tokens.
        """
        positions_or_null = pc.index_in(draws["document_id"], value_set=self.ids)
        if positions_or_null.null_count:
            missing = draws["document_id"].filter(pc.is_null(positions_or_null))[0]
            raise SchemaError(f"DRAWS: {missing}: no such document in TOKENS; use tables of the same build")
        positions = positions_or_null.to_numpy()
        different = np.flatnonzero(self.n_tokens[positions] != draws["n_tokens"].to_numpy())
        if len(different):
            draw = draws.slice(int(different[0]), 1).to_pylist()[0]
            raise SchemaError(
                f"DRAWS: {draw['document_id']}: {draw['n_tokens']} tokens, but "
                f"{self.n_tokens[positions[different[0]]]} in TOKENS; use tables of the same build"
            )
        return positions


def pieces_of(number: int, rows: Rows, positions: np.ndarray, index: Index) -> tuple[np.ndarray, np.ndarray]:
    """[p] the TOKENS shard of each piece of a group, and [p] PIECE: what to write, and where.

    positions: of the group's draws in the index.
    """
    pieces = np.empty(len(rows.draw), PIECE)
    position = positions[rows.draw]
    pieces["row"], pieces["group"] = index.row[position], number
    pieces["start"], pieces["stop"] = rows.start, rows.stop
    pieces["place"] = np.cumsum(rows.lengths) - rows.lengths
    return index.shard[position], pieces


def by_shard(groups: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """The pieces of all groups by TOKENS shard, each shard's in the order of its rows.

    groups: the result of pieces_of() for each group.
    """
    shards, pieces = (np.concatenate(column) for column in zip(*groups, strict=True))
    order = np.lexsort((pieces["row"], shards))
    numbers, starts = np.unique(shards[order], return_index=True)
    for number, members in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        yield number, pieces[members]


def flat_file(number: int) -> str:
    return f"{number}.tokens"


def scatter(work: tuple[Shard, str], store: Store, scratch: Scratch) -> list[tuple[int, int]]:
    """Write the drawn tokens of a TOKENS shard to their places. Memory: one row group of the shard.

    Args:
        work: the shard, and the name of the file with its PIECEs, see by_shard().

    Returns:
        (group, number of tokens written) for each group.
    """
    shard, file = work
    pieces = np.load(scratch.path(file))
    written = {int(group): 0 for group in np.unique(pieces["group"])}
    with ExitStack() as stack:
        flat = {g: stack.enter_context(open(scratch.path(flat_file(g)), "r+b", buffering=0)) for g in written}
        parquet = stack.enter_context(store.open(shard))
        first = 0
        for i in range(parquet.num_row_groups):
            stop = first + parquet.metadata.row_group(i).num_rows
            selected = pieces[np.searchsorted(pieces["row"], first) : np.searchsorted(pieces["row"], stop)]
            if len(selected):
                ids = parquet.read_row_group(i, columns=["input_ids"])["input_ids"].combine_chunks()
                for group, n_tokens in write_pieces(ids, selected, first, flat, store.path(shard)):
                    written[group] += n_tokens
            first = stop
    return list(written.items())


def write_pieces(
    ids: pa.ListArray, pieces: np.ndarray, first: int, flat: Mapping[int, BinaryIO], path: Path
) -> Iterator[tuple[int, int]]:
    """Write the pieces of a row group, one system call each, and yield (group, number of tokens) for each group.

    Args:
        ids: input_ids of the row group.
        first: the row of the shard with which it begins.
        flat: the file of each group.

    Raises:
        SchemaError: a piece ends behind its document.
    """
    offsets = ids.offsets.to_numpy().astype(np.int64)
    row = pieces["row"] - first
    starts, stops = offsets[row] + pieces["start"], offsets[row] + pieces["stop"]
    outside = np.flatnonzero(stops > offsets[row + 1])
    if len(outside):
        piece = pieces[outside[0]]
        raise SchemaError(f"{path}: row {piece['row']} has no token {piece['stop'] - 1}; build it again")
    tokens = memoryview(ids.values.to_numpy().astype("<i4", copy=False)).cast("B")
    for group in np.unique(pieces["group"]).tolist():
        own = pieces["group"] == group
        places = [(4 * column[own]).tolist() for column in (starts, stops, pieces["place"])]
        descriptor = flat[group].fileno()
        for start, stop, place in zip(*places, strict=True):
            write_at(descriptor, tokens[start:stop], place)
        yield group, int((stops - starts)[own].sum())


def write_pads(tokens: np.ndarray, rows: Rows, pieces: slice, pads: Sequence[int]) -> None:
    """Write the pad tokens of consecutive pieces to their places.

    Args:
        tokens: those of the pieces, one after another.
        pads: the ids that rows.pad is an index in.
    """
    n_pad = rows.n_pad[pieces]
    if n_pad.any():
        ends = np.cumsum(rows.lengths[pieces])
        last = np.repeat(ends - np.cumsum(n_pad), n_pad)  # place of a pad token minus its index among all pad tokens
        tokens[last + np.arange(len(last))] = np.repeat(np.asarray(pads, tokens.dtype)[rows.pad[pieces]], n_pad)


def check_all_written(number: int, n_written: int, n_planned: int) -> None:
    """
    Raises:
        StageError: the numbers differ.
    """
    if n_written != n_planned:
        raise StageError(
            f"pack: {n_written:,} tokens of group {number} were written, not the {n_planned:,} planned; "
            "run the build again"
        )
