"""SAMPLES, SCORES_HMG, SCORES_CAM -> CHOSEN, DRAWS, MESSAGES: which samples are in the set. No model is run."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from pipelines.shares import Top
from pipelines.stage import Engine
from pipelines.store import Shard

VERSION = 1  # raise when the same params would give other rows


class ChooseParams(BaseModel):
    """The recipe's [choose]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top: Top | PositiveInt = 0.3  # a share of the samples, or a number of them
    by: Literal["influence", "hmg", "cam", "random", "length_matched", "perplexity", "ifd"] = "influence"
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.7  # weight of HMG; 1 - alpha is that of CAM
    normalise: Literal["robust", "official"] = "robust"
    direction: Literal["alignment", "difficulty"] = "alignment"  # of CAM: which samples score high
    scope: Literal["all", "domain", "length_bucket"] = "all"  # samples that are normalised together
    quotas: tuple[Literal["domain", "length_bucket", "response_bucket"], ...] = ("domain",)  # shares kept as among all
    max_similarity: Top | None = (
        0.8  # a sample as near to a higher one, by MinHash of instruction and response, is passed over
    )
    short_sources: tuple[str, ...] = ()  # short instructions: not scored, mixed in
    short_share: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the set's samples
    seed: int = 0


def run(tables: dict[str, list[Shard]], params: ChooseParams, engine: Engine) -> dict[str, list[Shard]]:
    """CHOSEN, DRAWS and MESSAGES. tables: DOCUMENTS, DUPLICATES, SIGNATURES, SAMPLES, SCORES_HMG, SCORES_CAM."""
    raise NotImplementedError
