"""The recipe's [choose], and what the choice reads for it."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator

from pipelines.choose.ranking import Mixing
from pipelines.shares import Top, exact, share_of

RANDOM = ("random", "length_matched")


class ChooseParams(BaseModel):
    """A change of any key runs no model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top: Top | PositiveInt = 0.3  # a share of the candidates, or a number of them: 1.0 is all, 1 is one
    # What ranks samples. perplexity: high nll_long first; low_perplexity: low first; ifd: high first. The controls random
    # and length_matched choose among the candidates of influence without regard to scores.
    by: Literal[
        "influence", "hmg", "cam", "random", "length_matched", "perplexity", "low_perplexity", "ifd"
    ] = "influence"  # fmt: skip
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.8  # weight of HMG; 1 - alpha is that of CAM
    normalise: Literal["robust", "official"] = "robust"
    direction: Literal["difficulty", "alignment"] = "difficulty"  # of CAM: which samples score high
    scope: Literal["all", "domain", "length_bucket"] = "all"  # samples that are normalised together
    quotas: tuple[Literal["domain", "length_bucket", "response_bucket"], ...] = ("domain",)  # shares of the candidates
    max_similarity: Top | None = 0.8  # a sample as similar to a higher chosen one is passed over; false: none is
    short_sources: tuple[str, ...] = ()  # short instructions: not scored, mixed in
    short_share: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the set's samples
    seed: int = 0

    @field_validator("max_similarity", mode="before")
    @classmethod
    def false_is_none(cls, value: object) -> object:
        """TOML has no null."""
        return None if value is False else value

    @property
    def mixing(self) -> Mixing:
        return Mixing(self.alpha, self.normalise, self.direction)

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts without which a sample is no candidate: "hmg", "cam". Those of the controls are those of influence."""
        if self.by in ("influence", *RANDOM):
            return tuple(part for part, weight in (("hmg", self.alpha), ("cam", 1 - self.alpha)) if weight > 0)
        return ("cam",) if self.by == "cam" else ("hmg",)

    @property
    def needs_scores(self) -> bool:
        """Whether there is no choice without scores."""
        return self.by != "random"

    def n_top(self, n_candidates: int) -> int:
        """How many samples the recipe asks for; a number may be more than there are."""
        return self.top if isinstance(self.top, int) else share_of(n_candidates, self.top)

    def n_short(self, n_chosen: int) -> int:
        """How many short instructions make up short_share of the set with `n_chosen` others, rounded to the nearest."""
        share = exact(self.short_share)
        return round(Fraction(n_chosen) * share / (1 - share))
