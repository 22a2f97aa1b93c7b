"""HMG, the first half of GATEAU: how much better the response is predicted with the long window than with the short one.

Reductions of the raw parts of one sample. The nll is a mean over all tokens of the response that were read. What HMG
and its controls compare between samples (ranks, or min-max and softmax) is a query over SCORES_HMG.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scorers.influence import RawParts


def parts(raw: "RawParts") -> dict[str, float | None]:
    """The numbers of SCORES_HMG, None where not measured; nll_gain only where HMG has the status scored."""
    long, short, no_context, alone = (
        mean(values) for values in (raw.nll_long, raw.nll_short, raw.nll_no_context, raw.nll_alone)
    )
    gain = None if raw.status != "scored" or long is None or short is None else short - long
    return {
        "nll_gain": gain,
        "nll_long": long,
        "nll_short": short,
        "nll_no_context": no_context,
        "nll_alone": alone,
        "ifd": ifd(long, alone),
        "context_tokens": float(raw.context_tokens) if len(raw.nll_long) else None,
        "response_tokens": float(len(raw.nll_long)) if len(raw.nll_long) else None,
    }


def mean(nll: np.ndarray) -> float | None:
    """None for no token."""
    return float(nll.mean()) if len(nll) else None


def ifd(long: float | None, alone: float | None) -> float | None:
    """IFD (Li et al., NAACL 2024): perplexity of the response after its input, over its perplexity alone."""
    return None if long is None or alone is None else float(np.exp(min(long - alone, 700.0)))  # 1e304: exp() overflows
