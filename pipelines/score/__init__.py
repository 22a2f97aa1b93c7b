"""TOKENS -> BUDGET and SCORES_CHUNK_GAIN: how far documents depend on what stands long before.

The guard and the gate of the cheap tier come first; then the model reads one near and one far pair of every document
that is left and long enough; then what remains of the budget goes where it changes the plan most. All decisions look
at small columns in one process; the model runs document by document, and what it said is kept by content.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, PositiveInt

from pipelines.documents import Documents, n_chunks, side_by_side
from pipelines.score import measure
from pipelines.score import others as also
from pipelines.score.budget import Budgeted, Limits, first_round, spend
from pipelines.score.chunk_gain import Assembly, score_shard
from pipelines.score.kept_pairs import Measured
from pipelines.score.others import Also, AlsoParams
from pipelines.shares import Top
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, name_of
from pipelines.store.files import HashedFile
from schemas.tables import BUDGET
from scorers import lm
from scorers.chunk_gain import MIN_CHUNKS
from scorers.chunk_gain.calibration import Calibration

VERSION = 2  # raise when the same params would give other rows

UNKNOWN_VARIANCE = 0.06  # of one far pair's gain, nats**2, without a calibration: only the ratios of gaps matter much


class ScoreParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: lm.ModelParams
    budget_tokens: PositiveInt  # of model passes, in all
    min_tokens: PositiveInt  # a shorter document is not looked at
    chunk_tokens: PositiveInt = 128
    most_pairs: PositiveInt = 64  # of a document
    aim_share: Top | None = None  # the second round aims at this cut: the top of each domain's tokens; None: at no cut
    calibration: Calibration | None = None  # None: no correction
    also: tuple[Also, ...] = ()  # other scorers of the documents that the model looks at
    also_tokens: PositiveInt = 65_536  # of a document, its first, that these read

    @property
    def limits(self) -> Limits:
        return Limits(self.budget_tokens, self.chunk_tokens, self.most_pairs)

    @property
    def variance(self) -> float:
        """Of one far pair's gain, in nats squared."""
        return float(np.mean(self.calibration.far.residual_variance)) if self.calibration else UNKNOWN_VARIANCE


def reasons(documents: Documents, refused: pa.ChunkedArray, params: ScoreParams) -> np.ndarray:
    """[n] object, why the model does not read a document, or "". The cheap tier's reason comes first, at any length.

    refused: [n] of SCORES_CHEAP.
    """
    n_tokens = documents.n_tokens
    too_short = n_chunks(n_tokens, params.chunk_tokens) < MIN_CHUNKS
    by_length = np.where(too_short, "too_short", np.where(n_tokens < params.min_tokens, "short", ""))
    of_cheap = refused.fill_null("").to_numpy(zero_copy_only=False)
    return np.where(n_tokens == 0, "dropped", np.where(of_cheap == "", by_length, of_cheap))


def budget_of(documents: Documents, budget: Budgeted, n_rows: Sequence[int]) -> list[pa.Table]:
    """BUDGET, divided into shards of `n_rows` rows."""
    columns = [documents.document_id, pa.array(budget.n_pairs, pa.int32()), pa.array(budget.why, pa.string())]
    table = pa.table(columns, schema=BUDGET)
    return [table.slice(stop - n, n) for stop, n in zip(np.cumsum(n_rows).tolist(), n_rows, strict=True)]


@dataclass(frozen=True)
class Scoring:
    """A run of this stage: the tables it reads, whose shards are parallel, and where its values are kept."""

    documents: list[Shard]
    tokens: list[Shard]
    params: ScoreParams
    assembly: Assembly
    engine: Engine

    def scores(self, budget: Sequence[Shard]) -> list[Shard]:
        """SCORES_CHUNK_GAIN for a budget; what it needs is measured first."""
        reads = [
            (Read(text, ("content_hash",)), Read(ids, ("input_ids",)), Read(given, ("document_id", "n_pairs", "why")))
            for text, ids, given in zip(self.documents, self.tokens, budget, strict=True)
        ]
        actions = SCORE.actions(self.assembly, reads)
        missing = [k for k, action in enumerate(actions) if self.engine.store.find("score", action.name) is None]
        work = [(self.tokens[k], self.readings(k, budget[k])) for k in missing]
        measured = Measured(self.assembly.measured)
        measure.run(work, self.params.model, self.params.chunk_tokens, measured, self.engine)
        return self.engine.shards(SCORE, self.assembly, reads)

    def readings(self, k: int, budget: Shard) -> list[measure.Reading]:
        """What the model reads of the k-th shard."""
        reads = (
            Read(self.documents[k], ("content_hash",)),
            Read(self.tokens[k], ("n_tokens",)),
            Read(budget, ("n_pairs",)),
        )
        return measure.readings_of(side_by_side([reads], self.engine.store), self.params.chunk_tokens)


SCORE = ShardStage("score", VERSION, "SCORES_CHUNK_GAIN", score_shard)


def run(
    documents: list[Shard], tokens: list[Shard], cheap: list[Shard], tokenizer: HashedFile, params: ScoreParams,
    engine: Engine,
) -> dict[str, list[Shard]]:  # fmt: skip
    """BUDGET and SCORES_CHUNK_GAIN, a shard beside each shard of DOCUMENTS.

    Args:
        tokens: of the model's own tokenizer.

    Raises:
        RecipeError: the model can't be loaded.
        NotMade: the engine only looks.
    """
    fingerprint, store = lm.fingerprint(params.model), engine.store
    measured = measure.folder_of(store, params.model, params.chunk_tokens, tokenizer.hash)
    assembly = Assembly(
        fingerprint=fingerprint, chunk_tokens=params.chunk_tokens, tokenizer=tokenizer,
        calibration=params.calibration, measured=measured.folder,
    )  # fmt: skip
    scoring = Scoring(documents, tokens, params, assembly, engine)
    reads = [Read(s, ("content_hash", "domain")) for s in documents]
    reads += [Read(s, ("document_id", "input_ids")) for s in tokens] + [Read(s, ("refused",)) for s in cheap]
    asked_for = params.model_copy(update={"also": ()})  # other scorers change no budget
    name = name_of("budget", VERSION, asked_for, list(fingerprint), tokenizer, [r.key() for r in reads])
    budget = engine.find("budget", name)
    if budget is None:
        columns = side_by_side(
            [
                (
                    Read(text, ("content_hash", "domain")),
                    Read(ids, ("document_id", "n_tokens")),
                    Read(own, ("refused",)),
                )
                for text, ids, own in zip(documents, tokens, cheap, strict=True)
            ],
            store,
        )
        small, n_rows = Documents.of(columns), [s.n_rows for s in documents]
        first = first_round(small, reasons(small, columns["refused"], params), params.limits)
        seen = scoring.scores([store.write("BUDGET", table) for table in budget_of(small, first, n_rows)])
        score = side_by_side([(Read(s, ("score",)),) for s in seen], store)["score"]
        final = spend(small, first, score, params.aim_share, params.variance, params.limits)
        budget = store.commit("budget", name, [store.write("BUDGET", t) for t in budget_of(small, final, n_rows)])
    found = {"BUDGET": budget, "SCORES_CHUNK_GAIN": scoring.scores(budget)}
    for scorer in params.also:
        asked = AlsoParams(
            scorer=scorer, model=params.model, fingerprint=fingerprint, tokenizer=tokenizer.hash,
            most_tokens=params.also_tokens,
        )  # fmt: skip
        found[f"SCORES_{scorer.kind.upper()}"] = also.run(documents, tokens, budget, asked, engine)
    return found
