"""The most frequent action: one shard, made by a function of some columns of other shards.

Workers receive an action, never documents: they read its shards from the store and write the new one into it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from pipelines import reuse
from pipelines.memory import release
from pipelines.store import Shard, Store, name_of
from schemas.conform import conform
from schemas.tables import BESIDE_DOCUMENTS, TABLES


@dataclass(frozen=True)
class Read:
    """Some columns of a shard: what an action reads, and all of it that the action's name depends on."""

    shard: Shard
    columns: tuple[str, ...]

    def key(self) -> list[object]:
        return [self.shard.table, self.shard.n_rows, {name: self.shard.columns[name] for name in self.columns}]

    @property
    def is_by_document(self) -> bool:
        return self.shard.table in ("DOCUMENTS", *BESIDE_DOCUMENTS)

    def rows(self, rows: np.ndarray, store: Store) -> pa.Table:
        """Some rows, ascending; all of a shard that does not have the rows of DOCUMENTS."""
        if self.is_by_document:
            return reuse.read_rows(self.shard, self.columns, rows, store)
        return store.read(self.shard, self.columns)


@dataclass(frozen=True)
class Action:
    """One shard to make from what it reads. `copies`: rows that need not be made; they do not change the result."""

    name: str
    reads: tuple[Read, ...]
    copies: tuple[reuse.Copy, ...] = ()

    @property
    def n_reused(self) -> int:
        return sum(len(copy.rows) for copy in self.copies)

    def origin(self, made: Shard | None = None) -> reuse.Origin:
        """What its rows are made from: the first read is of DOCUMENTS."""
        verdicts = [
            read.shard
            for read in self.reads
            if read.shard.table in reuse.HAS_ROW and reuse.HAS_ROW[read.shard.table][0] in read.columns
        ]
        return reuse.Origin(self.reads[0].shard, next(iter(verdicts), None), made)

    def document_id(self, store: Store) -> pa.ChunkedArray | None:
        """The column of that name of all rows; None where the action does not read it."""
        shards = [read.shard for read in self.reads if "document_id" in read.columns]
        return store.read(shards[0], ["document_id"])["document_id"] if shards else None


class ReadColumns(Protocol):
    """Reads columns, of some rows, ascending, or of all."""

    def __call__(self, columns: Sequence[str], rows: np.ndarray | None = None) -> pa.Table: ...


def reader(action: Action, tables: Sequence[pa.Table], store: Store) -> ReadColumns:
    """Reads from what an action reads. tables: that, complete; empty where only some rows were read."""

    def read(columns: Sequence[str], rows: np.ndarray | None = None) -> pa.Table:
        parts: dict[str, pa.ChunkedArray] = {}
        for k, each in enumerate(action.reads):
            names = [name for name in columns if name in each.columns]
            if tables:
                part = tables[k].select(names)
                part = part if rows is None else reuse.in_order(part, rows)
            elif rows is None:
                part = store.read(each.shard, names)
            else:
                part = reuse.read_rows(each.shard, names, rows, store)
            parts |= dict(zip(names, part.columns, strict=True))
        return pa.table(parts)

    return read


@dataclass(frozen=True)
class ShardStage:
    """A stage that makes each shard of `table` by `function(*tables, params)` from some columns of other shards.

    version: raised when the same params would give other rows.
    same: columns of DOCUMENTS. A row depends on no more of a document that dedup kept; the rest of what the function reads
        is the same for all documents. Empty where a row depends on other documents: no row is reused.
    finish: completes the table of a shard where some columns depend on all of its rows. Called with all rows, reused ones
        too, and with a function that reads columns of some rows or of all.
    """

    stage: str
    version: int
    table: str
    function: Callable[..., pa.Table]
    same: tuple[str, ...] = ()
    finish: Callable[[pa.Table, ReadColumns, Any], pa.Table] | None = None

    def actions(self, params: BaseModel, reads: Iterable[tuple[Read, ...]]) -> list[Action]:
        """An action for each tuple of reads."""
        return [
            Action(name_of(self.stage, self.version, params, [read.key() for read in each]), each) for each in reads
        ]

    def with_copies(self, actions: Sequence[Action], earlier: Sequence[Action], store: Store) -> list[Action]:
        """The actions with the rows that they share with what earlier actions of this stage and these params made."""
        shards = [(action, store.find(self.stage, action.name)) for action in earlier]
        origins = [
            action.origin(made[0])
            for action, made in shards
            if made and all(store.is_listed(read.shard) for read in action.reads)
        ]
        if not origins:
            return list(actions)
        index = reuse.Index(origins, self.same, store)
        return [replace(action, copies=index.copies(action.origin())) for action in actions]

    def make(self, action: Action, params: BaseModel, store: Store) -> int:
        """Read, call the function, write the shard, commit. Returns the rows made."""
        if action.copies:
            tables, made = self.completed(action, params, store)
        else:
            tables = [store.read(read.shard, read.columns) for read in action.reads]
            made = self.function(*tables, params)
        if self.finish:
            made = self.finish(made, reader(action, [] if action.copies else tables, store), params)
        shard = store.write(self.table, reuse.compact(made) if self.same else made)
        n_bytes = sum(table.nbytes for table in tables)
        store.commit(self.stage, action.name, [shard], shard.n_rows, n_bytes, action.n_reused)
        del tables, made
        release()
        return shard.n_rows

    def completed(self, action: Action, params: BaseModel, store: Store) -> tuple[list[pa.Table], pa.Table]:
        """What was read, and the copied rows with those that the function makes."""
        rows = reuse.missing(action.reads[0].shard.n_rows, action.copies)
        tables = [read.rows(rows, store) for read in action.reads]
        made = TABLES[self.table].empty_table()
        if len(rows):
            made = conform(self.function(*tables, params), made.schema, self.table)
        return tables, reuse.merged(made, action.copies, action.document_id(store), store)


class Reused(NamedTuple):
    """Documents of the shards that a stage made, and those among them whose rows were copied from earlier shards."""

    n_reused: int = 0
    n_documents: int = 0

    def plus(self, actions: Sequence[Action]) -> "Reused":
        n_documents = sum(action.reads[0].shard.n_rows for action in actions)
        return Reused(self.n_reused + sum(a.n_reused for a in actions), self.n_documents + n_documents)


def earlier_reads(like: tuple[Read, ...], earlier: Mapping[str, list[Shard]]) -> Iterator[tuple[Read, ...]]:
    """The same reads of each shard of an earlier version's DOCUMENTS and the shards beside it."""
    n_shards = min(len(earlier.get(read.shard.table, ())) for read in like if read.is_by_document)
    for k in range(n_shards):
        shards = [earlier[read.shard.table][k] if read.is_by_document else read.shard for read in like]
        if all(set(read.columns) <= set(shard.columns) for read, shard in zip(like, shards, strict=True)):
            yield tuple(replace(read, shard=shard) for read, shard in zip(like, shards, strict=True))
