"""Rows of earlier shards that a stage need not make again: those of documents that did not change.

A row of SIGNATURES, TOKENS or SCORES_CHEAP depends on one document alone. Where documents were inserted, changed or
removed, shards of DOCUMENTS change, and with them the names of the actions that read them, but most rows stay. Those are
copied from the shards that the same stage made of an earlier version with the same params. A copied row has the bytes
that the stage would make, so earlier shards are no part of an action's name.

Only shards that a version no longer contains are read for it, so the work grows with what changed. The driver holds 24 bytes
for each of their rows, and as much again while it sorts them. A worker holds at most
three times the rows of the new shard: twice as they are read, and once in their order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from pipelines.keys import contents
from pipelines.row_groups import row_groups_with
from pipelines.store import Shard, Store
from schemas.tables import TABLES

HAS_ROW = {"DUPLICATES": ("verdict", "kept"), "TOKENS": ("status", "encoded")}  # of documents that a stage works on
MIN_SHARE = 0.05  # of an earlier shard's rows; fewer are not worth reading it: they are made


@dataclass(frozen=True)
class Origin:
    """What the rows of a shard are made from.

    Attributes:
        verdicts: the shard of a table of HAS_ROW, where the stage makes no row of some documents; else None.
        made: the shard that was made from it, where it is an earlier one.
    """

    documents: Shard
    verdicts: Shard | None
    made: Shard | None = None


@dataclass(frozen=True, eq=False)
class Copy:
    """Rows of an earlier shard that a new shard contains too. rows, to: [n] int32, ascending rows of the earlier shard, and
    the row of the new shard that each becomes."""

    shard: Shard
    rows: np.ndarray
    to: np.ndarray


class Index:
    """The rows of all earlier shards, by what they depend on."""

    def __init__(self, earlier: Sequence[Origin], same: Sequence[str], store: Store):
        """same: columns of DOCUMENTS; rows that are equal in them are equal in the stage's table."""
        self.same, self.store = same, store
        self.shards = [origin.made for origin in earlier if origin.made]
        parts = [usable(origin, same, store) for origin in earlier if origin.made]
        keys = np.concatenate([np.empty(0, "S16"), *(keys for _, keys in parts)])
        rows = np.concatenate([np.empty(0, np.int32), *(rows for rows, _ in parts)])
        shard = np.repeat(np.arange(len(parts), dtype=np.int32), [len(rows) for rows, _ in parts])
        order = np.argsort(keys, kind="stable")
        keys, rows, shard = keys[order], rows[order], shard[order]
        is_first = np.ones(len(keys), bool)  # of its key and shard: a text may fill a shard
        is_first[1:] = (keys[1:] != keys[:-1]) | (shard[1:] != shard[:-1])
        self.keys, self.rows, self.shard = keys[is_first], rows[is_first], shard[is_first]

    def copies(self, new: Origin) -> tuple[Copy, ...]:
        """The rows of a new shard that earlier shards have, from as few of these as a simple rule finds: those that have
        more of the rows come first."""
        rows, keys = usable(new, self.same, self.store)
        distinct, number, n_rows = np.unique(keys, return_inverse=True, return_counts=True)
        begins, ends = (np.searchsorted(self.keys, distinct, side) for side in ("left", "right"))
        n_matches = ends - begins
        key = np.repeat(np.arange(len(distinct)), n_matches)
        match = np.arange(len(key)) + np.repeat(begins - np.cumsum(n_matches) + n_matches, n_matches)
        preference = np.bincount(self.shard[match], weights=n_rows[key], minlength=len(self.shards))
        order = np.lexsort((self.shard[match], -preference[self.shard[match]], key))
        best = np.full(len(distinct), -1)
        first = order[np.flatnonzero(np.diff(key[order], prepend=-1))]
        best[key[first]] = match[first]
        is_there = best[number] >= 0
        match = best[number][is_there]
        return tuple(self.worthwhile(self.shard[match], self.rows[match], rows[is_there]))

    def worthwhile(self, shard: np.ndarray, row: np.ndarray, to: np.ndarray) -> Iterator[Copy]:
        for number in np.unique(shard).tolist():
            mine = np.flatnonzero(shard == number)
            if len(mine) >= MIN_SHARE * self.shards[number].n_rows:
                mine = mine[np.argsort(row[mine], kind="stable")]
                yield Copy(self.shards[number], row[mine], to[mine])


def usable(origin: Origin, same: Sequence[str], store: Store) -> tuple[np.ndarray, np.ndarray]:
    """([n] int32 rows, [n] S16 keys) of the documents that a shard has a row of the stage for."""
    documents = store.read(origin.documents, same)
    keys = contents(documents["content_hash"]).astype(">u8")
    for name in same:
        if name != "content_hash":
            keys ^= value_hashes(documents[name])
    keys = np.ascontiguousarray(keys).view("S16").ravel()
    if origin.verdicts is None:
        return np.arange(len(keys), dtype=np.int32), keys
    column, value = HAS_ROW[origin.verdicts.table]
    import pyarrow.compute as pc  # slow to import, and `longmix query` needs none

    has_row = pc.equal(store.read(origin.verdicts, [column])[column], value).to_numpy()
    return np.flatnonzero(has_row).astype(np.int32), keys[has_row]


def value_hashes(column: pa.ChunkedArray) -> np.ndarray:
    """[n, 2] uint64: a hash of each value of a column of few values."""
    encoded = column.combine_chunks().dictionary_encode()
    digests = [blake2b(value.encode(), digest_size=16).digest() for value in encoded.dictionary.to_pylist()]
    return np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2)[encoded.indices.to_numpy()]


# -- in a worker


def missing(n_rows: int, copies: Iterable[Copy]) -> np.ndarray:
    """The rows of a new shard that are not copied, ascending."""
    is_missing = np.ones(n_rows, bool)
    for copy in copies:
        is_missing[copy.to] = False
    return np.flatnonzero(is_missing)


def read_rows(shard: Shard, columns: Sequence[str], rows: np.ndarray, store: Store) -> pa.Table:
    """Some rows of a shard, ascending, in the types of the contract. Row groups without any of them are not read.

    Raises:
        DamagedError: the shard's file is missing, or its bytes differ from its seal.
    """
    schema = pa.schema([TABLES[shard.table].field(name) for name in columns])
    pieces = [schema.empty_table()]
    with store.open(shard) as file:
        for number, first, own in row_groups_with(rows, file):
            group = file.read_row_group(number, list(columns)).select(list(columns))
            pieces.append(group.take(rows[own] - first).cast(schema))
    return pa.concat_tables(pieces)


def read_copied(copy: Copy, columns: Sequence[str], store: Store) -> tuple[pa.Table, np.ndarray]:
    """A table that contains the rows to copy, and their places in it. A shard that is mostly copied is read as it is."""
    if 2 * len(copy.rows) >= copy.shard.n_rows:
        return store.read(copy.shard, columns), copy.rows
    return read_rows(copy.shard, columns, copy.rows, store), np.arange(len(copy.rows))


def merged(made: pa.Table, copies: Sequence[Copy], document_id: pa.ChunkedArray | None, store: Store) -> pa.Table:
    """A new shard's rows, in order.

    Args:
        made: the rows that are not copied.
        document_id: of all rows, where the table has that column. It is never copied: it depends on more than the text.
    """
    columns = [name for name in made.column_names if name != "document_id"]
    n_rows = made.num_rows + sum(len(copy.rows) for copy in copies)
    pieces, order = [made.select(columns)], np.empty(n_rows, np.int64)
    order[missing(n_rows, copies)] = np.arange(made.num_rows)
    first = made.num_rows
    for copy in copies:
        piece, rows = read_copied(copy, columns, store)
        order[copy.to] = first + rows
        pieces.append(piece)
        first += piece.num_rows
    table = in_order(pa.concat_tables(pieces), order)
    return table if document_id is None else table.append_column("document_id", document_id)


def in_order(table: pa.Table, order: np.ndarray) -> pa.Table:
    """table.take(order), as slices of neighbours: without a copy, where Arrow's take copies lists at 200 MB a second."""
    begins = np.flatnonzero(np.diff(order, prepend=-2) != 1)
    lengths = np.diff(begins, append=len(order))
    slices = (table.slice(order[at], n) for at, n in zip(begins.tolist(), lengths.tolist(), strict=True))
    return pa.concat_tables([table.slice(0, 0), *slices])


def compact(table: pa.Table) -> pa.Table:
    """The same rows in one chunk, without validity bitmaps that mark no NULL: the store divides equal tables into equal
    row groups."""
    return pa.table(dict(zip(table.column_names, map(one_chunk, table.columns), strict=True)))


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1 and is_compact(column.chunk(0)):
        return column.chunk(0)
    return pa.concat_arrays([*column.chunks, pa.array([], column.type)])


def is_compact(array: pa.Array) -> bool:
    """Whether an array has no rows before it and a validity bitmap exactly if it has a NULL, its values too."""
    if array.offset or (array.buffers()[0] is None) != (array.null_count == 0):
        return False
    kind = array.type
    return not pa.types.is_nested(kind) or (pa.types.is_list(kind) and is_compact(array.values))
