"""TOKENS, BUDGET -> SCORES_<KIND>: other scorers with the same model, see scorers/__init__.py.

They score the documents that the budget gives pairs, each from its first `most_tokens` tokens. A score is kept by
(content hash, fingerprint), so that a crash loses one document and a refresh reads new ones only. The budget does not
count them: LDS takes 68,000 model tokens for a document at its own settings.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from pipelines.documents import text_tokens
from pipelines.score.assembly import assembled
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import write_json
from schemas.tables import TABLES
from scorers import AnyScorer, lm, table_of

VERSION = 1  # raise when the same params would give other rows


class OtherParams(BaseModel):
    """What a shard's scores depend on besides its documents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scorer: AnyScorer
    model: lm.ModelParams
    fingerprint: tuple[str, ...]
    tokenizer: str
    most_tokens: PositiveInt
    marks: int = Field(exclude=True)  # of each row of TOKENS; the tokenizer and the input_ids determine it

    @property
    def table(self) -> str:
        return table_of(self.scorer.kind)


def score_shard(documents: pa.Table, tokens: pa.Table, budget: pa.Table, params: OtherParams, store: Store) -> pa.Table:
    """SCORES_<kind>: a row for each row of `documents`."""
    schema = TABLES[params.table]
    folder = store.root / "measured" / params.scorer.kind / name_of(VERSION, params)
    rows = []
    for k in np.flatnonzero(budget["n_pairs"].to_numpy()).tolist():
        content_hash = documents["content_hash"][k].as_py()
        ids = text_tokens(tokens["input_ids"], k, params.marks)[: params.most_tokens]
        values = kept_score(folder / content_hash[:2] / f"{content_hash}.json", ids, params, store)
        rows.append(values)
    return assembled(budget, rows, {}, schema)


def kept_score(path: Path, ids: np.ndarray, params: OtherParams, store: Store) -> dict[str, object]:
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
    documents: Sequence[Shard], tokens: Sequence[Shard], budget: Sequence[Shard], params: OtherParams, engine: Engine
) -> list[Shard]:
    """SCORES_<kind>, a shard beside each shard of DOCUMENTS."""
    reads = (
        (Read(text, ("content_hash",)), Read(ids, ("input_ids",)), Read(given, ("document_id", "n_pairs", "why")))
        for text, ids, given in zip(documents, tokens, budget, strict=True)
    )
    stage = ShardStage(params.scorer.kind, VERSION, params.table, partial(score_shard, store=engine.store))
    return engine.shards(stage, params, reads)
