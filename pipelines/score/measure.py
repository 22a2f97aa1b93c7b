"""Run the model on documents, spread over the workers; what it says is kept document by document, as it comes.

An element of the pipeline is some rows of one shard of TOKENS, of about ITEM_TOKENS model tokens. What was measured
before is never measured again: a build that was killed goes on behind the last pair that it kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.score.kept_pairs import Measured
from pipelines.stage import Engine, over_each
from pipelines.store import Shard, Store, name_of
from scorers import lm
from scorers.chunk_gain import chunks_of, measure
from scorers.chunks import Chunks

VERSION = 1  # raise when the same text and model would give other pairs or values

ITEM_TOKENS = 16_000  # of model passes: half a minute of a core


@dataclass(frozen=True)
class Wanted:
    """A document to look at: its row in a shard of TOKENS, and how many of its pairs."""

    row: int
    content_hash: str
    n_chunks: int  # the first of the document
    n_pairs: int
    price: int  # model tokens, for spreading the work evenly


@dataclass(frozen=True)
class Item:
    tokens: Shard
    wanted: tuple[Wanted, ...]


def folder_of(
    store: Store, params: lm.ModelParams, chunk_tokens: int, tokenizer: str, use: str = "chunk_gain"
) -> Measured:
    """Where the values of a model live: under a hash of all that they depend on but the text."""
    name = name_of(use, VERSION, lm.fingerprint(params), chunk_tokens, tokenizer)
    return Measured(store.root / "measured" / use / name)


def items(shards: Sequence[tuple[Shard, Sequence[Wanted]]]) -> list[Item]:
    """Work of about equal size: neighbours in a shard go together."""
    found = []
    for shard, wanted in shards:
        batch: list[Wanted] = []
        for one in wanted:
            if batch and sum(w.price for w in batch) + one.price > ITEM_TOKENS:
                found.append(Item(shard, tuple(batch)))
                batch = []
            batch.append(one)
        if batch:
            found.append(Item(shard, tuple(batch)))
    return sorted(
        found, key=lambda item: -sum(w.price for w in item.wanted)
    )  # the largest first: none is left at the end


def measure_item(item: Item, model: lm.ModelParams, chunk_tokens: int, measured: Measured, store: Store) -> int:
    """Measure what is missing of each document. Returns the model tokens that were forwarded."""
    engine = lm.load(model)
    ids = store.read(item.tokens, ["input_ids"])["input_ids"]
    forwarded = 0
    for one in item.wanted:
        known = measured.of(one.content_hash)
        of_document = chunks_of(np.array(ids[one.row].values.to_numpy()[:-1]), chunk_tokens)
        chunks = Chunks(engine, of_document[: one.n_chunks], engine.anchor)
        for block in measure(chunks, one.content_hash, one.n_pairs, known):
            measured.add(one.content_hash, block)
        store.tell({"stage": "measure", "event": "made", "documents": 1, "bytes": 0, "model_tokens": chunks.forwarded})
        forwarded += chunks.forwarded
    return forwarded


def run(
    shards: Sequence[tuple[Shard, Sequence[Wanted]]], model: lm.ModelParams, chunk_tokens: int, measured: Measured,
    engine: Engine,
) -> None:  # fmt: skip
    """Have every wanted pair measured.

    Raises:
        NotMade: the engine only looks, and something is missing.
        RecipeError, StageError: the model can't be loaded or run.
    """
    missing = [(shard, [w for w in wanted if len(measured.of(w.content_hash)) < w.n_pairs]) for shard, wanted in shards]
    todo = items(missing)
    if not todo:
        return
    engine.must_make("score")
    with engine.reported("measure", sum(len(item.wanted) for item in todo)), engine.pipeline("measure") as p:
        over_each(measure_item, model, chunk_tokens, measured, engine.store)(p, todo)
