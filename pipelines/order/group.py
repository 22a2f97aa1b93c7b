"""One group of draws -> its shard of ORDER."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import embed
from pipelines.memory import release
from pipelines.order.centroids import places_of
from pipelines.order.dealing import partitions_in
from pipelines.order.embedded import vectors_file
from pipelines.order.graph import Graph, no_edges
from pipelines.order.members import Members
from pipelines.order.neighbours import GHOST_SHARE, Neighbours, nearest
from pipelines.order.orders import ORDERS
from pipelines.order.orders.documents import OrderDocuments
from pipelines.order.params import Settings
from pipelines.order.products import one_thread
from pipelines.order.table import Found, order_table
from pipelines.store import Shard, Store
from pipelines.store.files import Scratch

HEAD_CHARS = 4096  # of a text, for an order that reads texts


class Inputs(NamedTuple):
    """What the workers of all groups read. middle: CENTROIDS, empty for an order without vectors."""

    documents: Sequence[Shard]
    middle: Sequence[Shard]
    settings: Settings


class Group(NamedTuple):
    """A group of draws, and the name of the action that makes its shard. Its members and vectors are in the scratch folder."""

    number: int
    name: str


def members_of(draws: Shard, members: Members, store: Store) -> np.ndarray:
    """[n] places of a group's documents among the members of the mix, ascending."""
    table = store.read(draws, ("document_id", "epoch"))
    return np.sort(members.find(table["document_id"].filter(pc.equal(table["epoch"], 0))))


def save(group: Group, members: Members, scratch: Scratch) -> None:
    """Write what the worker reads of the group's members."""
    columns = {
        "document_id": members.document_id,
        "high": members.content[:, 0],
        "low": members.content[:, 1],
        "rank": members.rank,
        "shard": members.shard,
        "row": members.row,
    }
    table = pa.table({**columns, **dict(zip(members.paths.column_names, members.paths.columns, strict=True))})
    with scratch.writing(members_file(group.number)) as stream, pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


def members_file(group: int) -> str:
    return f"{group}.members"


def order_group(group: Group, inputs: Inputs, store: Store, scratch: Scratch) -> None:
    """Make and commit the shard of a group.

    Raises:
        StageError: a partition needs faiss, which is not installed.
    """
    with pa.memory_map(str(scratch.path(members_file(group.number)))) as stream:
        members = pa.ipc.open_file(stream).read_all()
    needs = ORDERS[inputs.settings.by].needs
    with one_thread():
        found = searched(group.number, members, inputs, store, scratch) if inputs.middle else alone(len(members))
        stays = np.flatnonzero(~found.near.leaves)
        documents = OrderDocuments(
            n=len(stays),
            content=np.stack([members[name].to_numpy() for name in ("high", "low")], axis=1)[stays],
            seed=inputs.settings.seed,
            vectors=found.vectors[stays] if "vectors" in needs else None,
            texts=heads(members.take(pa.array(stays)), inputs.documents, store) if "texts" in needs else None,
            paths=paths_of(members.take(pa.array(stays))) if "paths" in needs else None,
        )
        path, restarts = ORDERS[inputs.settings.by](induced(found.near.graph, stays), documents)
        table = order_table(members["document_id"], found, stays[path], restarts)
    shard = store.write("ORDER", table)
    store.commit("path", group.name, [shard], len(members), found.vectors.nbytes)
    release()


def searched(number: int, members: pa.Table, inputs: Inputs, store: Store, scratch: Scratch) -> Found:
    vectors = scratch.map(vectors_file(number), np.float32).reshape(len(members), -1)
    centres, group = partitions_in(inputs.middle[0], store)
    places = places_of(vectors, centres, group, GHOST_SHARE)
    return Found(vectors, places, centres, nearest(vectors, places, members["rank"].to_numpy(), inputs.settings.search))


def alone(n: int) -> Found:
    """Documents without vectors."""
    near = Neighbours(no_edges(n), np.zeros(n, bool), np.arange(n, dtype=np.int32))
    return Found(np.empty((n, 0), np.float32), np.zeros((n, 2), np.int32), np.empty((1, 0), np.float32), near)


def induced(graph: Graph, stays: np.ndarray) -> Graph:
    """The graph of some documents, ascending; all others have no edge."""
    new = np.full(graph.n, -1, np.int32)
    new[stays] = np.arange(len(stays))
    offsets = np.concatenate([[0], np.cumsum(np.diff(graph.offsets)[stays])])
    return Graph(offsets, new[graph.neighbours], graph.similarities)


def heads(members: pa.Table, documents: Sequence[Shard], store: Store) -> list[str]:
    """The first characters of each text."""
    texts = [""] * len(members)
    shard, row = members["shard"].to_numpy(), members["row"].to_numpy()
    for k in np.unique(shard).tolist():
        own = np.flatnonzero(shard == k)
        own = own[np.argsort(row[own])]
        found = embed.heads(documents[k], row[own], HEAD_CHARS, store).to_pylist()
        for i, head in zip(own.tolist(), found, strict=True):
            texts[i] = head
    return texts


def paths_of(members: pa.Table) -> list[tuple[str, str, int]]:
    return list(zip(*(members[name].to_pylist() for name in ("source", "file", "record")), strict=True))
