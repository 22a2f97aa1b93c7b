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

from pipelines.score import measure
from pipelines.score import others as also
from pipelines.score.budget import Budgeted, cost, cuts, first_round, second_round
from pipelines.score.chunk_gain import Assembly, score_shard
from pipelines.score.kept_pairs import Measured
from pipelines.score.others import Also, AlsoParams
from pipelines.shares import MICRO, Top
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import HashedFile
from schemas.tables import BUDGET
from scorers import lm
from scorers.chunk_gain import MIN_CHUNKS
from scorers.chunk_gain.calibration import NamedCalibration

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
    calibration: NamedCalibration | None = None  # None: no correction
    also: tuple[Also, ...] = ()  # other scorers of the documents that the model looks at
    also_tokens: PositiveInt = 65_536  # of a document, its first, that these read


class Columns:
    """What is decided from: the small columns of all documents, shard after shard."""

    def __init__(self, documents: Sequence[Shard], tokens: Sequence[Shard], cheap: Sequence[Shard], store: Store):
        text = pa.concat_tables([store.read(s, ("content_hash", "domain")) for s in documents])
        ids = pa.concat_tables([store.read(s, ("document_id", "n_tokens")) for s in tokens])
        screened = pa.concat_tables([store.read(s, ("refused",)) for s in cheap])
        self.n_rows = [s.n_rows for s in documents]
        self.document_id, self.content_hash = ids["document_id"], text["content_hash"].to_pylist()
        self.domain = np.array(text["domain"].to_pylist(), object)
        self.n_tokens = ids["n_tokens"].fill_null(0).to_numpy().astype(np.int64)
        self.refused = np.array([reason or "" for reason in screened["refused"].to_pylist()], object)

    def reasons(self, params: ScoreParams) -> np.ndarray:
        """[n] why the model does not look at a document, or "". What the cheap tier refuses says so at any length."""
        too_short = (self.n_tokens - 1) // params.chunk_tokens < MIN_CHUNKS
        by_length = np.where(too_short, "too_short", np.where(self.n_tokens < params.min_tokens, "short", ""))
        reasons = np.where(self.refused == "", by_length, self.refused).astype(object)
        reasons[self.n_tokens == 0] = "dropped"
        return reasons

    def tables(self, budget: Budgeted) -> list[pa.Table]:
        """BUDGET, shard by shard."""
        columns = [self.document_id, pa.array(budget.n_pairs, pa.int32()), pa.array(budget.why.tolist(), pa.string())]
        whole = pa.table(columns, schema=BUDGET)
        starts = np.concatenate([[0], np.cumsum(self.n_rows)])
        return [whole.slice(int(start), n) for start, n in zip(starts, self.n_rows, strict=False)]


@dataclass(frozen=True)
class Scoring:
    """A run of this stage: what it reads, and where its values lie. shards[k] of each table stand side by side."""

    documents: list[Shard]
    tokens: list[Shard]
    params: ScoreParams
    assembly: Assembly
    engine: Engine

    def scores(self, budget: Sequence[Shard]) -> list[Shard]:
        """SCORES_CHUNK_GAIN for a budget, with what it needs measured first."""
        each = (
            (Read(text, ("content_hash",)), Read(ids, ("input_ids",)), Read(given, ("document_id", "n_pairs", "why")))
            for text, ids, given in zip(self.documents, self.tokens, budget, strict=True)
        )
        reads, store = list(each), self.engine.store
        actions = SCORE.actions(self.assembly, reads)
        new = [store.find("score", action.name) is None for action in actions]
        wanted = [
            wanted_of(action.reads, self.params.chunk_tokens, store) if is_new else []
            for action, is_new in zip(actions, new, strict=True)
        ]
        work = list(zip(self.tokens, wanted, strict=True))
        measured = Measured(self.assembly.measured)
        measure.run(work, self.params.model, self.params.chunk_tokens, measured, self.engine)
        return self.engine.shards(SCORE, self.assembly, reads)


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
        columns = Columns(documents, tokens, cheap, store)
        first = first_round(
            columns.reasons(params), (columns.n_tokens - 1) // params.chunk_tokens, columns.n_tokens,
            columns.content_hash, params.budget_tokens, params.chunk_tokens,
        )  # fmt: skip
        seen = scoring.scores([store.write("BUDGET", table) for table in columns.tables(first)])
        final = spend(columns, first, seen, params, store)
        budget = store.commit("budget", name, [store.write("BUDGET", table) for table in columns.tables(final)])
    found = {"BUDGET": budget, "SCORES_CHUNK_GAIN": scoring.scores(budget)}
    for scorer in params.also:
        asked = AlsoParams(
            scorer=scorer, model=params.model, fingerprint=fingerprint, tokenizer=tokenizer.hash,
            most_tokens=params.also_tokens,
        )  # fmt: skip
        found[f"SCORES_{scorer.kind.upper()}"] = also.run(documents, tokens, budget, asked, engine)
    return found


def wanted_of(reads: Sequence[Read], chunk_tokens: int, store: Store) -> list[measure.Wanted]:
    """The documents of a shard that the model is to look at."""
    text, ids, given = (read.shard for read in reads)
    content_hash = store.read(text, ["content_hash"])["content_hash"].to_pylist()
    n_tokens = store.read(ids, ["n_tokens"])["n_tokens"].fill_null(0).to_numpy()
    n_pairs = store.read(given, ["n_pairs"])["n_pairs"].to_numpy()
    found = []
    for k in np.flatnonzero(n_pairs):
        s, n = int(n_tokens[k] - 1) // chunk_tokens, int(n_pairs[k])
        price = cost(s, content_hash[k], n, chunk_tokens)
        found.append(measure.Wanted(int(k), content_hash[k], s, n, price))
    return found


def spend(
    columns: Columns,
    first: Budgeted,
    seen: Sequence[Shard],
    params: ScoreParams,
    store: Store,
) -> Budgeted:
    """The second round, from what the first one found."""
    found = pa.concat_tables([store.read(s, ("score",)) for s in seen])["score"]
    known = found.is_valid().to_numpy()
    score = np.rint(found.fill_null(0).to_numpy() * MICRO).astype(np.int64)
    gap = None
    if params.aim_share is not None and known.any():
        aim: float = params.aim_share
        cut = np.zeros(len(score), np.int64)
        hashes = np.array(columns.content_hash, object)
        cut[known] = cuts(score[known], columns.n_tokens[known], columns.domain[known], hashes[known], lambda _: aim)
        gap = score - cut
    one = params.calibration.far.residual_variance if params.calibration else (UNKNOWN_VARIANCE,)
    variance = np.full(len(score), round(float(np.mean(one)) * MICRO * MICRO), np.int64)
    rest = known | (first.n_pairs == 0)  # what came out as no number gets no second look
    n_chunks, hashes = (columns.n_tokens - 1) // params.chunk_tokens, np.array(columns.content_hash, object)
    lost = sum(
        cost(int(n_chunks[k]), hashes[k], int(first.n_pairs[k]), params.chunk_tokens)
        for k in np.flatnonzero(~rest).tolist()
    )
    found_for = second_round(
        Budgeted(first.n_pairs[rest], first.why[rest]), n_chunks[rest], columns.n_tokens[rest], hashes[rest].tolist(),
        params.budget_tokens - lost, params.chunk_tokens, params.most_pairs, None if gap is None else gap[rest],
        variance[rest],
    )  # fmt: skip
    n_pairs, why = first.n_pairs.copy(), first.why.copy()
    n_pairs[rest], why[rest] = found_for.n_pairs, found_for.why
    return Budgeted(n_pairs, why)
