"""DRAWS, ORDER, TOKENS -> CHUNKS: the nearest chunks of each chunk of the documents of a path, for negative_extension.

A document is divided into chunks of as many tokens as the recipe says. A chunk belongs to the group of its document, so a
group stays a set of complete documents: one that comes or goes changes the chunks of its own group alone. Each TOKENS shard
is read once: its chunks become texts again and get a vector by the encoder of the order, which reads their beginning. The
vectors of a group are in one scratch file. Then the chunks of each group are searched as its documents are: by the
partitions of the group, exactly, with ghosts and near copies. Of two near copies the later on the path is in no list.

Vectors are not kept: a build that is killed, or that makes a group again, embeds the chunks of that group again.
Memory of a worker: a row group of TOKENS with the texts of its chunks, then the vectors of a group, 4 bytes for each
dimension: a group of 2^27 tokens has at most 65,536 chunks of 2,048 tokens and one more for each document. Scratch: the
vectors of the groups that are made.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, PositiveInt

from pipelines import encode
from pipelines.encode import EncodeParams, Encoding
from pipelines.memory import release
from pipelines.order.centroids import places_of
from pipelines.order.dealing import partitions_in
from pipelines.order.graph import Graph
from pipelines.order.neighbours import GHOST_SHARE, Neighbours, Search, nearest
from pipelines.order.params import OrderParams
from pipelines.order.products import library, one_thread
from pipelines.pieces import PIECE, Index, by_shard, divided
from pipelines.shares import MICRO
from pipelines.stage import Engine, Read, over_each
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import Scratch
from schemas.tables import CHUNKS
from scorers.embedding import EncoderParams, fingerprint, load

VERSION = 1  # raise when the same params would give other rows

ENCODER = "chunk_encoder"  # the stage of the progress
DRAWN = ("document_id", "content_hash", "n_tokens", "epoch", "document_start", "document_stop")  # of DRAWS
PATH = ("document_id", "place")  # of ORDER


class ChunkParams(BaseModel):
    """What the chunks of a group depend on, besides its documents and their path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk_tokens: PositiveInt
    order: OrderParams
    encoding: EncodeParams

    @property
    def encoder(self) -> EncoderParams:
        assert self.order.encoder is not None  # the recipe was checked
        return self.order.encoder

    def key(self) -> list[object]:
        search = self.order.settings.search
        made_by = fingerprint(self.encoder)
        read_by = [encode.VERSION, Encoding.of(self.encoding).model_dump(mode="json")]
        return [VERSION, self.chunk_tokens, search.k, search.near, made_by, *read_by, library()]


class ChunkGroup(NamedTuple):
    """A group of draws, and the name of the action that makes its shard of CHUNKS."""

    number: int
    name: str
    draws: Shard
    order: Shard


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
    with engine.scratch("chunks") as scratch:
        todo = [group for group in groups if engine.find("chunks", group.name) is None]
        if todo:
            embed_chunks(todo, tables["TOKENS"], params, engine, scratch)
        made = over_each(search_group, middle, params, engine.store, scratch)
        shards_by_group = engine.each("chunks", groups, made)
    return [shard for shards in shards_by_group for shard in shards]


def vectors_file(group: int) -> str:
    return f"{group}.vectors"


def embed_chunks(
    groups: Sequence[ChunkGroup], tokens: Sequence[Shard], params: ChunkParams, engine: Engine, scratch: Scratch
) -> None:
    """Beam: write the vectors of the chunks of each group to its file, one TOKENS shard at a time."""
    store, index, placed = engine.store, Index(tokens, engine.store), []
    dimensions = load(params.encoder).dimensions
    for group in groups:
        chunks = Chunks.of(group, params.chunk_tokens, store)
        scratch.reserve(vectors_file(group.number), 4 * dimensions * len(chunks))
        position = index.find(chunks.documents)[chunks.document]
        pieces = np.empty(len(chunks), PIECE)
        pieces["row"], pieces["group"], pieces["place"] = index.row[position], group.number, np.arange(len(chunks))
        pieces["start"], pieces["stop"] = chunks.start, chunks.stop
        placed.append((index.shard[position], pieces))
    work = []
    for number, of_shard in by_shard([each for each in placed if len(each[0])]):
        np.save(scratch.path(f"{number}.pieces.npy"), of_shard)
        work.append((tokens[number], f"{number}.pieces.npy"))
    with engine.reported(ENCODER, len(work)), engine.pipeline(ENCODER) as p:
        over_each(embed_shard, params, store, scratch)(p, work)


def embed_shard(work: tuple[Shard, str], params: ChunkParams, store: Store, scratch: Scratch) -> None:
    """Embed the chunks of a TOKENS shard. work: the shard, and the name of the file with its PIECEs."""
    shard, file = work
    pieces, first, n_bytes = np.load(scratch.path(file)), 0, 0
    tokenizer, encoder = encode.load(params.encoding.tokenizer), load(params.encoder)
    ends = encode.eos_id(params.encoding), encode.bos_id(params.encoding)
    marks = [mark for mark in ends if mark is not None]
    with store.open(shard) as parquet:
        for i in range(parquet.num_row_groups):
            stop = first + parquet.metadata.row_group(i).num_rows
            chosen = pieces[np.searchsorted(pieces["row"], first) : np.searchsorted(pieces["row"], stop)]
            if len(chosen):
                ids = parquet.read_row_group(i, columns=["input_ids"])["input_ids"].combine_chunks()
                starts = ids.offsets.to_numpy().astype(np.int64)[chosen["row"] - first]
                spans = zip(starts + chosen["start"], starts + chosen["stop"], strict=True)
                spelled = (ids.values.to_numpy()[a:b] for a, b in spans)
                texts = pa.array([encode.decode(tokenizer, s[~np.isin(s, marks)]) for s in spelled], pa.large_string())
                write_vectors(encoder.vectors(texts), chosen, scratch)
                n_bytes += texts.nbytes
            first = stop
    store.tell({"stage": ENCODER, "event": "made", "documents": len(np.unique(pieces["row"])), "bytes": n_bytes})
    release()


def write_vectors(vectors: np.ndarray, pieces: np.ndarray, scratch: Scratch) -> None:
    """Write each vector to its place in the file of its group. Workers write to disjoint places."""
    n_bytes = vectors[:1].nbytes
    for vector, group, place in zip(vectors, pieces["group"].tolist(), pieces["place"].tolist(), strict=True):
        scratch.write_at(vectors_file(group), vector, n_bytes * place)


def search_group(group: ChunkGroup, middle: Shard, params: ChunkParams, store: Store, scratch: Scratch) -> None:
    """Make and commit the shard of a group, from the file of its vectors."""
    chunks = Chunks.of(group, params.chunk_tokens, store)
    vectors = np.zeros((0, 1), np.float32)
    if len(chunks):
        vectors = scratch.map(vectors_file(group.number), np.float32).reshape(len(chunks), -1)
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
