"""CENTROIDS, which are a declared input, and the draws of each group."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys import keyed, salt
from pipelines.order.centroids import centres, dealt, n_partitions
from pipelines.order.embedded import Embedded, values_of
from pipelines.order.members import Members
from pipelines.order.params import OrderParams
from pipelines.order.products import library, products
from pipelines.shares import MICRO
from pipelines.stage import Engine, Read
from pipelines.store import Shard, Store, name_of
from schemas.tables import CENTROIDS, DRAWS

VERSION = 1  # raise when the same documents would give other partitions


def centroids_of(
    vectors: Embedded, draws: Sequence[Shard], params: OrderParams, base: Sequence[Shard], engine: Engine
) -> list[Shard]:
    """CENTROIDS: the base's where it has them of the same encoder and seed, else made from the vectors.

    Args:
        vectors: of the members.
        draws: DRAWS of the plan, whose number of groups is kept.
        base: CENTROIDS of the base version.
    """
    made_by = name_of(VERSION, params.encoder, params.seed)[:12]
    store = engine.store
    if base and set(store.read(base[0], ("made_by",))["made_by"].to_pylist()) == {made_by}:
        return list(base)
    name = name_of(
        "centroids", made_by, params.partition_documents, len(draws), keys_of(draws), vectors.key(), library()
    )

    def make() -> list[Shard]:
        keys = keyed(vectors.members.content, salt("centroids", params.seed))
        found = centres(
            vectors.blocks, keys, n_partitions(len(vectors.members), params.partition_documents, len(draws))
        )
        partition, cosine = assigned(vectors, found)
        group = dealt(tokens_by(partition, len(found), draws, vectors, store), len(draws))
        sizes = np.bincount(partition, minlength=len(found))
        sums = np.zeros(len(found), np.int64)
        np.add.at(sums, partition, cosine)
        table = pa.table(
            {
                "partition": np.arange(len(found), dtype=np.int32),
                "group_number": group.astype(np.int32),
                "made_by": [made_by] * len(found),
                "n_documents": sizes,
                "mean_similarity": sums / np.maximum(sizes, 1) / MICRO,
                "vector": pa.FixedSizeListArray.from_arrays(found.reshape(-1), found.shape[1]).cast(
                    CENTROIDS.field("vector").type
                ),
            }
        )
        return [store.write("CENTROIDS", table)]

    return engine.once("centroids", name, make, len(vectors.members))


def keys_of(draws: Sequence[Shard]) -> list[object]:
    return [Read(shard, tuple(DRAWS.names)).key() for shard in draws]


def partitions_in(middle: Shard, store: Store) -> tuple[np.ndarray, np.ndarray]:
    """[p, d] float32 centres and [p] int64 the group of each."""
    table = store.read(middle, ("group_number", "vector"))
    return values_of(table["vector"]).reshape(len(table), -1), table["group_number"].to_numpy().astype(np.int64)


def assigned(vectors: Embedded, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n] int64 the partition of each member, and [n] int32 millionths, its cosine with the centre."""
    partition, cosine = np.zeros(len(vectors.members), np.int64), np.zeros(len(vectors.members), np.int32)
    for members, block in vectors.blocks():
        cosines = products(block, found)
        partition[members], cosine[members] = cosines.argmax(axis=1), cosines.max(axis=1)
    return partition, cosine


def tokens_by(
    partition: np.ndarray, n_partitions: int, draws: Sequence[Shard], vectors: Embedded, store: Store
) -> np.ndarray:
    """[p, n_domains] int64 drawn tokens of each partition by domain."""
    table = pa.concat_tables([store.read(shard) for shard in draws])
    domains = table["domain"].combine_chunks().dictionary_encode()
    tokens = np.zeros((n_partitions, len(domains.dictionary)), np.int64)
    drawn = table["document_stop"].to_numpy().astype(np.int64) - table["document_start"].to_numpy()
    np.add.at(tokens, (partition[vectors.members.find(table["document_id"])], domains.indices.to_numpy()), drawn)
    return tokens


def draws_by_group(vectors: Embedded, draws: Sequence[Shard], middle: Shard, engine: Engine) -> list[Shard]:
    """DRAWS again, a shard for each group of CENTROIDS: all copies of a document are in the group of its partition."""
    name = name_of(
        "deal", VERSION, keys_of(draws), Read(middle, ("group_number", "vector")).key(), vectors.key(), library()
    )

    def make() -> list[Shard]:
        found, group = partitions_in(middle, engine.store)
        partition, _ = assigned(vectors, found)
        return regrouped(draws, vectors.members, group[partition], int(group.max()) + 1, engine.store)

    return engine.once("deal", name, make, len(vectors.members))


def draws_by_first_copy(members: Members, draws: Sequence[Shard], engine: Engine) -> list[Shard]:
    """DRAWS again: all copies of a document are in the group that the plan put its first copy into."""

    def make() -> list[Shard]:
        group = np.zeros(len(members), np.int64)
        for number, shard in enumerate(draws):
            table = engine.store.read(shard, ("document_id", "epoch"))
            group[members.find(table["document_id"].filter(pc.equal(table["epoch"], 0)))] = number
        return regrouped(draws, members, group, len(draws), engine.store)

    return engine.once("deal", name_of("deal", VERSION, keys_of(draws)), make, len(members))


def regrouped(draws: Sequence[Shard], members: Members, group: np.ndarray, n_groups: int, store: Store) -> list[Shard]:
    """DRAWS of each group, by content_hash and epoch; a shard without rows where a group has no draw.

    group: [n] of each member.
    """
    table = pa.concat_tables([store.read(shard) for shard in draws])
    table = table.sort_by([("content_hash", "ascending"), ("epoch", "ascending")])
    of_draw = group[members.find(table["document_id"])]
    return [store.write("DRAWS", table.filter(pa.array(of_draw == number))) for number in range(n_groups)]
