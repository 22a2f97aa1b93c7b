"""BUDGET, TOKENS and measured pairs -> SCORES_CHUNK_GAIN."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pipelines.documents import Chunking, text_tokens
from pipelines.score.assembly import assembled
from pipelines.score.kept_pairs import Measured
from pipelines.store.files import HashedFile
from schemas.errors import StageError
from schemas.scores import SCORES_CHUNK_GAIN
from scorers.chunk_gain import MeasuredPair, Parts, chunks_of, parts
from scorers.chunk_gain.calibration import Calibration


class Assembly(BaseModel):
    """What the scores of a shard depend on besides its documents and their budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: tuple[str, ...]
    chunk_tokens: int
    tokenizer: HashedFile
    calibration: Calibration | None
    measured: Path = Field(exclude=True)
    marks: int = Field(exclude=True)  # of each row of TOKENS; the tokenizer and the input_ids determine it

    @property
    def chunking(self) -> Chunking:
        return Chunking(self.chunk_tokens, self.marks)


EMPTY = {"n_near": 0, "n_far": 0, "n_chunks": 0, "pairs": []}  # of a document that the model does not read


def score_shard(documents: pa.Table, tokens: pa.Table, budget: pa.Table, params: Assembly) -> pa.Table:
    """SCORES_CHUNK_GAIN: a row for each row of `documents`, from measured pairs.

    Raises:
        StageError: a pair of the budget was not measured.
    """
    measured, n_pairs = Measured(params.measured), budget["n_pairs"].to_numpy()
    rows = []
    for k in np.flatnonzero(n_pairs).tolist():
        content_hash = documents["content_hash"][k].as_py()
        pairs = measured.of(content_hash)[: n_pairs[k]]
        if len(pairs) < n_pairs[k]:
            raise StageError(
                f"score: {len(pairs)} of {n_pairs[k]} pairs of the document with content_hash {content_hash} are in "
                f"{params.measured}; run the build again, which measures the rest"
            )
        chunks = chunks_of(text_tokens(tokens["input_ids"], k, params.marks), params.chunk_tokens)
        rows.append(scored(parts(pairs, chunks, content_hash, params.calibration), pairs))
    return assembled(budget, rows, EMPTY, SCORES_CHUNK_GAIN)


def scored(values: Parts, pairs: Sequence[MeasuredPair]) -> dict[str, object]:
    """The row of a document that was measured. Where its score is not a number its status is error."""
    is_finite = bool(np.isfinite(values.far) and np.isfinite(values.near))
    columns = {
        "score": values.far, "error": values.far_error, "near": values.near, "near_error": values.near_error,
        "uncorrected": values.uncorrected_far, "uncorrected_near": values.uncorrected_near,
        "strong_share": values.strong_share, "strength": values.strength, "distance": values.distance,
        "entropy_factor": values.entropy_factor,
    }  # fmt: skip
    return {
        "status": "scored" if is_finite else "error",
        "reason": None if is_finite else "the model's nll is not a finite number",
        **{name: value if is_finite and np.isfinite(value) else None for name, value in columns.items()},
        "n_near": values.n_near,
        "n_far": values.n_far,
        "n_chunks": values.n_chunks,
        "pairs": [pair._asdict() for pair in pairs],
    }
