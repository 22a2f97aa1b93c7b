"""The documents of a mix as an order needs them: where they lie, and which of two comes first in dedup's order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.documents import side_by_side
from pipelines.keys import contents
from pipelines.stage import Read
from pipelines.store import Shard, Store
from schemas.errors import SchemaError

COLUMNS = ("document_id", "source", "file", "record", "n_bytes")  # of DOCUMENTS


@dataclass(frozen=True, eq=False)
class Members:
    """The drawn documents, ascending by content_hash, about 250 bytes each.

    Attributes:
        document_id, content_hash: [n] strings.
        content: [n, 2] uint64, see keys.contents.
        rank: [n] int64 in dedup's order: drawn in the base first, the recipe's order of sources, longer first, content_hash.
        shard, row: [n] int32 of DOCUMENTS.
        paths: [n] rows of source, file, record.
    """

    document_id: pa.Array
    content_hash: pa.Array
    content: np.ndarray
    rank: np.ndarray
    shard: np.ndarray
    row: np.ndarray
    paths: pa.Table

    def __len__(self) -> int:
        return len(self.content)

    @classmethod
    def of(cls, tables: Mapping[str, list[Shard]], sources: Sequence[str], base: Sequence[Shard], store: Store) -> Self:
        """
        Args:
            tables: DOCUMENTS, TOKENS and DRAWS of this build.
            sources: their names, in the order of the recipe.
            base: DRAWS of the base version.

        Raises:
            SchemaError: a draw names a document that is not encoded.
        """
        drawn = pa.concat_tables([store.read(s, ("document_id", "content_hash", "epoch")) for s in tables["DRAWS"]])
        drawn = drawn.filter(pc.equal(drawn["epoch"], 0))
        drawn = drawn.take(pc.sort_indices(drawn["content_hash"])).combine_chunks()
        found = located(tables["DOCUMENTS"], tables["TOKENS"], drawn["document_id"], store)
        place = pc.index_in(drawn["document_id"], value_set=found["document_id"].combine_chunks())
        if place.null_count:
            missing = drawn["document_id"].filter(pc.is_null(place))[0]
            raise SchemaError(f"DRAWS: {missing}: no such document is encoded; use tables of the same build")
        found = found.take(place).combine_chunks()
        kept = [store.read(shard, ("document_id",))["document_id"] for shard in base]
        is_kept = pc.is_in(drawn["document_id"], value_set=pa.chunked_array(kept, pa.string()).combine_chunks())
        content = contents(drawn["content_hash"])
        source = pc.index_in(found["source"], value_set=pa.array(sources, pa.string())).to_numpy()
        keys = (np.arange(len(content)), -found["n_bytes"].to_numpy(), source, ~is_kept.to_numpy())
        rank = np.empty(len(content), np.int64)
        rank[np.lexsort(keys)] = np.arange(len(content))
        return cls(
            drawn["document_id"].combine_chunks(), drawn["content_hash"].combine_chunks(), content, rank,
            found["shard"].to_numpy(), found["row"].to_numpy(), found.select(["source", "file", "record"]),
        )  # fmt: skip

    def find(self, document_ids: pa.ChunkedArray) -> np.ndarray:
        """[n] index of each document."""
        return pc.index_in(document_ids, value_set=self.document_id).to_numpy()

    def digest(self) -> str:
        """A hash of what an order depends on besides content: which document comes first, and their paths."""
        in_order = np.argsort(self.rank, kind="stable").astype("<i4")
        paths = "\0".join(str(value) for column in self.paths.columns for value in column.to_pylist())
        return blake2b(in_order.tobytes() + paths.encode(), digest_size=16).hexdigest()

    def take(self, chosen: np.ndarray) -> "Members":
        """Some of them, ascending."""
        index = pa.array(chosen)
        return Members(
            self.document_id.take(index), self.content_hash.take(index), self.content[chosen], self.rank[chosen],
            self.shard[chosen], self.row[chosen], self.paths.take(index),
        )  # fmt: skip


def located(documents: Sequence[Shard], tokens: Sequence[Shard], ids: pa.ChunkedArray, store: Store) -> pa.Table:
    """COLUMNS, shard and row of the encoded documents with these ids."""
    found = []
    value_set = ids.combine_chunks()
    for k, (own, encoded) in enumerate(zip(documents, tokens, strict=True)):
        table = side_by_side([(Read(own, COLUMNS), Read(encoded, ("n_tokens",)))], store)
        chosen = pc.and_(pc.is_valid(table["n_tokens"]), pc.is_in(table["document_id"], value_set=value_set))
        rows = np.flatnonzero(chosen.to_numpy()).astype(np.int32)
        table = table.select(COLUMNS).take(pa.array(rows))
        places = {"shard": np.full(len(rows), k, np.int32), "row": rows}
        for name, values in places.items():
            table = table.append_column(name, pa.array(values))
        found.append(table)
    return pa.concat_tables(found)
