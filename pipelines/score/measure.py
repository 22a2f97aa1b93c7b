"""Run the model on documents, spread over the workers; its values are kept document by document, as they come.

An element of the pipeline is some rows of one shard of TOKENS, of about ITEM_TOKENS model tokens. A pair is measured
once: a build that was killed resumes after the last pair that it kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.documents import Chunking, text_tokens
from pipelines.score.budget import cost
from pipelines.score.kept_pairs import Measured
from pipelines.stage import Engine, over_each
from pipelines.store import Shard, Store, name_of
from scorers import lm
from scorers.chunk_gain import chunks_of, measure
from scorers.chunks import Chunks

VERSION = 1  # raise when the same text and model would give other pairs or values

ITEM_TOKENS = 16_000  # of model passes: half a minute of a core


@dataclass(frozen=True)
class Reading:
    """A document that the model reads: its row in a shard of TOKENS, and how many of its pairs."""

    row: int
    content_hash: str
    n_chunks: int  # the first of the document
    n_pairs: int
    price: int  # model tokens, for spreading the work evenly


@dataclass(frozen=True)
class Item:
    tokens: Shard
    readings: tuple[Reading, ...]

    @property
    def price(self) -> int:
        return sum(reading.price for reading in self.readings)


def folder_of(
    store: Store, params: lm.ModelParams, chunk_tokens: int, tokenizer: str, use: str = "chunk_gain"
) -> Measured:
    """Where the values of a model are kept: under a hash of all that they depend on except the text."""
    name = name_of(use, VERSION, lm.fingerprint(params), chunk_tokens, tokenizer)
    return Measured(store.root / "measured" / use / name)


def readings_of(columns: pa.Table, chunking: Chunking) -> list[Reading]:
    """What the model reads of a shard. columns: content_hash, n_tokens and the n_pairs of its budget."""
    n_pairs = columns["n_pairs"].to_numpy()
    rows = np.flatnonzero(n_pairs)
    mine = columns.take(rows)
    chunks, c = chunking.n_chunks(mine["n_tokens"].to_numpy()), chunking.chunk_tokens
    each = zip(rows.tolist(), mine["content_hash"].to_pylist(), chunks.tolist(), n_pairs[rows].tolist(), strict=True)
    return [Reading(row, content_hash, s, n, cost(s, content_hash, n, c)) for row, content_hash, s, n in each]


def items(shards: Iterable[tuple[Shard, Sequence[Reading]]]) -> list[Item]:
    """Work of about equal size: neighbours in a shard go together. The largest comes first, so that none ends late."""
    batches: list[Item] = []
    for shard, readings in shards:
        batch = Item(shard, ())
        for reading in readings:
            if batch.readings and batch.price + reading.price > ITEM_TOKENS:
                batches.append(batch)
                batch = Item(shard, ())
            batch = Item(shard, (*batch.readings, reading))
        if batch.readings:
            batches.append(batch)
    return sorted(batches, key=lambda item: -item.price)


def measure_item(item: Item, model: lm.ModelParams, chunking: Chunking, measured: Measured, store: Store) -> int:
    """Measure the missing pairs of each document. Returns the model tokens that were forwarded."""
    engine = lm.load(model)
    ids = store.read(item.tokens, ["input_ids"])["input_ids"]
    forwarded = 0
    for reading in item.readings:
        earlier = measured.of(reading.content_hash)
        text = chunks_of(text_tokens(ids, reading.row, chunking.marks), chunking.chunk_tokens)
        chunks = Chunks(engine, text[: reading.n_chunks], engine.anchor)
        for block in measure(chunks, reading.content_hash, reading.n_pairs, earlier):
            measured.add(reading.content_hash, block)
        store.tell({"stage": "measure", "event": "made", "documents": 1, "bytes": 0, "model_tokens": chunks.forwarded})
        forwarded += chunks.forwarded
    return forwarded


def run(
    shards: Iterable[tuple[Shard, Sequence[Reading]]], model: lm.ModelParams, chunking: Chunking, measured: Measured,
    engine: Engine,
) -> None:  # fmt: skip
    """Measure every pair that was not measured before.

    Raises:
        NotMade: the engine only looks, and something is missing.
        RecipeError, StageError: the model can't be loaded or run.
    """
    todo = items((shard, [r for r in each if len(measured.of(r.content_hash)) < r.n_pairs]) for shard, each in shards)
    if not todo:
        return
    engine.must_make("score")
    with engine.reported("measure", sum(len(item.readings) for item in todo)), engine.pipeline("measure") as p:
        over_each(measure_item, model, chunking, measured, engine.store)(p, todo)
