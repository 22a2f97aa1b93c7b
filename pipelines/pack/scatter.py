"""Tokens to their planned places: each TOKENS shard is read once and writes into a flat file for each group.

A flat file is int32, little-endian, row after row without padding. Workers write to different places of the same files,
so the order in which they come can't show, and to write a piece twice does no harm.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.pack.packers import Rows
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch, write_at
from schemas.errors import SchemaError, StageError

PIECE = np.dtype([("row", "<i4"), ("start", "<i4"), ("stop", "<i4"), ("group", "<i4"), ("place", "<i8")])


class Index:
    """Where each document's tokens lie: shard and row, by document_id. About 60 bytes a document."""

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
        """[n] the place in this index of each draw.

        Raises:
            SchemaError: a draw is of a document that has no tokens, or another number of them.
        """
        found = pc.index_in(draws["document_id"], value_set=self.ids)
        if found.null_count:
            missing = draws["document_id"].filter(pc.is_null(found))[0]
            raise SchemaError(f"DRAWS: {missing}: no such document in TOKENS; both must be of the same build")
        places = found.to_numpy()
        differ = np.flatnonzero(self.n_tokens[places] != draws["n_tokens"].to_numpy())
        if len(differ):
            wrong = draws.slice(int(differ[0]), 1).to_pylist()[0]
            raise SchemaError(
                f"DRAWS: {wrong['document_id']}: {wrong['n_tokens']} tokens, not the "
                f"{self.n_tokens[places[differ[0]]]} of TOKENS; both must be of the same build"
            )
        return places


def pieces_of(number: int, rows: Rows, places: np.ndarray, index: Index) -> tuple[np.ndarray, np.ndarray]:
    """[p] the TOKENS shard of each piece of a group, and [p] PIECE what to write of it, where."""
    pieces = np.empty(len(rows.draw), PIECE)
    where = places[rows.draw]
    pieces["row"], pieces["group"] = index.row[where], number
    pieces["start"], pieces["stop"] = rows.start, rows.stop
    lengths = rows.stop - rows.start
    pieces["place"] = np.cumsum(lengths) - lengths
    return index.shard[where], pieces


def by_shard(found: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """The pieces of all groups, TOKENS shard by TOKENS shard, each in the order of its rows."""
    shards, pieces = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((pieces["row"], shards))
    numbers, starts = np.unique(shards[order], return_index=True)
    for number, members in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        yield number, pieces[members]


def flat_file(number: int) -> str:
    return f"{number}.tokens"


def scatter(work: tuple[Shard, str], store: Store, scratch: Scratch) -> list[tuple[int, int]]:
    """Write what was drawn of a TOKENS shard to its places; memory is that of one of its row groups.

    Args:
        work: the shard, and the name of a file of the PIECEs to write, as by_shard() gave them.

    Returns:
        (group, tokens written) of each group.
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
            wanted = pieces[np.searchsorted(pieces["row"], first) : np.searchsorted(pieces["row"], stop)]
            if len(wanted):
                ids = parquet.read_row_group(i, columns=["input_ids"])["input_ids"].combine_chunks()
                values, starts = ids.values.to_numpy(), ids.offsets.to_numpy().astype(np.int64)
                for row, start, stop_at, group, place in wanted.tolist():
                    at = starts[row - first]
                    if stop_at > starts[row - first + 1] - at:
                        raise SchemaError(f"{store.path(shard)}: row {row} has no token {stop_at - 1}; build it again")
                    tokens = values[at + start : at + stop_at].astype("<i4", copy=False)
                    write_at(flat[group].fileno(), memoryview(tokens).cast("B"), 4 * place)
                    written[group] += stop_at - start
            first = stop
    return list(written.items())


def check_all_written(number: int, n_written: int, n_planned: int) -> None:
    """
    Raises:
        StageError: the numbers differ.
    """
    if n_written != n_planned:
        raise StageError(
            f"pack: {n_written:,} tokens of group {number} were written, not the {n_planned:,} planned; run it again"
        )
