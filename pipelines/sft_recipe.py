"""A recipe of instruction samples: a TOML file with the section [samples]. See recipe.py, which loads both kinds."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.beam_faults import CheckedRunner
from pipelines.choose import ChooseParams
from pipelines.dedup import SampleDedupParams
from pipelines.encode import EncodeParams, SamplesParams
from pipelines.ingest import SampleSource
from pipelines.names import MIX_NAME, check_names
from pipelines.pack import EXTENSION, PackParams
from pipelines.stage import Runner
from scorers.influence import InfluenceParams


class SftRecipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    mix: str = Field(pattern=MIX_NAME)
    sources: tuple[SampleSource, ...] = Field(min_length=1)
    dedup: SampleDedupParams = SampleDedupParams()
    encode: EncodeParams
    samples: SamplesParams
    influence: InfluenceParams | None = None  # None: no model is run, and nothing is chosen by its scores
    choose: ChooseParams = ChooseParams()
    pack: PackParams
    run: CheckedRunner = Runner()

    @model_validator(mode="after")
    def names_fit(self) -> Self:
        check_names(self.sources)
        names = [source.name for source in self.sources]
        for name in self.choose.short_sources:
            if name not in names:
                raise ValueError(f"choose.short_sources: {name!r} is no source; name one of {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def samples_are_not_cut(self) -> Self:
        if self.pack.is_extension:
            raise ValueError(
                f"pack.packer: {EXTENSION} cuts documents, and a set of samples has no [order]; choose best_fit"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """What makes the set what it is: all but where files lie and how the work is spread."""
        return self.model_dump(
            mode="json", exclude={"run": True, "sources": {"__all__": {"path", "max_rejected_share"}}}
        )
