"""What a build of a recipe will do, in seconds: exact from the tables that exist, else estimated from a sample."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines import build
from pipelines.forecast.estimate import Sample, estimated, sample
from pipelines.plan import PlanParams, plan, read_kept, reads_of
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
class Asked:
    """The documents that the model will look at, whatever the plan then selects.

    Attributes:
        n_documents, n_tokens: of all of them.
        is_exact: their lengths are known in the model's own tokens; else they are about so many.
        is_screened: those that the cheap tier refuses are left out.
    """

    n_documents: int
    n_tokens: int
    is_exact: bool
    is_screened: bool


@dataclass(frozen=True)
class Forecast:
    """What there is and what will be drawn.

    Attributes:
        before: what dedup kept, or what was sampled of the sources.
        after: [d, 9] tokens that will be drawn, by domain and length bucket.
        sampled: source -> the part of it that was read; empty where the figures are exact.
        left_out: tokens of documents over max_document_share, known where the figures are exact.
        not_chosen: tokens of documents that the scores keep out; None where they are not made yet.
        asked: None where the recipe has no model, and from of_tables.
    """

    before: Cells
    after: np.ndarray
    targets: Targets
    sampled: dict[str, float]
    left_out: int
    not_chosen: int | None
    asked: Asked | None


def forecast(recipe: Recipe, root: Path) -> Forecast:
    """Look up what a build would find, and make nothing.

    The tables of a build and those of a refresh have different names, for a refresh decides after its base. So the newest
    version's are looked for too: those made on its own base, and those of a refresh of it.

    Raises:
        RecipeError: a source can't be read, or there is nothing to draw.
    """
    for base in possible_bases(root, recipe.mix):
        with suppress(NotMade):
            return exact(recipe, Engine.looking(root), tables_of(base))
    samples = [sample(source, recipe.encode) for source in recipe.sources]
    cells = estimated(samples, recipe.plan.long_tokens)
    p: PlanParams = recipe.plan
    targets = solve(cells, p.budget_tokens, p.shares, p.short_rate, p.max_epochs)
    asked = asked_of_samples(samples, recipe.score) if recipe.score else None
    return Forecast(cells, spread(cells, targets), targets, {s.source: s.part for s in samples}, 0, None, asked)


def exact(recipe: Recipe, engine: Engine, base: Mapping[str, list[Shard]]) -> Forecast:
    """
    Raises:
        NotMade: the corpus was not read, or not since it changed.
    """
    if not (engine.store.root / "actions").is_dir():
        raise NotMade("ingest")
    tables = build.corpus(recipe, engine, base)
    is_scored, params = True, recipe.plan
    asked = asked_of(recipe, recipe.score, tables, engine, base) if recipe.score else None
    try:
        tables |= build.scores(recipe, tables, engine, base)
    except NotMade:
        is_scored, params = False, params.model_copy(update={"select": None})
    return replace(of_tables(tables, params, engine.store, judged=is_scored), asked=asked)


def of_tables(tables: Mapping[str, list[Shard]], params: PlanParams, store: Store, judged: bool = True) -> Forecast:
    """The plan of tables that exist. judged: whether the scores that it selects by are among them."""
    scores = tables[params.select.selector.table] if params.select else []
    reads = reads_of(tables["DOCUMENTS"], tables["TOKENS"], scores, params)
    kept, judgements = read_kept(reads, params, store)
    mix = plan(kept, params, judgements)
    left_out, not_chosen = (int(kept.n_tokens[places].sum()) for places in (mix.left_out, mix.not_chosen))
    return Forecast(
        mix.before, mix.after.tokens.sum(axis=1), mix.targets, {}, left_out, not_chosen if judged else None, None
    )


def asked_of(
    recipe: Recipe, params: ScoreParams, tables: build.Tables, engine: Engine, base: Mapping[str, list[Shard]]
) -> Asked:
    """Counted in the tables; where those of the model's own tokens are missing, in the recipe's."""
    tokens, cheap, is_exact, store = tables["TOKENS"], [], False, engine.store
    with suppress(NotMade):
        tokens, is_exact = build.model_tokens(recipe, tables, engine), True
    with suppress(NotMade):
        cheap = build.scores(recipe.model_copy(update={"score": None}), tables, engine, base).get("SCORES_CHEAP", [])
    lengths = [store.read(s, ("n_tokens",))["n_tokens"].fill_null(0).to_numpy() for s in tokens]
    if cheap:
        stay = [store.read(s, ("refused",))["refused"].is_null().to_numpy() for s in cheap]
        lengths = [n[stays] for n, stays in zip(lengths, stay, strict=True)]
    long = [n[n >= shortest(params)] for n in lengths]
    return Asked(sum(map(len, long)), sum(int(n.sum()) for n in long), is_exact, bool(cheap))


def asked_of_samples(samples: Sequence[Sample], params: ScoreParams) -> Asked:
    """As if each source were its sample, repeated until it is whole."""
    long = [(s.n_tokens[s.n_tokens >= shortest(params)], s.part or 1.0) for s in samples]
    n_documents, n_tokens = (sum(round(count(n) / part) for n, part in long) for count in (len, np.sum))
    return Asked(n_documents, n_tokens, is_exact=False, is_screened=False)


def shortest(params: ScoreParams) -> int:
    """Tokens, EOS included, of the shortest document that the model looks at."""
    return max(params.min_tokens, MIN_CHUNKS * params.chunk_tokens + 1)


def spread(cells: Cells, targets: Targets) -> np.ndarray:
    """[d, 9] tokens by bucket, each kind's target in the proportions of what there is."""
    held = cells.tokens.sum(axis=2, keepdims=True)
    part = np.divide(cells.tokens, held, out=np.zeros(cells.tokens.shape), where=held > 0)
    return np.rint((part * targets.tokens[:, :, None]).sum(axis=1)).astype(np.int64)
