"""The small columns of all documents in one process: what a model's budget and a plan are decided from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys import contents
from pipelines.stage import Read
from pipelines.store import Store


def side_by_side(reads: Sequence[tuple[Read, ...]], store: Store) -> pa.Table:
    """The columns of each tuple of reads, whose shards have the same rows, as one table: shard after shard."""
    shards = [{name: column for read in each for name, column in columns_of(read, store).items()} for each in reads]
    return pa.concat_tables([pa.table(columns) for columns in shards])


def columns_of(read: Read, store: Store) -> dict[str, pa.ChunkedArray]:
    table = store.read(read.shard, read.columns)
    return dict(zip(table.column_names, table.columns, strict=True))


def text_tokens(input_ids: pa.ChunkedArray, row: int, marks: int) -> np.ndarray:
    """[n_tokens - marks] int32: the tokens of a document's text, copied, so that the shard need not stay in memory.

    Args:
        input_ids: of TOKENS.
        marks: of each row, see EncodeParams.n_marks.
    """
    return np.array(input_ids[row].values.to_numpy()[marks - 1 : -1])


@dataclass(frozen=True)
class Chunking:
    """How the rows of TOKENS are cut into chunks of the text, without marks. marks: of each row, see EncodeParams.n_marks."""

    chunk_tokens: int
    marks: int

    def n_chunks(self, n_tokens: np.ndarray) -> np.ndarray:
        """[n] whole chunks of each document. n_tokens: [n] as in TOKENS, marks included; 0 where it is NULL."""
        return np.maximum(n_tokens - self.marks, 0) // self.chunk_tokens


@dataclass(frozen=True, eq=False)
class Documents:
    """One row for each document, about 150 bytes each.

    Attributes:
        document_id, content_hash: [n] strings.
        domains: ascending; `domain` [n] int64 is a place among them.
        n_tokens: [n] int64, EOS and BOS included; 0 where the document was dropped or refused.
    """

    document_id: pa.ChunkedArray
    content_hash: pa.ChunkedArray
    domains: tuple[str, ...]
    domain: np.ndarray
    n_tokens: np.ndarray

    @classmethod
    def of(cls, table: pa.Table, named: Sequence[str] = ()) -> Self:
        """Documents of a table with these columns. `named`: domains to list even where no document has them."""
        domains = tuple(sorted({*table["domain"].unique().to_pylist(), *named}))
        domain = pc.index_in(table["domain"], value_set=pa.array(domains, pa.string()))
        return cls(
            table["document_id"],
            table["content_hash"],
            domains,
            domain.to_numpy().astype(np.int64),
            table["n_tokens"].fill_null(0).to_numpy().astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.n_tokens)

    @cached_property
    def content(self) -> np.ndarray:
        """[n, 2] uint64: content_hash as numbers, whose order is that of the strings."""
        return contents(self.content_hash)

    def take(self, mask: np.ndarray) -> "Documents":
        """The documents where a mask [n] is true."""
        ids, hashes = (column.filter(pa.array(mask)) for column in (self.document_id, self.content_hash))
        return Documents(ids, hashes, self.domains, self.domain[mask], self.n_tokens[mask])
