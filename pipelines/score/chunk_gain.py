"""BUDGET, TOKENS and measured pairs -> SCORES_CHUNK_GAIN."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pipelines.documents import without_eos
from pipelines.score.kept_pairs import Measured
from pipelines.store.files import HashedFile
from schemas.errors import NotMade
from schemas.tables import SCORES_CHUNK_GAIN
from scorers.chunk_gain import MeasuredPair, Parts, chunks_of, parts
from scorers.chunk_gain.calibration import Calibration


class Assembly(BaseModel):
    """What the scores of a shard depend on beside its documents and their budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: tuple[str, ...]
    chunk_tokens: int
    tokenizer: HashedFile
    calibration: Calibration | None
    measured: Path = Field(exclude=True)


def score_shard(documents: pa.Table, tokens: pa.Table, budget: pa.Table, params: Assembly) -> pa.Table:
    """SCORES_CHUNK_GAIN: a row for each row of `documents`, from what was measured."""
    measured = Measured(params.measured)
    rows = []
    for k in range(documents.num_rows):
        n, why, content = budget["n_pairs"][k].as_py(), budget["why"][k].as_py(), documents["content_hash"][k].as_py()
        if not n:
            rows.append(unscored(budget["document_id"][k].as_py(), why))
            continue
        pairs = [MeasuredPair(*values) for values in measured.of(content)[:n]]
        if len(pairs) < n:
            raise NotMade(f"{content}: {len(pairs)} of {n} pairs were measured")
        chunks = chunks_of(without_eos(tokens["input_ids"], k), params.chunk_tokens)
        found = parts(pairs, chunks, content, params.calibration)
        rows.append(scored(budget["document_id"][k].as_py(), found, pairs))
    return pa.Table.from_pylist(rows, schema=SCORES_CHUNK_GAIN)


def unscored(document_id: str, why: str) -> dict[str, object]:
    """A row of a document that the model did not look at."""
    status = why if why in ("dropped", "too_short") else "not_scored"
    return {
        "document_id": document_id,
        "status": status,
        "reason": why,
        "n_near": 0,
        "n_far": 0,
        "n_chunks": 0,
        "pairs": [],
    }


def scored(document_id: str, found: Parts, pairs: Sequence[MeasuredPair]) -> dict[str, object]:
    """A row of a document that was measured; one whose score is no number says so, and has none."""
    whole = np.isfinite(found.far) and np.isfinite(found.near)
    values = {
        "score": found.far, "error": found.far_error, "near": found.near, "near_error": found.near_error,
        "uncorrected": found.uncorrected_far, "uncorrected_near": found.uncorrected_near,
        "strong_share": found.strong_share, "strength": found.strength, "distance": found.distance,
        "entropy_factor": found.entropy_factor,
    }  # fmt: skip
    return {
        "document_id": document_id,
        "status": "scored" if whole else "error",
        "reason": None if whole else "the model's nll is not a finite number",
        **{name: value if whole and np.isfinite(value) else None for name, value in values.items()},
        "n_near": found.n_near,
        "n_far": found.n_far,
        "n_chunks": found.n_chunks,
        "pairs": [pair._asdict() for pair in pairs],
    }
