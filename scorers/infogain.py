"""Information gain: how much better a model predicts tokens with a long context than with a short one.

LongFilter's score (Deng et al. 2025, arXiv 2510.25804) is the mean over tokens of exp(-nll_long) * (nll_short -
nll_long): the drop in loss, weighted by the probability of the token under the long context. LongPPL's key tokens (Fang
et al. 2025, PKU-ML/LongPPL) are those that only the long context makes likely; key_share is their share of the same
tokens. Both are means over the tokens that have a long context, so neither grows with the length of a document.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from schemas.errors import RecipeError, StageError
from scorers.lm import LM, body, memory_errors, nll

PARTS = ("infogain", "key_share", "nll_long", "nll_short", "context_tokens", "n_tokens", "n_key")


class InfoGainParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["infogain"] = "infogain"
    long_tokens: PositiveInt | None = None  # length of a long pass; None: the model's window
    short_tokens: PositiveInt = 512  # length of a short pass
    stride_tokens: PositiveInt = 256  # short contexts have short - stride to short - 1 tokens; LongPPL: 4,096 and 1,024
    min_key_gain: float = 2.0  # nats: LongPPL's alpha
    max_key_nll: float = 2.0  # nats: LongPPL's -beta

    def score(self, lm: LM, ids: np.ndarray) -> "Score":
        return score(lm, ids, self)

    def check(self, window_tokens: int, n_anchor: int) -> None:
        """See scorers.Scorer."""
        most = window_tokens - n_anchor
        check_sizes(self.long_tokens or most, self.short_tokens, self.stride_tokens, most)


@dataclass(frozen=True, eq=False)
class Score:
    """The score of one document.

    Attributes:
        reason: why the document has no score.
        parts: by the names of PARTS, None where not measured. infogain in nats; key_share of the n_tokens that have a
            long context; nll_long and nll_short, their means in nats; context_tokens, the mean length of the long
            context; n_key. Scores are comparable only between documents of similar context_tokens.
        nll_long: [n_tokens] float64 nats, NaN where a token has no long context.
        nll_short: [n_tokens] likewise.
    """

    status: Literal["scored", "too_short", "error"]
    reason: str | None
    parts: dict[str, float | None]
    nll_long: np.ndarray
    nll_short: np.ndarray


def long_windows(n_tokens: int, long: int, short: int) -> Iterator[tuple[int, int]]:
    """(first token, end) of each long pass. Tokens from index `short` of a pass on are scored, each of them once.

    Passes overlap by `short`: the scored tokens of a pass start where the previous pass ends, and in every full pass
    contexts have short to long - 1 tokens. So context lengths do not depend on the number of passes.

    >>> list(long_windows(21, long=10, short=4))
    [(0, 10), (6, 16), (12, 21)]
    """
    for start in range(0, n_tokens - short, long - short):
        yield start, min(start + long, n_tokens)


def token_nll(lm: LM, ids: np.ndarray, long: int, short: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """[n_tokens] float64 nats, twice: nll with a long and with a short context, NaN for tokens that are not scored.

    The long context is everything before a token in its long pass, at least `short` tokens. The short context is the
    last short - stride to short - 1 of them: windows of `short` tokens move by `stride` inside the long pass. Every
    pass starts with the model's anchor where it has one; otherwise the first token acts as the attention sink.

    Args:
        ids: [n_tokens].
        long: tokens of a long pass, more than `short`.
        stride: less than `short`.

    Raises:
        RecipeError: the sizes are inconsistent or exceed the model's window.
        StageError: a pass doesn't fit into memory.
    """
    check_sizes(long, short, stride, room(lm))
    with_long, with_short = np.full((2, len(ids)), np.nan)
    try:
        with memory_errors():
            for start, end in long_windows(len(ids), long, short):
                with_long[start + short : end] = last_nll(lm, ids[None, start:end], end - start - short)[0]
                for at, passes in short_passes(ids[start:end], short, stride, lm.block):
                    values = last_nll(lm, passes, min(stride, passes.shape[1] - (short - stride))).reshape(-1)
                    with_short[start + at : start + at + len(values)] = values
    except MemoryError as error:
        raise StageError(f"score: a pass of {long:,} tokens does not fit into memory") from error
    return with_long, with_short


def check_sizes(long: int, short: int, stride: int, most: int) -> None:
    """most: the longest pass of the model, without the anchor.

    Raises:
        RecipeError: the sizes are inconsistent or exceed `most`.
    """
    if not 0 < stride < short < long <= most:
        raise RecipeError(
            f"infogain: stride_tokens = {stride:,}, short_tokens = {short:,}, long_tokens = {long:,}: each must be less "
            f"than the next, and long_tokens at most {most:,}, which is the longest pass of this model"
        )


def short_passes(ids: np.ndarray, short: int, stride: int, block: int) -> Iterator[tuple[int, np.ndarray]]:
    """(first scored token, [b, t] passes): the last `stride` tokens of each are scored. The last pass may be shorter.

    ids: [n] tokens of a long pass.
    """
    n_full = (len(ids) - short) // stride
    for first in range(1, n_full + 1, block):
        starts = np.arange(first, min(first + block, n_full + 1)) * stride
        yield first * stride + short - stride, ids[starts[:, None] + np.arange(short)]
    if short + n_full * stride < len(ids):
        yield short + n_full * stride, ids[None, (n_full + 1) * stride :]


def last_nll(lm: LM, ids: np.ndarray, n: int) -> np.ndarray:
    """[b, n] float64 nats: nll of the last n tokens of each pass, after the anchor. ids: [b, t], t > n."""
    anchors = np.full((len(ids), 0 if lm.anchor is None else 1), lm.anchor or 0)
    return nll(lm, body(lm, np.concatenate([anchors, ids[:, :-1]], axis=1))[:, -n:], ids[:, -n:])


def room(lm: LM) -> int:
    """Tokens of the longest pass, without the anchor."""
    return lm.window_tokens - (lm.anchor is not None)


def score(lm: LM, ids: np.ndarray, params: InfoGainParams) -> Score:
    """The score of a document; `too_short` below 2 * short_tokens, where the long context is hardly longer.

    ids: [n_tokens].
    """
    long = params.long_tokens or room(lm)
    ids = np.asarray(ids)
    if len(ids) < 2 * params.short_tokens:
        reason = f"{len(ids):,} tokens, {2 * params.short_tokens:,} wanted"
        return Score("too_short", reason, dict.fromkeys(PARTS), *np.full((2, len(ids)), np.nan))
    with_long, with_short = token_nll(lm, ids, long, params.short_tokens, params.stride_tokens)
    parts = reduced(with_long[params.short_tokens :], with_short[params.short_tokens :], params)
    if parts is None:
        return Score("error", "a token's nll is not a number", dict.fromkeys(PARTS), with_long, with_short)
    parts["context_tokens"] = mean_context(len(ids), long, params.short_tokens)
    return Score("scored", None, parts, with_long, with_short)


def reduced(long: np.ndarray, short: np.ndarray, params: InfoGainParams) -> dict[str, float | None] | None:
    """The parts, without context_tokens, or None where an nll is not finite.

    long, short: [n] float64 nats of the scored tokens.
    """
    if not (np.isfinite(long).all() and np.isfinite(short).all()):
        return None
    gain = short - long
    key = (gain > params.min_key_gain) & (long < params.max_key_nll)
    return {
        "infogain": float((np.exp(-long) * gain).mean()),
        "key_share": float(key.mean()),
        "nll_long": float(long.mean()),
        "nll_short": float(short.mean()),
        "context_tokens": None,
        "n_tokens": float(len(long)),
        "n_key": float(key.sum()),
    }


def mean_context(n_tokens: int, long: int, short: int) -> float:
    """Mean number of tokens before a scored token in its long pass."""
    sizes = np.array([end - start for start, end in long_windows(n_tokens, long, short)])
    return float(((sizes - short) * (sizes - 1 + short) / 2).sum() / (n_tokens - short))
