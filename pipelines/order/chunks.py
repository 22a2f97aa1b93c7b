"""DRAWS, ORDER, TOKENS -> CHUNKS: the nearest chunks of each chunk of the documents of a path, for negative_extension.

A document is divided into chunks of as many tokens as the recipe says. A chunk belongs to the group of its document, so a
group stays a set of complete documents: one that comes or goes changes the chunks of its own group alone. Each chunk has a
vector (chunk_vectors.py). Then the chunks of each group are searched as its documents are: by the partitions of the group,
exactly, with ghosts and near copies. Of two near copies the later on the path is in no list.

Memory of the driver: about 100 bytes for each chunk of the groups that are made. Of a worker: the vectors of a group, 4 bytes
for each dimension: a group of 2^27 tokens has at most 65,536 chunks of 2,048 tokens and one more for each document.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, PositiveInt

from pipelines.encode import EncodeParams
from pipelines.kept_vectors import Places
from pipelines.keys import contents
from pipelines.memory import release
from pipelines.order.centroids import places_of
from pipelines.order.chunk_vectors import SPAN, Reading, chunk_keys, embedded, kept_chunks
from pipelines.order.dealing import partitions_in
from pipelines.order.graph import Graph
from pipelines.order.neighbours import GHOST_SHARE, Neighbours, Search, nearest
from pipelines.order.params import OrderParams
from pipelines.order.products import library, one_thread
from pipelines.pieces import Index as DocumentIndex
from pipelines.pieces import divided
from pipelines.shares import MICRO
from pipelines.stage import Engine, Read, over_each
from pipelines.store import Shard, Store, name_of
from schemas.tables import CHUNKS

VERSION = 1  # raise when the same params would give other rows

DRAWN = ("document_id", "content_hash", "n_tokens", "epoch", "document_start", "document_stop")  # of DRAWS
PATH = ("document_id", "place")  # of ORDER


class ChunkParams(BaseModel):
    """What the chunks of a group depend on, besides its documents and their path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk_tokens: PositiveInt
    order: OrderParams
    encoding: EncodeParams

    @property
    def reading(self) -> Reading:
        assert self.order.encoder is not None  # the recipe was checked
        return Reading(encoder=self.order.encoder, encoding=self.encoding)

    def key(self) -> list[object]:
        search = self.order.settings.search
        return [VERSION, self.chunk_tokens, search.k, search.near, *self.reading.key(), library()]


class ChunkGroup(NamedTuple):
    """A group of draws, and the name of the action that makes its shard of CHUNKS. places: of the vectors, once they are known."""

    number: int
    name: str
    draws: Shard
    order: Shard
    places: Places | None = None


class Chunks(NamedTuple):
    """The chunks of the documents of a path, in its order.

    Attributes:
        documents: [m] rows of DRAWS: the first copy of each document.
        document: [n] the document of each chunk, an index in `documents`.
        start, stop: [n] int64, its tokens in the document.
    """

    documents: pa.Table
    document: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def __len__(self) -> int:
        return len(self.document)

    def keys(self) -> np.ndarray:
        """[n] S16, under which their vectors are kept."""
        return chunk_keys(contents(self.documents["content_hash"])[self.document], self.start, self.stop)

    @classmethod
    def of(cls, group: ChunkGroup, chunk_tokens: int, store: Store) -> Self:
        draws, order = store.read(group.draws, DRAWN), store.read(group.order, PATH)
        first = draws.filter(pc.equal(draws["epoch"], 0))
        path = order.filter(pc.is_valid(order["place"])).sort_by("place")
        documents = first.take(pc.index_in(path["document_id"], value_set=first["document_id"]))
        start, stop = (documents[name].to_numpy().astype(np.int64) for name in ("document_start", "document_stop"))
        document, begin, end = divided(stop - start, chunk_tokens)
        return cls(documents, document, start[document] + begin, start[document] + end)


def run_chunks(tables: Mapping[str, list[Shard]], params: ChunkParams, engine: Engine) -> list[Shard]:
    """CHUNKS, a shard for each shard of DRAWS.

    Args:
        tables: TOKENS, DRAWS, ORDER and CENTROIDS, as `run` of this package made the last three.

    Raises:
        RecipeError: the encoder can't be loaded.
        StageError: the stage stopped for a reason outside the recipe.
        NotMade: a shard is missing and the engine only looks.
    """
    key, (middle,) = params.key(), tables["CENTROIDS"]
    groups = []
    for number, (draws, order) in enumerate(zip(tables["DRAWS"], tables["ORDER"], strict=True)):
        reads = [Read(draws, DRAWN).key(), Read(order, PATH).key()]
        name = name_of("chunks", *key, reads, middle.columns, number)
        groups.append(ChunkGroup(number, name, draws, order))
    todo = [group for group in groups if engine.find("chunks", group.name) is None]
    placed = with_places(todo, tables["TOKENS"], params, engine) if todo else {}
    groups = [placed.get(group.name, group) for group in groups]
    shards_by_group = engine.each("chunks", groups, over_each(search_group, middle, params, engine.store))
    return [shard for shards in shards_by_group for shard in shards]


def with_places(
    groups: Sequence[ChunkGroup], tokens: Sequence[Shard], params: ChunkParams, engine: Engine
) -> dict[str, ChunkGroup]:
    """name -> the group with the places of its vectors. Chunks without a vector are embedded."""
    index, spans = DocumentIndex(tokens, engine.store), [np.empty(0, SPAN)]
    for group in groups:
        chunks = Chunks.of(group, params.chunk_tokens, engine.store)
        position = index.find(chunks.documents)[chunks.document]
        of_group = np.empty(len(chunks), SPAN)
        of_group["shard"], of_group["row"] = index.shard[position], index.row[position]
        of_group["start"], of_group["stop"], of_group["key"] = chunks.start, chunks.stop, chunks.keys()
        spans.append(of_group)
    kept = embedded(np.concatenate(spans), tokens, params.reading, engine)
    placed = zip(groups, spans[1:], strict=True)
    return {group.name: group._replace(places=kept.places(own["key"])) for group, own in placed}


def search_group(group: ChunkGroup, middle: Shard, params: ChunkParams, store: Store) -> None:
    """Make and commit the shard of a group.

    Raises:
        StageError: a block of vectors was damaged since it was indexed.
    """
    chunks = Chunks.of(group, params.chunk_tokens, store)
    assert group.places is not None  # its shard was missing
    vectors = group.places.vectors(kept_chunks(params.reading, store))
    centres, of_group = partitions_in(middle, store)
    with one_thread():
        near = searched(vectors, chunks, centres[of_group == group.number], params.order.settings.search)
    shard = store.write("CHUNKS", chunks_table(chunks, near))
    store.commit("chunks", group.name, [shard], len(chunks.documents), vectors.nbytes)
    release()


def searched(vectors: np.ndarray, chunks: Chunks, centres: np.ndarray, search: Search) -> Neighbours:
    """The nearest chunks of other documents. centres: of the group's partitions."""
    n, places = len(chunks), np.zeros((len(chunks), 2), np.int32)
    if n:
        places = places_of(vectors, centres, np.zeros(len(centres), np.int64), GHOST_SHARE)
    exactly = search._replace(exact_documents=n)
    return nearest(vectors, places, np.arange(n), exactly, chunks.document)


def chunks_table(chunks: Chunks, near: Neighbours) -> pa.Table:
    return pa.table(
        {
            "document_id": chunks.documents["document_id"].take(pa.array(chunks.document)),
            "document_start": chunks.start.astype(np.int32),
            "document_stop": chunks.stop.astype(np.int32),
            "is_near_copy": near.leaves,
            **lists(near.graph),
        },
        schema=CHUNKS,
    )


def lists(graph: Graph) -> dict[str, pa.ListArray]:
    offsets = pa.array(graph.offsets.astype(np.int32))
    values = {"neighbours": graph.neighbours, "similarities": (graph.similarities / MICRO).astype(np.float32)}
    return {name: pa.ListArray.from_arrays(offsets, pa.array(each)) for name, each in values.items()}
