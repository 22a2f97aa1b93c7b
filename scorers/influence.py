"""GATEAU (Si et al., EMNLP 2025): the raw parts of HMG and CAM of one instruction sample, in as few passes as possible.

    long pass      header, context, instruction, response: nll of the response, attention of the response to the context
    short pass     the same with the last tokens of the context only, or by the model of short context: nll
    segment passes header, one segment of the context, instruction, response: nll
    no context     header, instruction, response; alone: header, response

Nothing is normalised over samples here: that is a query over SCORES_HMG and SCORES_CAM.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, model_validator

from scorers.lm import LM, ModelParams
from scorers.sample import Sample
from scorers.weights import NamedWeights


class ShortParams(BaseModel):
    """What the short-window model is; exactly one of the three.

    context_tokens: the same model sees the last so many tokens of the context.
    weights: another model of the same tokenizer; logits are compared over the tokens that both have.
    rope: rotary settings of transformers in place of the model's own, such as {"rope_type" = "linear", "factor" = 4.0}.
        "dynamic" is refused: its values depend on the samples read before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    context_tokens: PositiveInt | None = None
    weights: NamedWeights | None = None
    rope: dict[str, float | int | str] | None = None

    @model_validator(mode="after")
    def one_of_three(self) -> Self:
        if [self.context_tokens, self.weights, self.rope].count(None) != 2:
            raise ValueError("name exactly one of context_tokens, weights and rope")
        return self


class InfluenceParams(BaseModel):
    """The recipe's [influence]: all that raw parts depend on besides the sample. budget_tokens is not part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelParams  # the long-window model
    short: ShortParams
    parts: tuple[Literal["hmg", "cam"], ...] = ("hmg", "cam")
    segment_tokens: PositiveInt = 128
    sink_tokens: NonNegativeInt = 4  # first tokens of the context that count in no segment's attention
    max_response_tokens: PositiveInt | None = None  # only the first so many tokens of the response are read
    budget_tokens: PositiveInt | None = None  # of model passes in all, cheapest samples first; None: no limit


@dataclass(frozen=True, eq=False)
class Pair:
    """The loaded models. short is long itself where the short window is a part of the context."""

    long: LM
    short: LM


@dataclass(frozen=True, eq=False)
class RawParts:
    """All raw parts of a sample; None or empty: not measured. n = response tokens, N = segments, L = layers.

    Attributes:
        status, reason: of HMG: scored, too_short or error, as in SCORES_HMG.
        cam_status, cam_reason: of CAM; a sample without context or with one segment has no CAM.
        nll_long, nll_short, nll_no_context, nll_alone: [n] float64 nats.
        segment_nll: [N, n] float64 nats.
        attention, attention_mass: [L, N] float64: mean over heads and response rows of the mean per token and of the sum.
        segment_tokens: [N] int32, sink tokens left out.
        context_tokens: tokens of the context that were read. is_cut: fewer than there are.
        model_tokens: forwarded.
    """

    status: str
    reason: str | None
    cam_status: str
    cam_reason: str | None
    nll_long: np.ndarray
    nll_short: np.ndarray
    nll_no_context: np.ndarray
    nll_alone: np.ndarray
    segment_nll: np.ndarray
    attention: np.ndarray
    attention_mass: np.ndarray
    segment_tokens: np.ndarray
    context_tokens: int
    is_cut: bool
    model_tokens: int


def load(params: InfluenceParams) -> Pair:
    """
    Raises:
        RecipeError: a model can't be loaded, or the two have different tokenizers.
    """
    raise NotImplementedError


def raw_parts(pair: Pair, sample: Sample, params: InfluenceParams) -> RawParts:
    """The raw parts of a sample. A value depends on its own sample alone.

    Raises:
        StageError: a pass doesn't fit into memory.
    """
    raise NotImplementedError


def fingerprint(params: InfluenceParams) -> tuple[str, ...]:
    """What else but the sample's tokens a raw part depends on."""
    raise NotImplementedError


def cost(sample: Sample, params: InfluenceParams) -> int:
    """Model tokens that raw_parts forwards for a sample, without running a model."""
    raise NotImplementedError
