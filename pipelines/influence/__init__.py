"""DOCUMENTS, SAMPLES -> SCORES_HMG, SCORES_CAM: raw parts of GATEAU of each sample, by a small language model."""

from pipelines.encode import EncodeParams
from pipelines.stage import Engine
from pipelines.store import Shard
from scorers.influence import InfluenceParams

VERSION = 1  # raise when the same params would give other rows


def run(
    documents: list[Shard], samples: list[Shard], params: InfluenceParams, engine: Engine
) -> tuple[list[Shard], list[Shard]]:
    """SCORES_HMG and SCORES_CAM, a shard of each beside each shard of DOCUMENTS."""
    raise NotImplementedError


def check(params: InfluenceParams, encode: EncodeParams) -> None:
    """
    Raises:
        RecipeError: a model can't be loaded, or its tokenizer is not that of the recipe.
    """
    raise NotImplementedError
