"""The attention of a text's last tokens to spans of it, from the forward pass that also gives their hidden states.

The model's attention function is replaced by one that computes the output with scaled_dot_product_attention, as before,
and besides it the softmax of the last rows, in blocks of BLOCK logits that are reduced to one sum for each span at once.
The additional memory is one block (4 MB, and less than as much again for masks and sums) at any length: no map is stored.
Logits and exponentials are float32, sums over columns and rows float64.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from schemas.errors import RecipeError
from scorers.lm import LM, body, libraries, probe

NAME = "longmix_span_sums"  # the name of `summed` in transformers
BLOCK = 1 << 20  # logits in memory at a time: 4 MB
WINDOW_ROWS = 512  # queries of a sliding layer at a time


@dataclass(frozen=True, eq=False)
class Recording:
    """What `summed` records during a forward pass.

    Attributes:
        first: rows from this token on are recorded.
        edges: [n_spans + 1] ascending; span j has the tokens edges[j] to edges[j + 1] - 1, all before `first`.
        sums: an [n_spans] float64 tensor for each layer: sum over the span, mean over heads and rows.
    """

    first: int
    edges: Sequence[int]
    sums: list[Any] = field(default_factory=list)


RECORDING: ContextVar[Recording | None] = ContextVar("recording", default=None)  # threads share a model


def span_attention(lm: LM, ids: np.ndarray, first: int, edges: Sequence[int]) -> tuple[Any, np.ndarray]:
    """Hidden states, and the attention that tokens from `first` on pay to each span: each token's own row counts.

    Args:
        ids: [n] one pass.
        first, edges: as in Recording.

    Returns:
        [n, d] tensor and [n_layers, n_spans] float64: the sum over the span, mean over heads and rows.
    """
    recording = Recording(first, edges)
    token = RECORDING.set(recording)
    try:
        hidden = body(recorder(lm), ids[None])[0]
    finally:
        RECORDING.reset(token)
    return hidden, np.stack([sums.cpu().numpy() for sums in recording.sums])


@cache  # once per model
def recorder(lm: LM) -> LM:
    return with_attention(lm, NAME, summed)


def with_attention(lm: LM, name: str, function: Callable[..., Any] | None) -> LM:
    """A copy of the model with another attention function. It shares the weights and leaves the original unchanged.

    function: to register under `name`; None: transformers has one of that name.
    """
    _, transformers = libraries()
    if function is not None:
        transformers.AttentionInterface.register(name, function)
    model = shared_copy(lm.model)
    model.set_attn_implementation(name)
    return replace(lm, model=model)


def shared_copy(model: Any) -> Any:
    """A copy of a model that shares its weights and buffers."""
    return deepcopy(model, {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]})


# -- the attention function


class Unsupported(Exception):  # noqa: N818 carries the names of settings to check()
    pass


def summed(module: Any, query: Any, key: Any, value: Any, mask: Any, **settings: Any) -> tuple[Any, None]:
    """scaled_dot_product_attention; the sums that RECORDING asks for are appended to it.

    Raises:
        Unsupported: the layer is not a causal softmax of scaled products, over all tokens or a sliding window.
    """
    unsupported = [name for name in ("softcap", "s_aux", "position_bias") if settings.get(name) is not None]
    if unsupported or mask is not None:
        raise Unsupported(", ".join([*unsupported, *(["attention_mask"] if mask is not None else [])]))
    scale, window = settings.get("scaling"), settings.get("sliding_window")
    n = key.shape[-2]
    window = None if window is None or window >= n else window
    recording = RECORDING.get()
    if recording is not None:
        rows = query[0, :, recording.first :]
        scale_of_rows = query.shape[-1] ** -0.5 if scale is None else scale
        recording.sums.append(span_sums(rows, key[0], scale_of_rows, recording.edges, window))
    if window is not None:
        return windowed(query, key, value, scale, window), None
    own = libraries()[1].AttentionInterface()["sdpa"]
    return own(module, query, key, value, None, scaling=scale, is_causal=True)


def windowed(query: Any, key: Any, value: Any, scale: float | None, window: int) -> Any:
    """[b, n, n_heads, d] output of a layer whose tokens see the last `window` tokens, themselves included."""
    torch, _ = libraries()
    n, parts = query.shape[-2], []
    for first in range(0, n, WINDOW_ROWS):
        stop, start = min(first + WINDOW_ROWS, n), max(first - window + 1, 0)
        distance = torch.arange(first, stop)[:, None] - torch.arange(start, stop)
        parts.append(
            torch.nn.functional.scaled_dot_product_attention(
                query[..., first:stop, :], key[..., start:stop, :], value[..., start:stop, :],
                attn_mask=((distance >= 0) & (distance < window)).to(query.device), scale=scale, enable_gqa=True,
            )
        )  # fmt: skip
    return torch.cat(parts, -2).transpose(1, 2).contiguous()


def span_sums(rows: Any, key: Any, scale: float, edges: Sequence[int], window: int | None = None) -> Any:
    """[n_spans] float64 tensor: attention to each span, mean over heads and rows.

    Args:
        rows: [n_heads, r, d] queries of the last r tokens.
        key: [n_key_heads, n, d], each shared by n_heads / n_key_heads adjacent heads.
        edges: as in Recording.
        window: tokens that a row sees, itself included; None: all before it.
    """
    torch, _ = libraries()
    n_heads, r, d = rows.shape
    n_key_heads, n, _ = key.shape
    grouped = rows.reshape(n_key_heads, n_heads // n_key_heads, r, d)
    n_rows = max(BLOCK // (n * grouped.shape[1]), 1)
    total = torch.zeros(len(edges) - 1, dtype=torch.float64, device=rows.device)
    for first in range(0, r, n_rows):
        stop = min(first + n_rows, r)
        seen = n - r + stop  # the block's last row sees so many columns
        hidden = later(stop - first, seen, window, rows.device)
        for head in range(n_key_heads):
            block = grouped[head, :, first:stop].reshape(-1, d).float() * scale
            logits = (block @ key[head, :seen].float().T).view(-1, stop - first, seen)
            total += spans_of_block(logits, hidden, edges)
    return total / (n_heads * r)


def spans_of_block(logits: Any, hidden: Any, edges: Sequence[int]) -> Any:
    """[n_spans] float64: sums over all rows of the softmax of each row over the span.

    logits: [g, b, n], overwritten; hidden: [b, m] where a row does not see one of the last m columns.
    """
    torch, _ = libraries()
    logits[..., logits.shape[-1] - hidden.shape[-1] :].masked_fill_(hidden, -torch.inf)
    weight = logits.sub_(logits.amax(-1, keepdim=True)).exp_()
    total = weight.sum(-1, dtype=torch.float64)
    sums = [weight[..., start:stop].sum(-1, dtype=torch.float64) for start, stop in pairwise(edges)]
    return (torch.stack(sums, -1) / total[..., None]).sum((0, 1))


def later(b: int, n: int, window: int | None, device: Any) -> Any:
    """[b, m] which of the last m columns each of the last b rows of n does not see; it sees all columns before these."""
    torch, _ = libraries()
    if window is None:
        return torch.ones(b, b, dtype=torch.bool, device=device).triu(1)
    distance = torch.arange(n - b, n, device=device)[:, None] - torch.arange(n, device=device)
    return (distance < 0) | (distance >= window)


# -- whether it can be used with a model


@cache  # once per model
def check(lm: LM, path: str) -> None:
    """Compare span_attention with the maps of transformers' eager attention, and its hidden states with the model's own.

    Raises:
        RecipeError: they differ, or a layer's attention is of another kind.
    """
    torch, _ = libraries()
    ids, first = probe(lm.n_vocab), 16
    try:
        hidden, sums = span_attention(lm, ids[0], first, range(first + 1))
        with torch.inference_mode():
            batch = torch.as_tensor(ids, device=lm.device)
            maps = with_attention(lm, "eager", None).model.base_model(batch, output_attentions=True).attentions
        expected = np.stack([each[0, :, first:, :first].double().mean((0, 1)).cpu().numpy() for each in maps])
        off = np.abs(sums - expected).max() if sums.shape == expected.shape else np.inf
        off = max(off, hidden_error(lm, hidden, ids))
    except (Unsupported, ValueError, TypeError, AttributeError) as error:
        raise RecipeError(
            f"{path}: CAM needs attention that is a softmax of query and key, but this model's differs ({error}); name "
            'another model, or set influence.parts = ["hmg"]'
        ) from error
    if not off < (1e-4 if next(lm.model.parameters()).dtype == torch.float32 else 0.05):
        raise RecipeError(
            f"{path}: CAM needs attention that is a softmax of query and key, but this model's differs by {off:.2g}; name "
            'another model, or set influence.parts = ["hmg"]'
        )


def hidden_error(lm: LM, hidden: Any, ids: np.ndarray) -> float:
    """The largest relative error of the hidden states, of the probe and of a text longer than a sliding window."""
    pairs = [(hidden, body(lm, ids)[0])]
    if lm.sliding_tokens and lm.sliding_tokens < lm.window_tokens:
        longer = np.resize(ids[0], min(lm.sliding_tokens + 24, lm.window_tokens))
        pairs.append((body(recorder(lm), longer[None])[0], body(lm, longer[None])[0]))
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)
