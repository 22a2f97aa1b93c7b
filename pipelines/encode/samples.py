"""DOCUMENTS, DUPLICATES -> SAMPLES: tokens of the kept samples, and where context, instruction and response are."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipelines.encode.params import EncodeParams
from pipelines.stage import Engine
from pipelines.store import Shard

VERSION = 1  # raise when the same params would give other rows


class SamplesParams(BaseModel):
    """The recipe's [samples]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str = "paper"
    scored: Literal["last", "first"] = "last"  # which assistant turn is scored; all are trained on


def run(
    documents: list[Shard], duplicates: list[Shard], params: SamplesParams, encode: EncodeParams, engine: Engine
) -> list[Shard]:
    """SAMPLES, a shard beside each shard of DOCUMENTS."""
    raise NotImplementedError
