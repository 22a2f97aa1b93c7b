"""What a build of a recipe will do, in seconds: exact from the tables that exist, else estimated from a sample."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import build, findings
from pipelines.encode import EncodeParams
from pipelines.forecast.embedding import Embedded as Embedded
from pipelines.forecast.embedding import EmbeddingForecast as EmbeddingForecast
from pipelines.forecast.embedding import embedding_forecast
from pipelines.forecast.encoded import encoding_rows
from pipelines.forecast.estimate import Sample, estimated, sample
from pipelines.forecast.samples import SamplesForecast as SamplesForecast
from pipelines.forecast.samples import samples_forecast as samples_forecast
from pipelines.plan import LEFT_OUT, PlanParams, plan, read_kept, reads_of, targets_table
from pipelines.plan.cells import Cells
from pipelines.plan.upsample import Targets, solve
from pipelines.recipe import Recipe
from pipelines.score import ScoreParams
from pipelines.stage import Engine
from pipelines.store import Shard, Store
from pipelines.versions import possible_bases, tables_of
from schemas.errors import NotMade
from scorers.chunk_gain import MIN_CHUNKS


@dataclass(frozen=True)
class ScoringForecast:
    """The documents that the model will score, whatever the plan then selects.

    Attributes:
        n_documents, n_tokens: of all of them.
        min_tokens: of the shortest of them, marks included.
        is_exact: counted in the model's own tokens; else estimated.
        is_screened: without those that the cheap tier refuses.
    """

    n_documents: int
    n_tokens: int
    min_tokens: int
    is_exact: bool
    is_screened: bool


@dataclass(frozen=True)
class Forecast:
    """The documents to draw from, and what will be drawn of them.

    Attributes:
        before: of the documents that dedup kept and the plan may draw, or of a sample of the sources.
        after: [d, 9] tokens that will be drawn, by domain and length bucket.
        targets: TARGETS, as the build will write it.
        sampled: source -> the share of it that was read; empty where the figures are exact.
        missing: the tables that the plan selects by and that do not exist yet.
        scoring: None where the recipe has no model.
        n_drawn: different documents in the mix.
        n_chunks: chunks of all of these, for negative_extension; 0 for another packer.
        notes: sentences on the input, as a build has them, and on the sample.
        read_bytes: of the raw records that were read; 0 where the figures are exact.
        embedding: None where the recipe's order needs no vectors.
    """

    before: Cells
    after: np.ndarray
    targets: pa.Table
    sampled: dict[str, float]
    missing: tuple[str, ...]
    scoring: ScoringForecast | None
    n_drawn: int
    n_chunks: int = 0
    embedding: EmbeddingForecast | Embedded | None = None
    notes: tuple[str, ...] = ()
    read_bytes: int = 0


def forecast(recipe: Recipe, root: Path) -> Forecast:
    """Look up the results of a build, and make nothing.

    The actions of a build and of a refresh have different names, since a refresh keeps decisions of its base. So the
    tables of the newest version are looked up too: those made on its own base, and those of a refresh of it.

    Raises:
        RecipeError: a source can't be read, or there is nothing to draw.
    """
    engine = Engine.looking(root)
    for base in possible_bases(root, recipe.mix):
        engine.notes.clear()
        with suppress(NotMade):
            return with_notes(from_root(recipe, engine, tables_of(base)), recipe, engine)
    engine.notes.clear()
    estimate = from_samples(recipe, [sample(source, recipe.encode, root) for source in recipe.sources])
    return with_notes(with_embedding(estimate, recipe, engine), recipe, engine)


def with_notes(forecast: Forecast, recipe: Recipe, engine: Engine) -> Forecast:
    """The forecast with the sentences that the engine's look-up noted, before its own."""
    return replace(forecast, notes=tuple(dict.fromkeys([*engine.notes, *forecast.notes, *findings.unfollowed(recipe)])))


def with_embedding(
    forecast: Forecast, recipe: Recipe, engine: Engine, tables: build.Tables | None = None,
    base: Mapping[str, list[Shard]] | None = None,
) -> Forecast:  # fmt: skip
    """The forecast with that of the encoder.

    tables: those that exist; None where the corpus was not read. base: those of the base version.
    """
    encoder = recipe.order.encoder
    if encoder is None or not recipe.order.needs_vectors:
        return forecast
    is_exact, tables = bool(tables) and not forecast.missing, tables or {}
    is_embedded = False
    if is_exact:
        with suppress(NotMade):
            build.drawn(recipe, tables, engine)
            is_embedded = True
            if forecast.n_chunks:
                build.ordered(recipe, tables, engine, base or {})
            return replace(forecast, embedding=Embedded(encoder.folder.name, forecast.n_drawn, forecast.n_chunks > 0))
    documents = tables.get("DOCUMENTS", [])
    embedding = embedding_forecast(encoder, forecast.n_drawn, engine, documents, is_exact=is_exact)
    size = recipe.pack.negative_chunk_tokens
    embedding = replace(embedding, n_chunks=forecast.n_chunks, chunk_tokens=size, is_embedded=is_embedded)
    return replace(forecast, embedding=embedding)


def from_root(recipe: Recipe, engine: Engine, base: Mapping[str, list[Shard]]) -> Forecast:
    """
    Raises:
        NotMade: the corpus was not read, or has changed since.
    """
    if not (engine.store.root / "actions").is_dir():
        raise NotMade("ingest")
    tables = build.corpus(recipe, engine, base)
    scoring = scoring_of_tables(recipe, recipe.score, tables, engine, base) if recipe.score else None
    try:
        tables |= build.scores(recipe, tables, engine, base)
        missing: tuple[str, ...] = ()
    except NotMade:
        missing = recipe.selects_by
    engine.notes.extend(findings.encoding(encoding_rows(tables["DOCUMENTS"], tables["TOKENS"], engine.store)))
    exact = replace(from_tables(tables, recipe, engine.store), missing=missing, scoring=scoring)
    return with_embedding(exact, recipe, engine, tables, base)


def from_tables(tables: Mapping[str, list[Shard]], recipe: Recipe, store: Store) -> Forecast:
    """The plan of tables that exist, those that it selects by among them."""
    params = recipe.plan
    reads = reads_of(tables["DOCUMENTS"], tables["TOKENS"], tables, params)
    kept, judgements = read_kept(reads, params, store)
    mix = plan(kept, params, judgements)
    first = mix.draws.n_tokens[mix.draws.epoch == 0]
    chunks = int((-(-first // recipe.pack.negative_chunk_tokens)).sum()) if recipe.pack.is_extension else 0
    return Forecast(
        mix.before, mix.after.tokens.sum(axis=1), mix.table(), {}, missing=(), scoring=None, n_drawn=len(first),
        n_chunks=chunks,
    )  # fmt: skip


def from_samples(recipe: Recipe, samples: Sequence[Sample]) -> Forecast:
    """The plan of sources that are like their samples. No score exists, so nothing is selected."""
    params: PlanParams = recipe.plan
    cells = estimated(samples, params.long_tokens)
    targets = solve(cells, params.budget_tokens, params.shares, params.short_rate, params.max_epochs)
    rates = np.nan_to_num(targets.rates).clip(0, 1)[:, :, None]
    n_chunks = chunks_of(cells, recipe.pack.negative_chunk_tokens) if recipe.pack.is_extension else np.zeros(1)
    n_drawn = float((cells.documents * rates).sum())
    nothing = replace(cells, documents=np.zeros_like(cells.documents), tokens=np.zeros_like(cells.tokens))
    return Forecast(
        before=cells,
        after=spread(cells, targets),
        targets=targets_table(targets, dict.fromkeys(LEFT_OUT, nothing)),
        sampled={s.source: s.beginning.share for s in samples},
        missing=recipe.selects_by,
        scoring=scoring_of_samples(samples, recipe.score, recipe.encode) if recipe.score else None,
        notes=tuple(note for s in samples for note in s.beginning.notes),
        read_bytes=sum(s.beginning.n_bytes for s in samples),
        n_drawn=round(n_drawn) or int(n_drawn > 0),
        n_chunks=round(float((n_chunks * rates).sum())),
    )


def chunks_of(cells: Cells, chunk_tokens: int) -> np.ndarray:
    """Chunks of the documents of each cell, about: the last chunk of a document has half of the tokens."""
    return np.maximum(cells.documents, cells.tokens / chunk_tokens + cells.documents / 2)


def scoring_of_tables(
    recipe: Recipe, params: ScoreParams, tables: build.Tables, engine: Engine, base: Mapping[str, list[Shard]]
) -> ScoringForecast:
    """Counted in the tables; where those of the model's own tokens are missing, in the recipe's."""
    tokens, cheap, is_exact, store = tables["TOKENS"], [], False, engine.store
    min_tokens = shortest(params, recipe.encode)
    with suppress(NotMade):
        tokens, is_exact = build.model_tokens(recipe, tables, engine), True
        min_tokens = shortest(params, build.reader(recipe))
    with suppress(NotMade):
        cheap = build.scores(recipe.model_copy(update={"score": None}), tables, engine, base).get("SCORES_CHEAP", [])
    lengths = [store.read(s, ("n_tokens",))["n_tokens"].fill_null(0).to_numpy() for s in tokens]
    if cheap:
        lengths = [n[is_accepted(store.read(s, ("status", "refused")))] for n, s in zip(lengths, cheap, strict=True)]
    long = [n[n >= min_tokens] for n in lengths]
    n_documents, n_tokens = sum(map(len, long)), sum(int(n.sum()) for n in long)
    return ScoringForecast(n_documents, n_tokens, min_tokens, is_exact, bool(cheap))


def is_accepted(cheap: pa.Table) -> np.ndarray:
    """[n] whether the model may read a document. cheap: its status and refused of SCORES_CHEAP."""
    return pc.and_(pc.equal(cheap["status"], "scored"), pc.is_null(cheap["refused"])).to_numpy()


def scoring_of_samples(samples: Sequence[Sample], params: ScoreParams, encode: EncodeParams) -> ScoringForecast:
    """As if each source were its sample, repeated up to the size of the source."""
    min_tokens = shortest(params, encode)
    long = [(s.n_tokens[s.n_tokens >= min_tokens], s.part or 1.0) for s in samples]
    n_documents, n_tokens = (sum(round(count(n) / part) for n, part in long) for count in (len, np.sum))
    return ScoringForecast(n_documents, n_tokens, min_tokens, is_exact=False, is_screened=False)


def shortest(params: ScoreParams, reader: EncodeParams) -> int:
    """Tokens, EOS and BOS included, of the shortest document that the model scores."""
    return max(params.min_tokens, MIN_CHUNKS * params.chunk_tokens + reader.n_marks)


def spread(cells: Cells, targets: Targets) -> np.ndarray:
    """[d, 9] tokens by bucket: what each kind draws, in the proportions of its buckets in the corpus."""
    of_kind = cells.tokens.sum(axis=2, keepdims=True)
    part = np.divide(cells.tokens, of_kind, out=np.zeros(cells.tokens.shape), where=of_kind > 0)
    return np.rint((part * targets.drawn[:, :, None]).sum(axis=1)).astype(np.int64)
