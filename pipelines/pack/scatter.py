"""Write tokens to their planned places: each TOKENS shard is read once and written into one flat file per group.

A flat file is little-endian int32, row after row. Pad tokens are left out: they are filled in when the file is read. Workers write to disjoint ranges of the same files,
so the order of writes does not matter, and writing a piece twice is idempotent.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from pipelines.pack.packers import Rows
from pipelines.pieces import PIECE, Index
from pipelines.row_groups import row_groups_with
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch, write_at
from schemas.errors import SchemaError, StageError


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
        for number, first, own in row_groups_with(pieces["row"], parquet):
            ids = parquet.read_row_group(number, columns=["input_ids"])["input_ids"].combine_chunks()
            for group, n_tokens in write_pieces(ids, pieces[own], first, flat, store.path(shard)):
                written[group] += n_tokens
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
