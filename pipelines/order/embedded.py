"""The vectors of the members of a mix, read shard by shard."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipelines.order.members import Members
from pipelines.stage import Read
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch


def vectors_file(group: int) -> str:
    return f"{group}.vectors"


@dataclass(frozen=True)
class Embedded:
    """EMBEDDINGS of the members."""

    shards: Sequence[Shard]
    members: Members
    store: Store

    def key(self) -> list[object]:
        """What the vectors depend on, for the name of an action."""
        return [Read(shard, ("document_id", "vector")).key() for shard in self.shards]

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(members, their vectors [n, d] float32) of each shard; zeros where a document has no vector."""
        for k in range(len(self.shards)):
            chosen, column = self.column(k)
            block = np.zeros((len(chosen), self.dimensions), np.float32)
            block[column.is_valid().to_numpy()] = values_of(column).reshape(-1, self.dimensions)
            if len(chosen):
                yield chosen, block

    def column(self, k: int) -> tuple[np.ndarray, pa.ChunkedArray]:
        """The members of a shard and their vectors."""
        chosen = np.flatnonzero(self.members.shard == k)
        if not len(chosen):
            return chosen, pa.chunked_array([], pa.list_(pa.float32()))
        column = self.store.read(self.shards[k], ("vector",))["vector"]
        return chosen, column.take(pa.array(self.members.row[chosen]))

    @cached_property
    def dimensions(self) -> int:
        """Of all vectors; 1 where no member has one."""
        for k in range(len(self.shards)):
            column = self.column(k)[1].drop_null()
            if len(column):
                return len(column[0])
        return 1

    def scatter(self, chosen: Mapping[int, np.ndarray], scratch: Scratch) -> None:
        """Write the vectors of each group to a file of its own, in the order of its members.

        chosen: group -> its members.
        """
        group, place = np.full(len(self.members), -1), np.zeros(len(self.members), np.int64)
        files = {}
        for number, own in chosen.items():
            group[own], place[own] = number, np.arange(len(own))
            files[number] = scratch.map(vectors_file(number), np.float32, len(own) * self.dimensions).reshape(
                -1, self.dimensions
            )
        for members, block in self.blocks():
            for number in np.unique(group[members]).tolist():
                if number >= 0:
                    own = group[members] == number
                    files[number][place[members[own]]] = block[own]


def values_of(column: pa.ChunkedArray) -> np.ndarray:
    """[n * d] float32: the elements of all lists that are not NULL."""
    lists = column.drop_null().combine_chunks()
    return lists.flatten().to_numpy() if len(lists) else np.empty(0, np.float32)
