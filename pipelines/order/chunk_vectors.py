"""Vectors of chunks of documents: a chunk becomes text again, and the encoder of the order reads its beginning.

A vector is kept by the content of its document and the place of the chunk in it, in blocks as those of documents are
(embed.py): a crash loses a block, and of a group that is made again only new documents are embedded. A worker holds
one row group of TOKENS, and the texts and vectors of an item.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from pipelines import encode
from pipelines.embed import item_size, kept_vectors
from pipelines.encode import EncodeParams, Encoding
from pipelines.kept_vectors import Index, KeptVectors, keys_of
from pipelines.keys import keyed, mixed, salt
from pipelines.memory import release
from pipelines.row_groups import row_groups_with
from pipelines.stage import Engine, over_each
from pipelines.store import Shard, Store
from scorers.embedding import EncoderParams, fingerprint, load

VERSION = 1  # raise when the same params would give other vectors

ENCODER = "chunk_encoder"  # the stage of the progress
SPAN = np.dtype([("shard", "<i4"), ("row", "<i4"), ("start", "<i4"), ("stop", "<i4"), ("key", "S16")])


class Reading(BaseModel):
    """How chunks become texts and vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderParams
    encoding: EncodeParams

    def key(self) -> list[object]:
        read_by = [encode.VERSION, Encoding.of(self.encoding).model_dump(mode="json")]
        return [VERSION, *fingerprint(self.encoder), *read_by]


@dataclass(frozen=True, eq=False)
class Item:
    """Chunks to embed, a block of vectors. spans: [n] SPAN of one TOKENS shard, by row."""

    tokens: Shard
    spans: np.ndarray


def chunk_keys(content: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """[n] S16: a hash of each chunk's document and place.

    Args:
        content: [n, 2] uint64, see keys.contents.
        start, stop: [n] int64, the chunk's tokens in the document.
    """
    span = mixed((start.astype(np.uint64) << np.uint64(32)) | stop.astype(np.uint64))
    return keys_of(np.stack([keyed(content, span ^ salt("chunk", half)) for half in (0, 1)], axis=1))


def kept_chunks(reading: Reading, store: Store) -> KeptVectors:
    return kept_vectors(store, ["chunks", *reading.key()])


def embedded(spans: np.ndarray, tokens: Sequence[Shard], reading: Reading, engine: Engine) -> Index:
    """Beam: embed every chunk whose vector is not kept. Returns the index of all vectors. spans: [n] SPAN."""
    kept = kept_chunks(reading, engine.store)
    index = Index.of(kept)
    todo = list(items(spans[index.places(spans["key"]).missing()], tokens, item_size(reading.encoder)))
    if not todo:
        return index
    with engine.reported(ENCODER, len(todo)), engine.pipeline(ENCODER) as p:
        over_each(embed_item, reading, kept, engine.store)(p, todo)
    return Index.of(kept)


def items(spans: np.ndarray, tokens: Sequence[Shard], n_per_item: int) -> Iterator[Item]:
    spans = spans[np.lexsort((spans["start"], spans["row"], spans["shard"]))]
    for number in np.unique(spans["shard"]).tolist():
        own = spans[spans["shard"] == number]
        for first in range(0, len(own), n_per_item):
            yield Item(tokens[number], own[first : first + n_per_item])


def embed_item(item: Item, reading: Reading, kept: KeptVectors, store: Store) -> None:
    """Embed chunks and keep their vectors."""
    texts = texts_of(item, reading.encoding, store)
    kept.add(item.spans["key"], load(reading.encoder).vectors(texts), store.parts())
    n_documents = len(np.unique(item.spans["row"]))
    store.tell({"stage": ENCODER, "event": "made", "documents": n_documents, "bytes": texts.nbytes})
    release()


def texts_of(item: Item, encoding: EncodeParams, store: Store) -> pa.Array:
    """The texts of the chunks, without the marks that encoding adds. One row group at a time is in memory."""
    tokenizer = encode.load(encoding.tokenizer)
    marks = [mark for mark in (encode.eos_id(encoding), encode.bos_id(encoding)) if mark is not None]
    texts: list[str] = []
    with store.open(item.tokens) as parquet:
        for number, first, own in row_groups_with(item.spans["row"], parquet):
            ids = parquet.read_row_group(number, columns=["input_ids"])["input_ids"].combine_chunks()
            values, starts = ids.values.to_numpy(), ids.offsets.to_numpy().astype(np.int64)
            for row, start, stop in item.spans[["row", "start", "stop"]][own].tolist():
                spelled = values[starts[row - first] + start : starts[row - first] + stop]
                texts.append(encode.decode(tokenizer, spelled[~np.isin(spelled, marks)]))
    return pa.array(texts, pa.large_string())
