"""A recipe and its corpus -> a published dataset. The whole of it, from top to bottom."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipelines import dedup, encode, ingest, pack, plan, publish, score, screen
from pipelines.encode import EncodeParams
from pipelines.recipe import Recipe
from pipelines.score.model import reader_of
from pipelines.stage import Runner
from pipelines.store import Shard, Store
from pipelines.store.lock import held
from pipelines.versions import Version
from schemas.manifest import Manifest

Stage = Callable[[Callable], Callable]


def build(recipe: Recipe, root: Path, stage: Stage = lambda run: run, base: Path | None = None) -> Version:
    """Build a recipe's mix under a root, making only what is not there yet.

    Args:
        recipe: checked already, see recipe.load.
        root: a folder of its own; made where it is missing.
        stage: wraps each stage's run, for instance in a task of an orchestrator.
        base: a version's folder whose choices are kept where they can be; see flows/refresh.py.

    Raises:
        RecipeError: the recipe asks for what the corpus can't give.
        BusyError: another build holds the root.
        StageError: a stage stopped for another reason; run it again and it goes on where it was.
    """
    store = Store(root.absolute())
    before = Manifest.of(base) if base else None
    names = tuple(source.name for source in recipe.sources)
    reader = reader_of(recipe.score, recipe.encode) if recipe.score else recipe.encode
    with held(store, recipe.mix):
        documents, rejected = stage(ingest.run)(recipe.sources, store, recipe.run)
        signatures, duplicates = stage(dedup.run)(
            documents, recipe.dedup, names, publish.kept_by(base), store, recipe.run
        )
        tokens = stage(encode.run)(documents, duplicates, recipe.encode, store, recipe.run)
        tables = {
            "DOCUMENTS": documents, "REJECTED": rejected, "SIGNATURES": signatures, "DUPLICATES": duplicates,
            "TOKENS": tokens,
        }  # fmt: skip
        tables |= scores(recipe, tables, reader, base, store, recipe.run, stage)
        by = tables.get(plan.score_table(recipe.plan.select), [])
        draws = stage(plan.run)(documents, tokens, by, recipe.plan, store, recipe.run)
        sequences = stage(pack.run)(tokens, draws, recipe.encode, recipe.pack, store, recipe.run)
        tables |= {"DRAWS": draws, "SEQUENCES": sequences}
        return stage(publish.run)(recipe, before, tables, store)


def scores(
    recipe: Recipe, tables: Mapping[str, list[Shard]], reader: EncodeParams, base: Path | None, store: Store,
    runner: Runner, stage: Stage = lambda run: run,
) -> dict[str, list[Shard]]:  # fmt: skip
    """The tables that judge documents: those of the cheap tier, then those of the model, as far as the recipe asks.

    reader: how texts become the model's tokens; where it is not the recipe's way, texts are encoded so too.
    """
    documents, duplicates, tokens = tables["DOCUMENTS"], tables["DUPLICATES"], tables["TOKENS"]
    found: dict[str, list[Shard]] = {}
    if recipe.screen:
        found |= stage(screen.run)(documents, duplicates, recipe.screen, publish.kept_by(base), store, runner)
    if recipe.score:
        if reader != recipe.encode:
            tokens = stage(encode.run)(documents, duplicates, reader, store, runner)
        cheap = found["SCORES_CHEAP"]
        found |= stage(score.run)(documents, tokens, cheap, reader.tokenizer, recipe.score, store, runner)
    return found
