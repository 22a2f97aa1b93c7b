"""Pieces of documents that are read shard by shard: where the tokens of a document are, and which of them each piece takes."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.store import Shard, Store
from schemas.errors import SchemaError

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


def divided(lengths: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[c] the document, and [c] int64 the first and the end of the tokens in it, of each chunk, document by document.

    Args:
        lengths: [n] int64 tokens of each document.
        size: tokens of a chunk; the last of a document may be shorter.
    """
    n_chunks = -(-lengths // size)
    document = np.repeat(np.arange(len(lengths)), n_chunks)
    start = (np.arange(len(document)) - np.repeat(np.cumsum(n_chunks) - n_chunks, n_chunks)) * size
    return document, start, np.minimum(start + size, lengths[document])


def by_shard(groups: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """The pieces of all groups by TOKENS shard, each shard's in the order of its rows.

    groups: (TOKENS shard of each piece, PIECEs) of each group.
    """
    groups = list(groups)
    if not groups:
        return
    shards, pieces = (np.concatenate(column) for column in zip(*groups, strict=True))
    order = np.lexsort((pieces["row"], shards))
    numbers, starts = np.unique(shards[order], return_index=True)
    for number, members in zip(numbers.tolist(), np.split(order, starts)[1:], strict=True):
        yield number, pieces[members]
