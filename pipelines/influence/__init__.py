"""DOCUMENTS, SAMPLES -> SCORES_HMG, SCORES_CAM: raw parts of GATEAU of each sample, by a small language model.

    reading    which samples the model reads: not short instructions, and only while the budget lasts
    measure    the model reads them, spread over the workers in items of about ITEM_TOKENS model tokens; values are kept
    score      both tables, shard by shard, from kept values

Nothing is normalised over samples here, see pipelines/choose: neither its params nor a larger budget measures a sample again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.documents import side_by_side
from pipelines.encode import EncodeParams
from pipelines.influence.kept import Kept
from pipelines.influence.reading import OF_DOCUMENTS, OF_SAMPLES, SPANS, Reading, reading_of, sample_of
from pipelines.own_tokenizer import own_tokenizer, reads_tokens_of
from pipelines.reuse import read_rows
from pipelines.stage import Engine, Read, over_each
from pipelines.store import Shard, Store, name_of
from schemas.errors import RecipeError
from schemas.tables import TABLES
from scorers import influence, lm
from scorers.configs import config_of
from scorers.influence import InfluenceParams

VERSION = 1  # raise when the same params would give other rows

ITEM_TOKENS = 16_000  # of model passes: half a minute of a core
OWN_STATUS = ("dropped", "too_short")  # reasons that are a status; a sample with another reason is not_scored
HMG, CAM = "SCORES_HMG", "SCORES_CAM"


@dataclass(frozen=True)
class Item:
    """Some rows of a shard of SAMPLES, ascending, and their model tokens."""

    samples: Shard
    rows: tuple[int, ...]
    cost: int


@dataclass(frozen=True, eq=False)
class Scored:
    """The action that makes a shard of both tables. reason: [n] object of its samples, see Reading."""

    name: str
    samples: Shard
    reason: np.ndarray


def run(
    documents: list[Shard], samples: list[Shard], params: InfluenceParams, short_sources: Sequence[str], engine: Engine
) -> tuple[list[Shard], list[Shard]]:
    """SCORES_HMG and SCORES_CAM, a shard of each beside each shard of DOCUMENTS.

    Args:
        short_sources: their samples are short instructions, which are not scored.

    Raises:
        RecipeError: a model can't be loaded.
        StageError: a pass doesn't fit into memory.
        NotMade: the engine only looks.
    """
    if not documents:
        return [], []
    reads = [(Read(text, OF_DOCUMENTS), Read(ids, OF_SAMPLES)) for text, ids in zip(documents, samples, strict=True)]
    reading = reading_of(side_by_side(reads, engine.store), short_sources, params)
    stops = np.cumsum([shard.n_rows for shard in samples], dtype=np.int64).tolist()
    parts = [reading.take(slice(stop - s.n_rows, stop)) for s, stop in zip(samples, stops, strict=True)]
    kept = Kept.of(params, engine.store)
    actions = [action_of(shard, part, kept) for shard, part in zip(samples, parts, strict=True)]
    missing = [k for k, action in enumerate(actions) if engine.find("influence", action.name) is None]
    items = [item for k in missing for item in items_of(samples[k], parts[k])]
    if items:
        measure(items, kept, params, engine)
    made = engine.each("influence", actions, over_each(score, kept, params, engine.store))
    return [hmg for hmg, _ in made], [cam for _, cam in made]


def action_of(samples: Shard, reading: Reading, kept: Kept) -> Scored:
    """A row depends on the tokens, on where they are, and on why a sample is not read."""
    reads = Read(samples, ("document_id", "input_ids", *SPANS)).key()
    reasons = blake2b("\n".join(reading.reason.tolist()).encode(), digest_size=16).hexdigest()
    return Scored(name_of("influence", VERSION, kept.folder.name, reads, reasons), samples, reading.reason)


# -- the model


def items_of(samples: Shard, reading: Reading) -> Iterator[Item]:
    """Work of about equal size: consecutive samples of a shard."""
    rows: list[int] = []
    for row in np.flatnonzero(reading.reason == "").tolist():
        if rows and reading.costs[[*rows, row]].sum() > ITEM_TOKENS:
            yield Item(samples, tuple(rows), int(reading.costs[rows].sum()))
            rows = []
        rows.append(row)
    if rows:
        yield Item(samples, tuple(rows), int(reading.costs[rows].sum()))


def measure(items: Sequence[Item], kept: Kept, params: InfluenceParams, engine: Engine) -> None:
    """Measure what was not measured before. The largest items come first, so that none ends late."""
    engine.must_make("influence")
    todo = sorted(items, key=lambda item: -item.cost)
    with engine.reported("measure", sum(len(item.rows) for item in todo)), engine.pipeline("measure") as p:
        over_each(measure_item, kept, params, engine.store)(p, todo)


def measure_item(item: Item, kept: Kept, params: InfluenceParams, store: Store) -> None:
    table = read_rows(item.samples, ("input_ids", *SPANS), np.array(item.rows), store)
    for row in range(len(item.rows)):
        _, model_tokens = kept.values(sample_of(table, row), params, store)
        store.tell({"stage": "measure", "event": "made", "documents": 1, "bytes": 0, "model_tokens": model_tokens})


# -- tables


def score(action: Scored, kept: Kept, params: InfluenceParams, store: Store) -> None:
    """Make and commit a shard of both tables."""
    ids = store.read(action.samples, ("document_id",))["document_id"].to_pylist()
    rows = np.flatnonzero(action.reason == "")
    table = read_rows(action.samples, ("input_ids", *SPANS), rows, store)
    values = {row: kept.values(sample_of(table, k), params, store)[0] for k, row in enumerate(rows.tolist())}
    shards = []
    for name in (HMG, CAM):
        made = [
            {"document_id": document_id, **(values[row][name] if row in values else not_read(action.reason[row]))}
            for row, document_id in enumerate(ids)
        ]
        shards.append(store.write(name, pa.Table.from_pylist(made, schema=TABLES[name])))
    store.commit("influence", action.name, shards, len(ids))


def not_read(reason: str) -> dict[str, Any]:
    """The row of a sample that the model did not read; other columns are NULL."""
    return {"status": reason if reason in OWN_STATUS else "not_scored", "reason": reason}


# -- the recipe


def check(params: InfluenceParams, encode: EncodeParams) -> None:
    """
    Raises:
        RecipeError: torch or its device is missing, a model can't be loaded, its window is shorter than the recipe says, or
            its vocabulary is not that of the recipe's tokenizer.
    """
    weights = params.model.weights
    lm.torch_on(params.model.device)
    folder = Path(lm.converted(weights))
    own = own_tokenizer(folder, config_of(folder))
    if not reads_tokens_of(own, encode):
        raise RecipeError(
            f"influence.model: {weights.path} has another vocabulary than encode.tokenizer, so that it can't read the tokens "
            f"of the samples; set encode.tokenizer to {own.path}, or name a model of the recipe's tokenizer"
        )
    influence.window_of(params)
    influence.load(params)
