"""A recipe and its corpus -> a published dataset. What is built from what is written here, once.

A build, a forecast and a calibration call the same functions with their own engine: a build makes what is missing, a
forecast only looks.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pipelines import build_sft, dedup, embed, encode, findings, ingest, order, pack, plan, score, screen
from pipelines.recipe import AnyRecipe, Recipe
from pipelines.score.model import reader_of
from pipelines.sft_recipe import SftRecipe
from pipelines.stage import Engine
from pipelines.store import Shard, Store
from pipelines.store.lock import locked
from pipelines.versions import Version, earlier_tables, remove_parts, tables_of
from schemas.errors import DamagedError, StageError
from schemas.manifest import Manifest
from scorers.embedding import check_encoder

Tables = dict[str, list[Shard]]
Stage = Callable[[Callable], Callable]

MAX_DAMAGED = 100  # shards that one build makes again before it gives up: more than that is a failing disk


def plain(run: Callable) -> Callable:
    return run


def build(
    recipe: AnyRecipe, root: Path, stage: Stage = plain, base: Path | None = None, *, verify: bool = False
) -> Version:
    """Build a recipe's mix under a root, making only what is missing.

    Args:
        recipe: validated, see recipe.load.
        root: a folder of its own; made where it is missing.
        stage: wraps each stage's run, for instance in a task of an orchestrator.
        base: the folder of a version whose decisions are kept where possible; see flows/refresh.py.
        verify: hash all raw files and shards again, those too that are only listed.

    Raises:
        RecipeError: the recipe asks for something that the corpus cannot give.
        BusyError: another process holds the root.
        StageError: a stage stopped for another reason; a second run resumes where it stopped.
    """
    check_models(recipe)
    store = Store(root.absolute(), run=uuid.uuid4().hex, verify=verify)
    discarded: set[str] = set()
    with locked(store.root, f"a build of {recipe.mix!r}", "--root"), store.session():
        remove_parts(store.root)
        engine = Engine(store, recipe.run, earlier=earlier_tables(store.root, recipe.mix, base))
        while True:
            try:
                version = graph(recipe, engine, base, stage)
                notes = tuple(dict.fromkeys(engine.notes))
                return replace(
                    version, mended=(*dict.fromkeys(engine.damaged), *version.mended), reused=engine.reused, notes=notes
                )
            except DamagedError as error:
                if len(engine.damaged) >= MAX_DAMAGED:
                    raise
                name = store.discard(error)
                if name in discarded:  # no action of this build makes a shard that the base alone lists
                    raise StageError(
                        f"{name}: damaged or missing still: it is of the base version, or the disk is failing; run "
                        "longmix build, which needs no base, and refresh the version that it makes"
                    ) from error
                discarded.add(name)


def check_models(recipe: AnyRecipe) -> None:
    """
    Raises:
        RecipeError: a model that the recipe names can't be loaded or does not fit its settings.
    """
    if isinstance(recipe, SftRecipe):
        build_sft.check_models(recipe)
        return
    if recipe.score:
        reader_of(recipe.score, recipe.encode)
    if recipe.order.encoder and recipe.order.needs_vectors:
        check_encoder(recipe.order.encoder)


def graph(recipe: AnyRecipe, engine: Engine, base: Path | None, stage: Stage = plain) -> Version:
    """All stages, from raw files to a published version."""
    from pipelines import publish  # with DuckDB; a forecast calls the functions below and does not publish

    before = tables_of(base)
    if isinstance(recipe, SftRecipe):
        tables = build_sft.tables_of(recipe, engine, before, stage)
        return stage(publish.run)(recipe, Manifest.of(base) if base else None, tables, engine.store, engine.notes)
    tables = corpus(recipe, engine, before, stage)
    tables |= scores(recipe, tables, engine, before, stage)
    tables |= mix(recipe, tables, engine, before, stage)
    return stage(publish.run)(recipe, Manifest.of(base) if base else None, tables, engine.store, engine.notes)


def corpus(recipe: Recipe, engine: Engine, base: Mapping[str, list[Shard]], stage: Stage = plain) -> Tables:
    """Documents, what became of each, and the tokens of those that dedup kept.

    base: the tables of the base version; empty where there is none.
    """
    names = tuple(source.name for source in recipe.sources)
    documents, rejected = stage(ingest.run)(recipe.sources, engine)
    ingest.check_account(recipe.mix, recipe.sources, documents, rejected, engine)
    signatures, duplicates, near = stage(dedup.run)(documents, recipe.dedup, names, base, engine)
    tokens = stage(encode.run)(documents, duplicates, recipe.encode, engine)
    return {
        "DOCUMENTS": documents, "REJECTED": rejected, "SIGNATURES": signatures, "DUPLICATES": duplicates,
        "TOKENS": tokens, "NEAR": near,
    }  # fmt: skip


def scores(
    recipe: Recipe, tables: Tables, engine: Engine, base: Mapping[str, list[Shard]], stage: Stage = plain
) -> Tables:
    """The tables that score documents: those of the cheap tier, then those of the model, as the recipe asks for them."""
    judged: Tables = {}
    if recipe.screen:
        judged |= stage(screen.run)(tables["DOCUMENTS"], tables["TOKENS"], recipe.screen, base, engine)
    if recipe.score:
        tokens = model_tokens(recipe, tables, engine, stage)
        cheap = judged["SCORES_CHEAP"]
        judged |= stage(score.run)(tables["DOCUMENTS"], tokens, cheap, reader(recipe), recipe.score, engine)
    return judged


def model_tokens(recipe: Recipe, tables: Tables, engine: Engine, stage: Stage = plain) -> list[Shard]:
    """TOKENS of the scoring model's own tokenizer: the recipe's where both have the same vocabulary."""
    params = reader(recipe)
    if params == recipe.encode:
        return tables["TOKENS"]
    return stage(encode.run)(tables["DOCUMENTS"], tables["DUPLICATES"], params, engine)


def reader(recipe: Recipe) -> encode.EncodeParams:
    """How texts become the scoring model's tokens; the recipe's own tokens where it has no model."""
    return reader_of(recipe.score, recipe.encode) if recipe.score else recipe.encode


def drawn(recipe: Recipe, tables: Tables, engine: Engine, stage: Stage = plain) -> Tables:
    """Which copies of which documents are drawn, and a vector of each document where the order needs them."""
    by = {name: tables[name] for name in recipe.selects_by}
    draws, targets = stage(plan.run)(tables["DOCUMENTS"], tables["TOKENS"], by, recipe.plan, engine)
    chosen: Tables = {"DRAWS": draws, "TARGETS": targets}
    if recipe.order.encoder and recipe.order.needs_vectors:
        chosen["EMBEDDINGS"] = stage(embed.run)(tables["DOCUMENTS"], draws, recipe.order.encoder, engine)
    return chosen


def mix(
    recipe: Recipe, tables: Tables, engine: Engine, base: Mapping[str, list[Shard]], stage: Stage = plain
) -> Tables:
    """Which copies of which documents are drawn, the path through them, and the training rows packed from them."""
    mixed = ordered(recipe, tables, engine, base, stage)
    path = [*mixed.get("ORDER", []), *mixed.get("CHUNKS", [])]
    mixed["SEQUENCES"] = stage(pack.run)(tables["TOKENS"], mixed["DRAWS"], path, recipe.encode, recipe.pack, engine)
    return mixed


def ordered(
    recipe: Recipe, tables: Tables, engine: Engine, base: Mapping[str, list[Shard]], stage: Stage = plain
) -> Tables:
    """Which copies of which documents are drawn, and the path through them."""
    mixed = drawn(recipe, tables, engine, stage)
    engine.notes.extend(note for note in findings.unfollowed(recipe) if note not in engine.notes)
    if recipe.order.makes_path:
        names = tuple(source.name for source in recipe.sources)
        mixed |= stage(order.run)({**tables, **mixed}, recipe.order, names, base, engine)
    if recipe.pack.is_extension:
        size = recipe.pack.negative_chunk_tokens
        chunking = order.ChunkParams(chunk_tokens=size, order=recipe.order, encoding=recipe.encode)
        mixed["CHUNKS"] = stage(order.run_chunks)({**tables, **mixed}, chunking, engine)
    return mixed
