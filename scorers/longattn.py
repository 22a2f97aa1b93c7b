"""LongAttn (Wu et al., ACL 2025 Findings): how much of a model's first-layer attention is far back, and how evenly.

DS is the share of attention at a distance of at least a quarter of the text. DU is minus the variance of that attention
over all entries of the map, where entries that are not far count as 0. Both are means over heads. The paper scales them
over a corpus: std(DS) + 0.5 std(DU), where std is a z-score in the paper and min-max scaling in its code. This module
scores single documents, so the scaled score is a query over the stored parts:

    SELECT document_id,
        coalesce((ds - min(ds) OVER w) / nullif(max(ds) OVER w - min(ds) OVER w, 0), 0.5)
        + 0.5 * coalesce((du - min(du) OVER w) / nullif(max(du) OVER w - min(du) OVER w, 0), 0.5) AS longattn
    FROM scores WHERE ds IS NOT NULL WINDOW w AS ()

which is the score of the paper's code plus 0.5: that code scales the variance and subtracts half of it.

The attention map is never stored: blocks of rows go through a softmax in log-sum-exp form, and each row is reduced to
two sums. Other differences from the code (Lyun0912-wu/LongAttn, src/LongAttn.py and src/DataProcess.py): its far
distances start at L - 3 * (L // 4), which equals L / 4 where 4 divides L; its variance divides by L * L - 1, this one
by L * L; its maps are float16, these are float32; it adds a special token before the text; its windows are 32,768
tokens of Llama-3.1.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from schemas.errors import RecipeError, StageError
from scorers.attention import with_attention
from scorers.lm import LM, body, libraries, memory_errors

PARTS = ("ds", "du", "window_tokens", "n_windows")
CAPTURE = "longmix_first_layer"  # the name of `capture` in transformers
LOGITS = 1 << 22  # in memory at a time: 16 MB


class LongAttnParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["longattn"] = "longattn"
    window_tokens: PositiveInt | None = None  # None: the model's window
    min_tokens: int = Field(default=1024, ge=4)  # shorter documents get no score: a quarter of them is not far

    def score(self, lm: LM, ids: np.ndarray) -> "Score":
        return score(lm, ids, self)

    def check(self, window_tokens: int, n_anchor: int) -> None:  # noqa: ARG002 no anchor is put before a window
        """See scorers.Scorer."""
        window_of(self, window_tokens)


@dataclass(frozen=True, eq=False)
class Score:
    """The score of one document.

    Attributes:
        reason: why the document has no score.
        parts: by the names of PARTS, None where not measured. ds in [0, 1] and du <= 0, means over heads and windows;
            window_tokens, the length L of each window. ds and du depend on L: compare only documents of equal L.
        ds: [n_windows, n_heads] float64.
        du: [n_windows, n_heads] float64.
    """

    status: Literal["scored", "too_short", "error"]
    reason: str | None
    parts: dict[str, float | None]
    ds: np.ndarray
    du: np.ndarray


def score(lm: LM, ids: np.ndarray, params: LongAttnParams) -> Score:
    """The score of a document. A document longer than the window is read in evenly spread windows of equal length.

    ids: [n_tokens].

    Raises:
        RecipeError: the window exceeds the model's, or its first layer is not a plain softmax of queries and keys.
        StageError: a pass doesn't fit into memory.
    """
    ids = np.asarray(ids)
    window = window_of(params, lm.window_tokens)
    if len(ids) < params.min_tokens:
        reason = f"{len(ids):,} tokens, {params.min_tokens:,} wanted"
        return Score("too_short", reason, dict.fromkeys(PARTS), *np.empty((2, 0, 0)))
    window = min(window, len(ids))
    try:
        with memory_errors():
            by_window = [spread(*first_layer(lm, ids[at : at + window])) for at in starts(len(ids), window)]
    except MemoryError as error:
        raise StageError(f"score: a first layer of {window:,} tokens does not fit into memory") from error
    ds, du = np.array(by_window).swapaxes(0, 1)
    if not np.isfinite(du).all():  # where ds is not finite, du is not either
        return Score("error", "attention is not a number", dict.fromkeys(PARTS), ds, du)
    parts = {"ds": ds.mean(), "du": du.mean(), "window_tokens": window, "n_windows": len(ds)}
    return Score("scored", None, {name: float(value) for name, value in parts.items()}, ds, du)


def window_of(params: LongAttnParams, most: int) -> int:
    """Tokens of a full window. most: the model's window.

    Raises:
        RecipeError: the window exceeds `most`, or is less than min_tokens.
    """
    window = params.window_tokens or most
    if not params.min_tokens <= window <= most:
        raise RecipeError(
            f"longattn: min_tokens = {params.min_tokens:,}, window_tokens = {window:,}: min_tokens must be at most "
            f"window_tokens, and window_tokens at most the model's window of {most:,}"
        )
    return window


def starts(n_tokens: int, window: int) -> list[int]:
    """The first tokens of the fewest windows that cover all tokens: the first at the start, the last at the end.

    >>> starts(25, 10)
    [0, 7, 15]
    """
    n = -(-n_tokens // window)
    return [0] if n == 1 else [k * (n_tokens - window) // (n - 1) for k in range(n)]


# -- the first layer


class FirstLayer(Exception):  # noqa: N818 not an error: it carries the result out of the forward pass
    """The forward pass reached its first attention layer."""


def capture(_: Any, query: Any, key: Any, __: Any, mask: Any, **settings: Any) -> Any:
    """An attention function that raises FirstLayer with its queries and keys and the unsupported settings."""
    unsupported = {name for name in ("softcap", "s_aux", "position_bias") if settings.get(name) is not None}
    if (settings.get("sliding_window") or query.shape[-2]) < query.shape[-2]:
        unsupported.add("sliding_window")
    if mask is not None:
        unsupported.add("attention_mask")
    raise FirstLayer(query, key, settings.get("scaling"), sorted(unsupported))


@cache  # once per model
def captured(lm: LM) -> LM:
    """A copy of the model with `capture` as its attention. It shares the weights and leaves the original unchanged."""
    return with_attention(lm, CAPTURE, capture)


def first_layer(lm: LM, ids: np.ndarray) -> tuple[Any, Any, float]:
    """Queries [n_heads, n, d] and keys [n_key_heads, n, d] of the first layer, with positions applied, and their scale.

    ids: [n].

    Raises:
        RecipeError: the layer changes or masks q @ k, or does not call an attention function.
    """
    try:
        body(captured(lm), ids[None])
    except FirstLayer as reached:
        query, key, scale, unsupported = reached.args
    else:
        unsupported = ["no attention function"]
    if unsupported:
        raise RecipeError(
            f"score: LongAttn needs plain attention in the first layer, but this model has {', '.join(unsupported)}; "
            "use another model"
        )
    return query[0], key[0], query.shape[-1] ** -0.5 if scale is None else scale


# -- its attention, in blocks


def spread(query: Any, key: Any, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """DS and DU of each head, [n_heads] float64, by blocks of rows: memory for LOGITS, for any length.

    query: [n_heads, n, d] tensor; key: [n_key_heads, n, d] tensor, each shared by n_heads / n_key_heads adjacent heads.
    """
    torch, _ = libraries()
    n_heads, n, _ = query.shape
    rows = max(LOGITS // n, 1)
    totals = []
    with torch.inference_mode():
        for head in range(n_heads):
            head_key = key[head * len(key) // n_heads].float()
            total = torch.zeros(2, dtype=torch.float64, device=query.device)
            for first in range(n // 4, n, rows):  # earlier rows have no far entries
                block = query[head, first : first + rows].float()
                logits = block @ head_key[: first + len(block)].T * scale
                total += torch.stack([part.sum() for part in far(logits, n // 4)])
            totals.append(total)
        mass, squares = torch.stack(totals).cpu().numpy().T
    return mass / n, (mass / n**2) ** 2 - squares / n**2


def far(logits: Any, distance: int) -> tuple[Any, Any]:
    """Sum, and sum of squares, of the entries of each row's causal softmax at a distance of at least `distance`.

    exp(lse_far(s) - lse(s)) and exp(lse_far(2s) - 2 lse(s)), computed with a single exp. Overwrites its argument.

    Args:
        logits: [b, m] tensor, float32 or float64: the last b rows of a map whose last row sees all m columns.

    Returns:
        [b] float64 tensors, twice.
    """
    torch, _ = libraries()
    b, m = logits.shape
    later = torch.ones(b, b, dtype=torch.bool, device=logits.device).triu(1)
    logits[:, m - b :].masked_fill_(later, -torch.inf)
    weight = logits.sub_(logits.amax(-1, keepdim=True)).exp_()
    total = weight.sum(-1, dtype=torch.float64)
    weight = weight.tril_(m - b - distance)
    return weight.sum(-1, dtype=torch.float64) / total, weight.square_().sum(-1, dtype=torch.float64) / total**2
