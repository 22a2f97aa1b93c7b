"""chunk_gain, the long-dependency score: how much easier a chunk is to predict right after another of its document.

The gain of a pair is the nll of chunk i alone minus its nll right after chunk j, in nats per token. The score is the
mean gain over all far pairs, for documents of any length; the mean over near pairs is a separate part. Only some pairs
are measured. A control variate corrects for the choice of these pairs: the tokens that two chunks share predict the
gain of every pair, with coefficients from a calibration that is never fitted to the document or during a build.

chunk_gain is a stable form of LDS (Chen et al. 2024). docs/scores.md compares the two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from schemas.errors import SchemaError
from scorers.chunk_gain.calibration import Calibration, Kind
from scorers.chunk_gain.overlap import bags, features
from scorers.chunk_gain.pairs import FAR, first_pairs, n_pairs, some_pairs
from scorers.chunks import Chunks

MAX_FEATURE_PAIRS = 20_000  # pairs whose overlap is computed; a document with more pairs is sampled evenly
MIN_STRENGTH = 0.1  # LDS's threshold: the share of the perplexity that a strong pair removes
MIN_CHUNKS = FAR + 4  # a shorter document has fewer than ten far pairs


class MeasuredPair(NamedTuple):
    """Two chunks and the nll of the target alone and after the context, in nats per token, float64."""

    target: int
    context: int
    alone: float
    after: float


@dataclass(frozen=True)
class Parts:
    """A document's score and its parts, NaN where not measured.

    Attributes:
        near, far: estimated mean gain over all pairs of the kind, nats per token.
        near_error, far_error: standard error of that estimate.
        n_near, n_far: measured pairs.
        n_chunks: chunks of the document.
        uncorrected_near, uncorrected_far: plain means of the measured pairs.
        strong_share: share of the measured pairs whose strength, 1 - exp(-gain), exceeds MIN_STRENGTH.
        strength: mean over measured pairs of the strength where it exceeds MIN_STRENGTH, else 0.
        distance: mean over measured pairs of (i - j) / (n_chunks - 1) where the strength exceeds MIN_STRENGTH, else 0.
        entropy_factor: mean over targets with at least two contexts of 1 - entropy of softmax(gain) / log(contexts).
    """

    near: float
    near_error: float
    far: float
    far_error: float
    n_near: int
    n_far: int
    n_chunks: int
    uncorrected_near: float
    uncorrected_far: float
    strong_share: float
    strength: float
    distance: float
    entropy_factor: float


PARTS = tuple(field.name for field in fields(Parts))


def chunks_of(ids: np.ndarray, chunk_tokens: int) -> np.ndarray:
    """[s, chunk_tokens]: a document's consecutive chunks, without a shorter last one."""
    s = len(ids) // chunk_tokens
    return ids[: s * chunk_tokens].reshape(s, chunk_tokens)


def measure(
    chunks: Chunks, content_hash: str, n: int, measured: Sequence[MeasuredPair]
) -> Iterator[list[MeasuredPair]]:
    """Measure the first n pairs of a document that are not measured yet, one block at a time.

    Args:
        measured: the first pairs of the document's sequence, from an earlier run.

    Raises:
        SchemaError: `measured` is not the start of that sequence.
    """
    order = first_pairs(len(chunks.chunks), content_hash, n)
    if [(pair.target, pair.context) for pair in measured[:n]] != order[: len(measured)]:
        raise SchemaError(
            f"{content_hash}: the stored pairs do not match the document's sequence of pairs; delete these values"
        )
    chunks.nll_alone.update({pair.target: pair.alone for pair in measured})
    todo = order[len(measured) :]
    at = 0
    while at < len(todo):
        block = todo[at : at + chunks.block]  # chunks.block shrinks when memory runs out
        at += len(block)
        after = chunks.after(block)
        alone = chunks.alone([i for i, _ in block])
        yield [MeasuredPair(i, j, float(a), float(b)) for (i, j), a, b in zip(block, alone, after, strict=True)]


def parts(
    pairs: Sequence[MeasuredPair], chunks: np.ndarray, content_hash: str, calibration: Calibration | None
) -> Parts:
    """A document's score from its measured pairs.

    Args:
        pairs: the first pairs of the document's sequence.
        chunks: [s, c] token ids.
        calibration: None: no correction, and errors from the document's own pairs alone.
    """
    s = len(chunks)
    places = np.array([(p.target, p.context) for p in pairs], np.int32).reshape(-1, 2)
    gain = np.array([p.alone - p.after for p in pairs], np.float64)
    is_near = places[:, 0] - places[:, 1] < FAR
    chunk_bags = bags(chunks) if calibration else []
    estimates = []
    kinds = (calibration.near, calibration.far) if calibration else (None, None)
    for low, high, of_kind, kind in ((1, FAR, is_near, kinds[0]), (FAR, s, ~is_near, kinds[1])):
        n_all = n_pairs(s, low, high)
        if kind is None:
            estimates.append(plain(gain[of_kind], n_all))
            continue
        of_all = features(chunk_bags, some_pairs(s, content_hash, low, high, MAX_FEATURE_PAIRS))
        of_measured, variance = features(chunk_bags, places[of_kind]), kind.variance(places[of_kind])
        estimates.append(corrected(gain[of_kind], of_measured, of_all, n_all, variance, kind))
    (near, near_error), (far, far_error) = estimates
    return Parts(
        near, near_error, far, far_error, int(is_near.sum()), int((~is_near).sum()), s,
        mean(gain[is_near]), mean(gain[~is_near]), *lds_parts(places, gain, s),
    )  # fmt: skip


def mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def plain(gain: np.ndarray, n_all: int) -> tuple[float, float]:
    """The mean of the measured gains and its standard error, NaN for fewer than two; n_all: pairs of the kind."""
    if len(gain) < 2:
        return mean(gain), np.nan
    return mean(gain), float(np.sqrt(gain.var(ddof=1) / len(gain) * (1 - len(gain) / n_all)))


def corrected(
    gain: np.ndarray, of_measured: np.ndarray, of_all: np.ndarray, n_all: int, variance: np.ndarray, kind: Kind
) -> tuple[float, float]:
    """The mean gain over all pairs of a kind, estimated from the measured pairs by a control variate.

    Args:
        gain: [n] gain of the measured pairs.
        of_measured: [n, k] features of the measured pairs.
        of_all: [m, k] features of all pairs of the kind, or of a sample of them.
        n_all: pairs of the kind.
        variance: [n] pooled residual variance at the distance of each measured pair.

    Returns:
        The estimate and its standard error: that of the unmeasured residuals, plus that of sampling features where
        m < n_all, widened for scores unlike those of other documents (see Kind.widened).
    """
    n = len(gain)
    if not n:
        return np.nan, np.nan
    coefficients = np.array(kind.coefficients)
    predicted_measured, predicted_all = of_measured @ coefficients, of_all @ coefficients
    estimate = gain.mean() + predicted_all.mean() - predicted_measured.mean()
    squared = variance.mean() / n ** (1 + kind.evenness) * (1 - n / n_all)
    if len(of_all) < n_all:
        squared += predicted_all.var() / len(of_all)
    return float(estimate), float(np.sqrt(kind.widened(float(estimate), float(squared))))


def lds_parts(places: np.ndarray, gain: np.ndarray, s: int) -> tuple[float, float, float, float]:
    """strong_share, strength, distance and entropy_factor, see Parts."""
    if not len(gain):
        return np.nan, np.nan, np.nan, np.nan
    strength = -np.expm1(-gain)
    is_strong = strength > MIN_STRENGTH
    distance = (places[:, 0] - places[:, 1]) / max(1, s - 1)
    factors = [entropy_factor(gain[places[:, 0] == i]) for i in np.unique(places[:, 0])]
    defined = [factor for factor in factors if not np.isnan(factor)]
    return (
        float(is_strong.mean()),
        float(np.where(is_strong, strength, 0).mean()),
        float(np.where(is_strong, distance, 0).mean()),
        float(np.mean(defined)) if defined else np.nan,
    )


def entropy_factor(gain: np.ndarray) -> float:
    """1 where a single context helps, 0 where all contexts help equally; NaN for fewer than two contexts.

    Source: dsp of LDS, computed from changes of log-perplexity. Changes of perplexity depend on its level.
    """
    if len(gain) < 2:
        return np.nan
    q = np.exp(gain - gain.max())
    q /= q.sum()
    return float(1 + (q * np.log(np.maximum(q, 1e-300))).sum() / np.log(len(gain)))
