"""GATEAU (Si et al., EMNLP 2025): the raw parts of HMG and CAM of one instruction sample, in as few passes as possible.

    long pass      header, context, instruction, response: nll of the response, attention of the response to the context
    short pass     the same with the last tokens of the context only, or by the model of short context: nll
    segment passes header, one segment of the context, instruction, response: nll
    no context     header, instruction, response: nll
    alone          header, response: nll

Nothing is normalised over samples here: that is a query over SCORES_HMG and SCORES_CAM.
"""

import json
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, model_validator

from schemas.errors import StageError
from scorers import attention, lm, weights
from scorers.configs import check_tokenizers, config_of
from scorers.lm import LM, ModelParams
from scorers.passes import Fault, Passes, passes_of
from scorers.rope import Rope, check_static, with_rope
from scorers.sample import Sample
from scorers.weights import NamedWeights

NOTHING = np.empty(0)
NO_ATTENTION = np.empty((0, 0))


class ShortParams(BaseModel):
    """What the short-window model is: context_tokens, or weights, rope or both.

    context_tokens: the same model sees the last so many tokens of the context.
    weights: another model of the same tokenizer; logits are compared over the tokens that both have.
    rope: rotary settings of transformers in place of those of `weights`, or of the model itself, such as
        {"rope_type" = "linear", "factor" = 4.0}. Types whose angles depend on the text are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    context_tokens: PositiveInt | None = None
    weights: NamedWeights | None = None
    rope: Rope | None = None

    @model_validator(mode="after")
    def is_one_model(self) -> Self:
        if (self.context_tokens is None) == (self.weights is None and self.rope is None):
            raise ValueError("name context_tokens, or else weights, rope or both")
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

    @model_validator(mode="after")
    def segments_have_tokens(self) -> Self:
        if self.sink_tokens >= self.segment_tokens:
            raise ValueError("sink_tokens must be less than segment_tokens: the first segment would have no attention")
        return self

    @property
    def short_model(self) -> ModelParams:
        """The model that the short pass is run by, without its rope."""
        named = self.short.weights
        return self.model.model_copy(update={"weights": named, "window_tokens": None}) if named else self.model


@dataclass(frozen=True, eq=False)
class Pair:
    """The loaded models. short is long itself where the short window is a part of the context."""

    long: LM
    short: LM

    @property
    def n_vocab(self) -> int:
        """Tokens that both models have: log-softmax is over these, in every pass."""
        return min(self.long.n_vocab, self.short.n_vocab)


@dataclass(frozen=True, eq=False)
class RawParts:
    """All raw parts of a sample; an empty array: not measured. n = response tokens, N = segments, L = layers.

    Attributes:
        status, reason: of HMG: scored, too_short (no context), not_scored (not in params.parts) or error.
        cam_status, cam_reason: of CAM; a sample without context or with one segment is too_short.
        nll_long, nll_short, nll_no_context, nll_alone: [n] float64 nats. nll_long is measured for CAM too.
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


# -- the models


def load(params: InfluenceParams) -> Pair:
    """
    Raises:
        RecipeError: a model can't be loaded, its attention can't be recorded, its angles depend on the texts read before,
            or the two have different tokenizers.
    """
    long, path = lm.load(params.model), params.model.weights.path
    check_static(long.model.config.get_text_config(), path)
    if "cam" in params.parts:
        attention.check(long, path)
    return Pair(long, short_model(params) if "hmg" in params.parts else long)


def short_model(params: InfluenceParams) -> LM:
    model, rope = params.short_model, params.short.rope
    short = lm.load(model)
    if params.short.weights:
        check_static(short.model.config.get_text_config(), model.weights.path)
        check_tokenizers(params.model.weights, model.weights)
    return short if rope is None else with_rope(short, rope, model.weights.path)


def fingerprint(params: InfluenceParams) -> tuple[str, ...]:
    """What else but the sample's tokens a raw part depends on."""
    settings = params.model_dump(mode="json", exclude={"budget_tokens", "model"})
    window = f"window {params.model.window_tokens}"
    return *lm.fingerprint(params.model), window, json.dumps(settings, sort_keys=True)


# -- a sample


@cache
def window_of(params: InfluenceParams) -> int:
    """Tokens of the longest pass that each model which reads the long text can take."""

    def of(model: ModelParams) -> int:
        return weights.window_of(model.weights, model.window_tokens, config_of(Path(lm.converted(model.weights))))

    long = of(params.model)
    if params.short.context_tokens or "hmg" not in params.parts:
        return long
    short = of(params.short_model)
    return min(long, params.short.rope.window(short) if params.short.rope else short)


def cost(sample: Sample, params: InfluenceParams) -> int:
    """Model tokens that raw_parts forwards for a sample, without running a model."""
    passes = passes_of(sample, params, window_of(params))
    return 0 if isinstance(passes, Fault) else passes.model_tokens


def raw_parts(pair: Pair, sample: Sample, params: InfluenceParams) -> RawParts:
    """The raw parts of a sample. A value depends on its own sample alone.

    Raises:
        StageError: a pass doesn't fit into memory.
    """
    passes = passes_of(sample, params, window_of(params))
    if isinstance(passes, Fault):
        return unmeasured(passes, params)
    if passes.long.max() >= pair.n_vocab:
        reason = f"token {passes.long.max():,} is not in the vocabulary of {pair.n_vocab:,} tokens"
        return unmeasured(Fault("error", reason), params)
    try:
        with lm.memory_errors():
            return measured(pair, passes, params)
    except MemoryError as error:
        raise StageError(f"influence: a pass of {len(passes.long):,} tokens does not fit into memory") from error


def unmeasured(fault: Fault, params: InfluenceParams) -> RawParts:
    (status, reason), (cam_status, cam_reason) = (
        (fault.status, fault.reason) if part in params.parts else not_named(part) for part in ("hmg", "cam")
    )
    return RawParts(
        status, reason, cam_status, cam_reason, NOTHING, NOTHING, NOTHING, NOTHING, NO_ATTENTION, NO_ATTENTION,
        NO_ATTENTION, np.empty(0, np.int32), 0, False, 0,
    )  # fmt: skip


def not_named(part: str) -> tuple[str, str]:
    return "not_scored", f"{part} is not in influence.parts"


def measured(pair: Pair, passes: Passes, params: InfluenceParams) -> RawParts:
    n = passes.n_response
    counts = np.diff(passes.edges).astype(np.int32)
    if passes.edges:
        hidden, mass = attention.span_attention(pair.long, passes.long, len(passes.long) - n, passes.edges)
        nll_long = lm.nll(pair.long, hidden[None, -n - 1 : -1], passes.long[None, -n:], pair.n_vocab)[0]
        del hidden
    else:
        mass, nll_long = NO_ATTENTION, response_nll(pair.long, passes.long[None], n, pair.n_vocab)[0]
    values = {id(passes.long): nll_long}
    for model, ids in ((pair.short, passes.short), (pair.long, passes.no_context), (pair.long, passes.alone)):
        if len(ids) and id(ids) not in values:
            values[id(ids)] = response_nll(model, ids[None], n, pair.n_vocab)[0]
    short, no_context, alone = (values.get(id(ids), NOTHING) for ids in (passes.short, passes.no_context, passes.alone))
    segment_nll = segments_nll(pair.long, passes, pair.n_vocab)
    status, reason = status_of("hmg", params, passes, nll_long, short, no_context, alone)
    cam_status, cam_reason = status_of("cam", params, passes, nll_long, segment_nll, mass)
    if cam_status == "scored" and not mass.any():
        cam_status, cam_reason = "error", "no attention to the context"
    per_token = mass / counts if passes.edges else NO_ATTENTION
    return RawParts(
        status, reason, cam_status, cam_reason, finite(nll_long), finite(short), finite(no_context), finite(alone),
        finite(segment_nll), finite(per_token), finite(mass), counts, passes.context_tokens, passes.is_cut,
        passes.model_tokens,
    )  # fmt: skip


def finite(values: np.ndarray) -> np.ndarray:
    """The same array, or an empty one where a value is not finite: not measured."""
    return values if np.isfinite(values).all() else values[:0]


def status_of(part: str, params: InfluenceParams, passes: Passes, *arrays: np.ndarray) -> tuple[str, str | None]:
    """Status and reason of HMG or CAM. arrays: what was measured for it."""
    if part not in params.parts:
        return not_named(part)
    if not all(np.isfinite(values).all() for values in arrays):
        return "error", "a measured value is not a number"
    if not passes.context_tokens:
        return "too_short", "no context"
    if part == "cam" and not passes.edges:
        return "too_short", "one segment"
    return "scored", None


def segments_nll(model: LM, passes: Passes, n_vocab: int) -> np.ndarray:
    """[N, n] float64 nats. Passes of equal length are read model.block at a time, all of this sample."""
    rows = [np.empty((0, passes.n_response))]
    for n_tokens, group in groupby(passes.segments, key=len):
        equal = np.stack(list(group))
        block = max(min(model.block, model.window_tokens // n_tokens), 1)
        rows.extend(
            response_nll(model, equal[first : first + block], passes.n_response, n_vocab)
            for first in range(0, len(equal), block)
        )
    return np.concatenate(rows)


def response_nll(model: LM, ids: np.ndarray, n: int, n_vocab: int) -> np.ndarray:
    """[b, n] float64 nats: nll of the last n tokens of each pass. ids: [b, t], t > n."""
    return lm.nll(model, lm.body(model, ids[:, :-1])[:, -n:], ids[:, -n:], n_vocab)
