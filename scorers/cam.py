"""CAM, the second half of GATEAU: does the attention of the response go to the segments that help to predict it?

Functions of the stored raw parts of one sample, without a model. Importance is softmax(-nll) over segments, which is the
normalised inverse perplexity. Attention is the mean over all layers, divided by its sum over segments.
"""

import numpy as np


def importance(segment_nll: np.ndarray) -> np.ndarray:
    """[N] softmax of -segment_nll. segment_nll: [N] mean nll of the response with one segment, nats."""
    weight = np.exp(segment_nll.min() - segment_nll)
    return weight / weight.sum()


def attended(attention: np.ndarray) -> np.ndarray:
    """[N] attention by segment, mean over layers, of sum 1. attention: [L, N], not all 0."""
    mean = np.asarray(attention, np.float64).mean(axis=0)
    return mean / mean.sum()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """In [0, 1] for non-negative vectors of which neither is 0."""
    return float(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1))


def ranks(values: np.ndarray) -> np.ndarray:
    """[N] float64 ranks from 1, ascending; equal values share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation in [-1, 1]; 0 where all values of one side are equal."""
    x, y = (ranks(values) - (len(values) + 1) / 2 for values in (a, b))
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(x @ y / norm, -1, 1)) if norm else 0.0


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon divergence of two distributions, nats: 0 where they are equal, ln 2 where they are disjoint."""
    middle = (p + q) / 2

    def entropy(share: np.ndarray) -> float:
        share = share[share > 0]
        return float(-(share * np.log(share)).sum())

    return max(entropy(middle) - (entropy(p) + entropy(q)) / 2, 0.0)


def parts(segment_nll: np.ndarray, attention: np.ndarray, segment_tokens: np.ndarray) -> dict[str, float]:
    """The numbers of SCORES_CAM.

    Args:
        segment_nll: [N] mean nll of the response with one segment, nats; N >= 2.
        attention: [L, N] mean over heads and rows of the mean per token.
        segment_tokens: [N] tokens that attention is the mean over.
    """
    weight, per_token = importance(segment_nll), attended(attention)
    return {
        "alignment": cosine(weight, per_token),
        "alignment_mass": cosine(weight, attended(attention * segment_tokens)),
        "spearman": spearman(weight, per_token),
        "divergence": divergence(weight, per_token),
        "n_segments": float(len(segment_nll)),
    }
