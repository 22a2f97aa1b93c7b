"""TOKENS -> BUDGET and SCORES_CHUNK_GAIN: how much a document's chunks depend on chunks far before them.

    first_budget    one near and one far pair of every document that is long enough and that the cheap tier accepts
    scores          the model measures those pairs
    budget          the rest of the budget goes to the documents where it changes the plan most
    scores          the model measures their further pairs

Budgets are decided in one process from small columns. The model runs document by document, and its values are kept by
content.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, PositiveInt

from pipelines.documents import Chunking, Documents, side_by_side
from pipelines.encode import EncodeParams
from pipelines.score import measure, others
from pipelines.score.budget import Budgeted, Limits, first_round, spend
from pipelines.score.chunk_gain import Assembly, score_shard
from pipelines.score.kept_pairs import Measured
from pipelines.score.others import OtherParams
from pipelines.shares import Top
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, Store, name_of
from schemas.tables import BUDGET
from scorers import AnyScorer, lm
from scorers.chunk_gain import MIN_CHUNKS
from scorers.chunk_gain.calibration import NamedCalibration

VERSION = 2  # raise when the same params would give other rows

UNKNOWN_VARIANCE = 0.06  # of one far pair's gain, nats**2, without a calibration: only the ratios of gaps matter much


class ScoreParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: lm.ModelParams
    budget_tokens: PositiveInt  # of model passes, in all
    min_tokens: PositiveInt  # the model reads no shorter document
    chunk_tokens: PositiveInt = 128
    most_pairs: PositiveInt = 64  # of a document
    aim_share: Top | None = None  # the second round aims at the cut at this share of each domain's tokens; None: no cut
    calibration: NamedCalibration | None = None  # None: no correction
    also: tuple[AnyScorer, ...] = ()  # other scorers, of the documents that the model reads
    also_tokens: PositiveInt = 65_536  # they read so many tokens of a document, its first

    @property
    def variance(self) -> float:
        """Of one far pair's gain, in nats squared."""
        return float(np.mean(self.calibration.far.residual_variance)) if self.calibration else UNKNOWN_VARIANCE


def reasons(documents: Documents, columns: pa.Table, min_tokens: int, chunking: Chunking) -> np.ndarray:
    """[n] object, why the model does not read a document, or "".

    The first that holds: it has no cheap score, the model's own tokenizer refuses it, the cheap tier refuses it, it is
    too short.

    columns: [n] `status` of the model's TOKENS, `reason` and `refused` of SCORES_CHEAP.
    """
    n_tokens = documents.n_tokens
    too_short = chunking.n_chunks(n_tokens) < MIN_CHUNKS
    by_length = np.where(too_short, "too_short", np.where(n_tokens < min_tokens, "short", ""))
    no_score, of_cheap = (columns[name].fill_null("").to_numpy(zero_copy_only=False) for name in ("reason", "refused"))
    of_model = np.where(pc.equal(columns["status"], "refused").to_numpy(), "refused", "")
    why = by_length.astype(object)
    for reason in (of_cheap, of_model, no_score):
        why = np.where(reason == "", why, reason)
    return why


def limits(params: ScoreParams, chunking: Chunking) -> Limits:
    return Limits(params.budget_tokens, chunking, params.most_pairs)


def written(documents: Documents, budget: Budgeted, n_rows: Sequence[int], store: Store) -> list[Shard]:
    """BUDGET, in shards of `n_rows` rows."""
    columns = [documents.document_id, pa.array(budget.n_pairs, pa.int32()), pa.array(budget.why, pa.string())]
    table = pa.table(columns, schema=BUDGET)
    stops = np.cumsum(n_rows, dtype=np.int64).tolist()
    return [store.write("BUDGET", table.slice(stop - n, n)) for stop, n in zip(stops, n_rows, strict=True)]


def first_budget(
    columns: list[tuple[Read, ...]], params: ScoreParams, chunking: Chunking, engine: Engine
) -> list[Shard]:
    """BUDGET of the first round.

    columns: for each shard content_hash and domain; document_id, status and n_tokens; the cheap tier's reasons.
    """
    sizes = params.min_tokens, params.chunk_tokens, params.budget_tokens, chunking.marks
    name = name_of("first_budget", VERSION, sizes, keys_of(columns))

    def make() -> list[Shard]:
        table = side_by_side(columns, engine.store)
        documents = Documents.of(table)
        why = reasons(documents, table, params.min_tokens, chunking)
        budget = first_round(documents, why, limits(params, chunking))
        return written(documents, budget, [own.shard.n_rows for own, *_ in columns], engine.store)

    return engine.once("first_budget", name, make)


def final_budget(
    columns: list[tuple[Read, ...]], first: list[Shard], scores: list[Shard], params: ScoreParams, chunking: Chunking,
    engine: Engine,
) -> list[Shard]:  # fmt: skip
    """BUDGET after the second round.

    Args:
        columns: see first_budget.
        first, scores: BUDGET of the first round, and SCORES_CHUNK_GAIN from it.
    """
    reads = [
        (*own, Read(budget, ("n_pairs", "why")), Read(score, ("score",)))
        for own, budget, score in zip(columns, first, scores, strict=True)
    ]
    own_params = params.model_dump(mode="json", exclude={"also", "also_tokens"})  # other scorers change no budget
    name = name_of("budget", VERSION, own_params, chunking.marks, keys_of(reads))

    def make() -> list[Shard]:
        table = side_by_side(reads, engine.store)
        documents = Documents.of(table)
        before = Budgeted(table["n_pairs"].to_numpy(), table["why"].to_numpy(zero_copy_only=False))
        sizes = limits(params, chunking)
        budget = spend(documents, before, table["score"], params.aim_share, params.variance, sizes)
        return written(documents, budget, [shard.n_rows for shard in first], engine.store)

    return engine.once("budget", name, make)


def keys_of(reads: list[tuple[Read, ...]]) -> list[list[list[object]]]:
    return [[read.key() for read in each] for each in reads]


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
        measure.run(work, self.params.model, self.assembly.chunking, measured, self.engine)
        return self.engine.shards(SCORE, self.assembly, reads)

    def readings(self, k: int, budget: Shard) -> list[measure.Reading]:
        """What the model reads of the k-th shard."""
        reads = (
            Read(self.documents[k], ("content_hash",)),
            Read(self.tokens[k], ("n_tokens",)),
            Read(budget, ("n_pairs",)),
        )
        return measure.readings_of(side_by_side([reads], self.engine.store), self.assembly.chunking)


SCORE = ShardStage("score", VERSION, "SCORES_CHUNK_GAIN", score_shard)


def run(
    documents: list[Shard], tokens: list[Shard], cheap: list[Shard], reader: EncodeParams, params: ScoreParams,
    engine: Engine,
) -> dict[str, list[Shard]]:  # fmt: skip
    """BUDGET and SCORES_<kind>, a shard beside each shard of DOCUMENTS; and those of the first round, for a refresh.

    Args:
        tokens: of the model's own tokenizer, encoded as `reader` says.

    Raises:
        RecipeError: the model can't be loaded.
        NotMade: the engine only looks.
    """
    fingerprint = lm.fingerprint(params.model)
    measured = measure.folder_of(engine.store, params.model, params.chunk_tokens, reader.tokenizer.hash)
    marks = reader.n_marks
    assembly = Assembly(
        fingerprint=fingerprint, chunk_tokens=params.chunk_tokens, tokenizer=reader.tokenizer,
        calibration=params.calibration, measured=measured.folder, marks=marks,
    )  # fmt: skip
    scoring = Scoring(documents, tokens, params, assembly, engine)
    columns: list[tuple[Read, ...]] = [
        (
            Read(text, ("content_hash", "domain")),
            Read(ids, ("document_id", "status", "n_tokens")),
            Read(own, ("reason", "refused")),
        )
        for text, ids, own in zip(documents, tokens, cheap, strict=True)
    ]
    first = first_budget(columns, params, assembly.chunking, engine)
    first_scores = scoring.scores(first)
    budget = final_budget(columns, first, first_scores, params, assembly.chunking, engine)
    tables = {
        "FIRST_BUDGET": first,
        "FIRST_SCORES": first_scores,
        "BUDGET": budget,
        "SCORES_CHUNK_GAIN": scoring.scores(budget),
    }
    for scorer in params.also:
        own = OtherParams(
            scorer=scorer, model=params.model, fingerprint=fingerprint, tokenizer=reader.tokenizer.hash,
            most_tokens=params.also_tokens, marks=marks,
        )  # fmt: skip
        tables[own.table] = others.run(documents, tokens, budget, own, engine)
    return tables
