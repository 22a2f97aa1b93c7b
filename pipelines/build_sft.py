"""The graph of a recipe of instruction samples; build.build runs it. It has the stages of build.py up to dedup, and pack."""

from collections.abc import Callable, Mapping

from pipelines import choose, dedup, encode, influence, ingest, pack
from pipelines.sft_recipe import SftRecipe
from pipelines.stage import Engine
from pipelines.store import Shard

Tables = dict[str, list[Shard]]
Stage = Callable[[Callable], Callable]


def check_models(recipe: SftRecipe) -> None:
    """
    Raises:
        RecipeError: a model that the recipe names can't be loaded, or reads other tokens than the recipe's; or the recipe
            ranks samples by what no model measures.
    """
    choose.check(recipe.choose, recipe.influence.parts if recipe.influence else ())
    if recipe.influence:
        influence.check(recipe.influence, recipe.encode)


def corpus(recipe: SftRecipe, engine: Engine, base: Mapping[str, list[Shard]], stage: Stage) -> Tables:
    """Samples as documents, what became of each, and the tokens of those that dedup kept."""
    names = tuple(source.name for source in recipe.sources)
    sources = ingest.sample_sources(recipe.sources, recipe.samples, recipe.encode)
    documents, rejected = stage(ingest.run)(sources, engine)
    ingest.check_account(recipe.mix, sources, documents, rejected, engine)
    signatures, duplicates, near = stage(dedup.run)(documents, recipe.dedup, names, base, engine)
    samples = stage(encode.run_samples)(documents, duplicates, recipe.samples, recipe.encode, engine)
    return {
        "DOCUMENTS": documents, "REJECTED": rejected, "SIGNATURES": signatures, "DUPLICATES": duplicates,
        "SAMPLES": samples, "NEAR": near,
    }  # fmt: skip


def scores(recipe: SftRecipe, tables: Tables, engine: Engine, stage: Stage) -> Tables:
    """The raw parts of the samples; none where the recipe has no model."""
    if recipe.influence is None:
        return {}
    hmg, cam = stage(influence.run)(
        tables["DOCUMENTS"], tables["SAMPLES"], recipe.influence, recipe.choose.short_sources, engine
    )
    return {"SCORES_HMG": hmg, "SCORES_CAM": cam}


def tables_of(recipe: SftRecipe, engine: Engine, base: Mapping[str, list[Shard]], stage: Stage) -> Tables:
    """All tables of a version."""
    tables = corpus(recipe, engine, base, stage)
    tables |= scores(recipe, tables, engine, stage)
    max_tokens = recipe.pack.capacity * recipe.pack.unit  # a longer one would be cut
    tables |= stage(choose.run)(tables, recipe.choose, max_tokens, engine)
    tables["SFT_SEQUENCES"] = stage(pack.run_sft)(
        tables["SAMPLES"], tables["DRAWS"], recipe.encode, recipe.pack, engine
    )
    return tables
