"""DOCUMENTS, DRAWS -> EMBEDDINGS: a vector of each drawn document, for an order that places related ones together.

A vector is kept by (content hash, fingerprint of the encoder) before a table is made from it: a crash loses a block, a
refresh embeds documents that are new to the mix, and one that is drawn later is embedded then. The encoder reads the
beginning of a text. A worker holds one row group of texts (8 MiB, or one longer document), the beginnings of the texts of
an item, and the vectors of one shard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.actions import Reused
from pipelines.kept_vectors import Index, KeptVectors, Places, keys_of
from pipelines.keys import contents
from pipelines.memory import release
from pipelines.row_groups import row_groups_with
from pipelines.stage import Engine, Read, over_each
from pipelines.store import Shard, Store, name_of
from schemas.tables import EMBEDDINGS
from scorers.embedding import EncoderParams, fingerprint, is_static, load

VERSION = 1  # raise when the same params would give other rows

ITEM_CHARS = 1 << 17  # of the texts that a transformer reads: half a minute of a core
STATIC_ITEM_CHARS = 1 << 24  # that a static table reads: about ten seconds


@dataclass(frozen=True, eq=False)
class Work:
    """A shard of EMBEDDINGS to make. rows: [k] the drawn rows of DOCUMENTS, ascending; keys: [k] S16, their contents."""

    name: str
    documents: Shard
    rows: np.ndarray
    keys: np.ndarray
    places: Places | None = None


@dataclass(frozen=True, eq=False)
class Item:
    """Documents to embed, a block of vectors. rows, keys: as in Work."""

    documents: Shard
    rows: np.ndarray
    keys: np.ndarray


def works(documents: Sequence[Shard], draws: Sequence[Shard], made_by: Sequence[str], store: Store) -> list[Work]:
    """A work for each shard of DOCUMENTS, named by its documents, by the drawn ones among them and by the encoder.

    Memory: 16 bytes for each drawn document.
    """
    ids = [np.empty(0, "S16"), *(keys_of(contents(store.read(s, ["document_id"])["document_id"])) for s in draws)]
    drawn = np.unique(np.concatenate(ids))
    each = []
    for shard in documents:
        table = store.read(shard, ["document_id", "content_hash"])
        rows = np.flatnonzero(np.isin(keys_of(contents(table["document_id"])), drawn))
        columns = {name: shard.columns[name] for name in ("document_id", "content_hash")}
        which = blake2b(rows.astype("<i8").tobytes(), digest_size=16).hexdigest()
        name = name_of("vectors", VERSION, made_by, columns, shard.n_rows, which)
        each.append(Work(name, shard, rows, keys_of(contents(table["content_hash"]))[rows]))
    return each


def heads(shard: Shard, rows: np.ndarray, n_chars: int, store: Store) -> pa.Array:
    """The first characters of the texts of some rows, ascending. One row group at a time is in memory.

    Raises:
        DamagedError: the shard's file is missing, or its bytes differ from its seal.
    """
    pieces = [pa.array([], pa.large_string())]
    with store.open(shard) as file:
        for number, first, own in row_groups_with(rows, file):
            texts = file.read_row_group(number, ["text"])["text"]
            head = pc.utf8_slice_codeunits(texts, 0, n_chars).take(pa.array(rows[own] - first))
            pieces += head.cast(pa.large_string()).chunks
            del texts
    return pa.concat_arrays(pieces)


def items(work: Sequence[Work], index: Index, n_per_item: int) -> Iterator[Item]:
    """The documents whose vectors are not kept, each content once, in items of one shard."""
    seen = np.empty(0, "S16")
    for each in work:
        missing = index.places(each.keys).missing()
        keys, first = np.unique(each.keys[missing], return_index=True)
        rows = np.sort(missing[first[~np.isin(keys, seen)]])
        seen = np.union1d(seen, keys)
        for start in range(0, len(rows), n_per_item):
            chosen = rows[start : start + n_per_item]
            yield Item(each.documents, each.rows[chosen], each.keys[chosen])


def embed_item(item: Item, params: EncoderParams, kept: KeptVectors, store: Store) -> str:
    """Embed documents and keep their vectors. Returns the name of the block."""
    encoder = load(params)
    texts = heads(item.documents, item.rows, encoder.n_chars, store)
    name = kept.add(item.keys, encoder.vectors(texts), store.parts())
    store.tell({"stage": "encoder", "event": "made", "documents": len(item.rows), "bytes": texts.nbytes})
    release()
    return name


def make_shard(work: Work, kept: KeptVectors, store: Store) -> None:
    """Write and commit a shard of EMBEDDINGS.

    Raises:
        StageError: a block was damaged since it was indexed.
    """
    assert work.places is not None  # its shard was missing
    vectors = work.places.vectors(kept)
    shard = store.write("EMBEDDINGS", embeddings(store.read(work.documents, ["document_id"]), work.rows, vectors))
    store.commit("vectors", work.name, [shard], shard.n_rows)
    release()


def embeddings(documents: pa.Table, rows: np.ndarray, vectors: np.ndarray) -> pa.Table:
    """EMBEDDINGS: a row for each row of `documents`.

    Args:
        rows: [k] the drawn ones, ascending.
        vectors: [k, d] float32; zeros where the tokenizer makes no token.
    """
    has_vector = vectors.any(axis=1)
    status = np.full(documents.num_rows, "not_drawn", object)
    status[rows] = np.where(has_vector, "embedded", "empty")
    lengths = np.zeros(documents.num_rows, np.int64)
    lengths[rows[has_vector]] = vectors.shape[1]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    column = pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(vectors[has_vector].ravel()), type=EMBEDDINGS.field("vector").type,
        mask=pa.array(lengths == 0),
    )  # fmt: skip
    return pa.table([documents["document_id"], pa.array(status, pa.string()), column], schema=EMBEDDINGS)


def run(documents: list[Shard], draws: list[Shard], params: EncoderParams, engine: Engine) -> list[Shard]:
    """EMBEDDINGS, a shard beside each shard of DOCUMENTS. draws: the documents to embed.

    Raises:
        RecipeError: the encoder can't be loaded.
        NotMade: the engine only looks.
    """
    made_by = fingerprint(params)
    reads = [Read(shard, ("document_id", "content_hash")) for shard in documents]
    reads += [Read(shard, ("document_id",)) for shard in draws]
    name = name_of("embed", VERSION, made_by, [read.key() for read in reads])
    return engine.once("embed", name, lambda: made(documents, draws, params, made_by, engine))


def made(
    documents: list[Shard], draws: list[Shard], params: EncoderParams, made_by: Sequence[str], engine: Engine
) -> list[Shard]:
    """EMBEDDINGS; the shards of which no drawn row is new are found. Arguments: see run."""
    store = engine.store
    kept = kept_vectors(store, made_by)
    work = works(documents, draws, made_by, store)
    missing = [each for each in work if store.find("vectors", each.name) is None]
    if missing:
        index = embedded(missing, params, kept, engine)
        placed = {each.name: index.places(each.keys) for each in missing}
        work = [Work(w.name, w.documents, w.rows, w.keys, placed.get(w.name)) for w in work]
    shards = engine.each("vectors", work, over_each(make_shard, kept, store))
    return [shard for shards_of_work in shards for shard in shards_of_work]


def item_size(params: EncoderParams) -> int:
    """Texts that are embedded together, a block of vectors.

    Raises:
        RecipeError: the encoder can't be loaded.
    """
    n_chars = STATIC_ITEM_CHARS if is_static(params) else ITEM_CHARS
    return max(1, n_chars // load(params).n_chars)


def kept_vectors(store: Store, made_by: Sequence[object]) -> KeptVectors:
    return KeptVectors(store.root / "measured" / "embedding" / name_of("embedding", VERSION, made_by))


def embedded(work: Sequence[Work], params: EncoderParams, kept: KeptVectors, engine: Engine) -> Index:
    """Embed every document whose vector is not kept. Returns the index of all vectors."""
    index = Index.of(kept)
    todo = list(items(work, index, item_size(params)))
    n_drawn = sum(len(each.rows) for each in work)
    engine.reused["embed"] = Reused(n_drawn - sum(len(item.rows) for item in todo), n_drawn)
    if not todo:
        return index
    with engine.reported("encoder", len(todo)), engine.pipeline("encoder") as p:
        over_each(embed_item, params, kept, engine.store)(p, todo)
    return Index.of(kept)
