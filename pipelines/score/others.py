"""TOKENS, BUDGET -> SCORES_PROLONG, SCORES_INFOGAIN, SCORES_LONGATTN: other scorers with the same model.

They score the documents that the budget lets the model look at, each from its first `most_tokens` tokens. What a scorer
said of a document is kept by (content hash, fingerprint), so that a crash loses one document and a refresh reads new
ones only. They don't count in the budget: LDS takes 68,000 model tokens a document at its own settings.
"""

import json
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Protocol

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from pipelines.documents import without_eos
from pipelines.score.assembly import assembled
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import write_json
from schemas.tables import TABLES
from scorers import infogain, lm, longattn, prolong

VERSION = 1  # raise when the same params would give other rows


class Scored(Protocol):
    """What every scorer gives."""

    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def parts(self) -> dict[str, float | None]: ...


class ProLong(prolong.ProLongParams):
    """Each document as the first of a file: the original's stream of random numbers begins anew."""

    kind: Literal["prolong"]

    def score(self, engine: lm.LM, ids: np.ndarray) -> Scored:
        return prolong.score(engine, ids, self, random.Random(self.seed))  # noqa: S311 the original's


class InfoGain(infogain.InfoGainParams):
    kind: Literal["infogain"]

    def score(self, engine: lm.LM, ids: np.ndarray) -> Scored:
        return infogain.score(engine, ids, self)


class LongAttn(longattn.LongAttnParams):
    kind: Literal["longattn"]

    def score(self, engine: lm.LM, ids: np.ndarray) -> Scored:
        return longattn.score(engine, ids, self)


Also = Annotated[ProLong | InfoGain | LongAttn, Field(discriminator="kind")]


class AlsoParams(BaseModel):
    """What a shard's scores depend on beside its documents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scorer: Also
    model: lm.ModelParams
    fingerprint: tuple[str, ...]
    tokenizer: str
    most_tokens: PositiveInt


def score_shard(documents: pa.Table, tokens: pa.Table, budget: pa.Table, params: AlsoParams, store: Store) -> pa.Table:
    """SCORES_<kind>: a row for each row of `documents`."""
    schema = TABLES[f"SCORES_{params.scorer.kind.upper()}"]
    folder = store.root / "measured" / params.scorer.kind / name_of(VERSION, params)
    rows = []
    for k in np.flatnonzero(budget["n_pairs"].to_numpy()).tolist():
        content_hash = documents["content_hash"][k].as_py()
        ids = without_eos(tokens["input_ids"], k)[: params.most_tokens]
        values = kept_score(folder / content_hash[:2] / f"{content_hash}.json", ids, params, store)
        rows.append(values)
    return assembled(budget, rows, {}, schema)


def kept_score(path: Path, ids: np.ndarray, params: AlsoParams, store: Store) -> dict[str, object]:
    """A document's row: as it was kept, else computed now and kept."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        score = params.scorer.score(lm.load(params.model), ids)
        values: dict[str, object] = {"status": score.status, "reason": score.reason, **score.parts}
        write_json(path, values, store.parts())
        store.tell({"stage": params.scorer.kind, "event": "made", "documents": 1, "bytes": 0})
        return values


def run(
    documents: Sequence[Shard], tokens: Sequence[Shard], budget: Sequence[Shard], params: AlsoParams, engine: Engine
) -> list[Shard]:
    """SCORES_<kind>, a shard beside each shard of DOCUMENTS."""
    reads = (
        (Read(text, ("content_hash",)), Read(ids, ("input_ids",)), Read(given, ("document_id", "n_pairs", "why")))
        for text, ids, given in zip(documents, tokens, budget, strict=True)
    )
    kind = params.scorer.kind
    stage = ShardStage(kind, VERSION, f"SCORES_{kind.upper()}", partial(score_shard, store=engine.store))
    return engine.shards(stage, params, reads)
