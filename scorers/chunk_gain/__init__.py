"""chunk_gain, the long-dependency score: how much easier a chunk is to predict right after another of its document.

The gain of a pair is the nll of chunk i alone minus its nll right after chunk j, in nats per token. The score is the
mean gain over all far pairs, whatever the document's length; that over near pairs stands beside it. A few pairs are
measured; what the tokens that two chunks share say of all the others corrects for which few they were: a control
variate, with coefficients from a calibration, never fitted to the document or in a build.

LDS (Chen et al. 2024) made stable. What it shares with LDS, and what it leaves out and why, is in docs/scores.md.
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

MOST_CHEAP = 20_000  # pairs whose overlap is looked at; of more, so many spread evenly
MIN_STRENGTH = 0.1  # of LDS: a pair counts when it takes away more than so much of the perplexity
MIN_CHUNKS = FAR + 4  # with fewer, ten far pairs are all there are


class MeasuredPair(NamedTuple):
    """What the model said of a pair: nats per token, float64, as it came."""

    target: int
    context: int
    alone: float
    after: float


@dataclass(frozen=True)
class Parts:
    """A document's score and what it is made of. NaN where it was not measured.

    Attributes:
        near, far: mean gain over all pairs of the kind, estimated; nats per token.
        near_error, far_error: standard error of that estimate.
        n_near, n_far: pairs measured.
        n_chunks: of the document.
        uncorrected_near, uncorrected_far: plain means of the measured pairs.
        strong_share: share of the measured pairs whose strength, 1 - exp(-gain), is over MIN_STRENGTH.
        strength: mean of strength over measured pairs, where it is over MIN_STRENGTH, else 0.
        distance: mean of (i - j) / (n_chunks - 1) over measured pairs, where their strength is over it, else 0.
        entropy_factor: mean over rows with two contexts and more of 1 - entropy of softmax(gain) / log(contexts).
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
    """[s, chunk_tokens]: a document's consecutive chunks; a short last one is left out."""
    s = len(ids) // chunk_tokens
    return ids[: s * chunk_tokens].reshape(s, chunk_tokens)


def measure(chunks: Chunks, content_hash: str, n: int, known: Sequence[MeasuredPair]) -> Iterator[list[MeasuredPair]]:
    """Measure a document's pairs from the first that is not known to the n-th, a block at a time.

    Args:
        known: the first pairs of its sequence, as measured before.

    Raises:
        SchemaError: they are no such pairs.
    """
    order = first_pairs(len(chunks.chunks), content_hash, n)
    if [(pair.target, pair.context) for pair in known[:n]] != order[: len(known)]:
        raise SchemaError(
            f"{content_hash}: what was measured of it is not of its sequence of pairs; remove those values"
        )
    chunks.nll_alone.update({pair.target: pair.alone for pair in known})
    todo = order[len(known) :]
    at = 0
    while at < len(todo):
        block = todo[at : at + chunks.block]  # which gets smaller where memory is short
        at += len(block)
        after = chunks.after(block)
        alone = chunks.alone([i for i, _ in block])
        yield [MeasuredPair(i, j, float(a), float(b)) for (i, j), a, b in zip(block, alone, after, strict=True)]


def parts(
    pairs: Sequence[MeasuredPair], chunks: np.ndarray, content_hash: str, calibration: Calibration | None
) -> Parts:
    """A document's score from what was measured of it.

    Args:
        pairs: the first of its sequence.
        chunks: [s, c] its token ids.
        calibration: None: no correction, and errors from the document's own pairs alone.
    """
    s = len(chunks)
    places = np.array([(p.target, p.context) for p in pairs], np.int32).reshape(-1, 2)
    gain = np.array([p.alone - p.after for p in pairs], np.float64)
    is_near = places[:, 0] - places[:, 1] < FAR
    held = bags(chunks) if calibration else []
    estimates = []
    kinds = (calibration.near, calibration.far) if calibration else (None, None)
    for low, high, mine, kind in ((1, FAR, is_near, kinds[0]), (FAR, s, ~is_near, kinds[1])):
        many = n_pairs(s, low, high)
        if kind is None:
            estimates.append(plain(gain[mine], many))
            continue
        every = features(held, some_pairs(s, content_hash, low, high, MOST_CHEAP))
        seen = places[mine]
        estimates.append(corrected(gain[mine], features(held, seen), every, many, kind.variance(seen), kind))
    (near, near_error), (far, far_error) = estimates
    return Parts(
        near, near_error, far, far_error, int(is_near.sum()), int((~is_near).sum()), s,
        mean(gain[is_near]), mean(gain[~is_near]), *lds_parts(places, gain, s),
    )  # fmt: skip


def mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def plain(gain: np.ndarray, many: int) -> tuple[float, float]:
    """The mean of the measured gains, and its standard error; NaN where there are too few to tell."""
    if len(gain) < 2:
        return mean(gain), np.nan
    return mean(gain), float(np.sqrt(gain.var(ddof=1) / len(gain) * (1 - len(gain) / many)))


def corrected(
    gain: np.ndarray, seen: np.ndarray, every: np.ndarray, many: int, variance: np.ndarray, kind: Kind
) -> tuple[float, float]:
    """The mean gain over all pairs of a kind: that of the measured ones, moved by what sets them apart from all.

    Args:
        gain: [n] of the measured pairs.
        seen: [n, k] their features; `every` [m, k] those of all pairs of the kind, or of some of them.
        many: how many there are in all.
        variance: [n] pooled residual variance at the distance of each measured pair.

    Returns:
        The estimate and its standard error: of the residuals that were not measured, and of the features that were not
        looked at; more for a score unlike those of other documents.
    """
    n = len(gain)
    if not n:
        return np.nan, np.nan
    coefficients = np.array(kind.coefficients)
    said_seen, said_every = seen @ coefficients, every @ coefficients
    estimate = gain.mean() + said_every.mean() - said_seen.mean()
    squared = variance.mean() / n ** (1 + kind.evenness) * (1 - n / many)
    if len(every) < many:
        squared += said_every.var() / len(every)
    return float(estimate), float(np.sqrt(kind.widened(float(estimate), float(squared))))


def lds_parts(places: np.ndarray, gain: np.ndarray, s: int) -> tuple[float, float, float, float]:
    """strong_share, strength, distance and entropy_factor, see Parts."""
    if not len(gain):
        return np.nan, np.nan, np.nan, np.nan
    strength = -np.expm1(-gain)
    counts = strength > MIN_STRENGTH
    apart = (places[:, 0] - places[:, 1]) / max(1, s - 1)
    factors = [entropy_factor(gain[places[:, 0] == i]) for i in np.unique(places[:, 0])]
    known = [factor for factor in factors if not np.isnan(factor)]
    return (
        float(counts.mean()),
        float(np.where(counts, strength, 0).mean()),
        float(np.where(counts, apart, 0).mean()),
        float(np.mean(known)) if known else np.nan,
    )


def entropy_factor(gain: np.ndarray) -> float:
    """1 where one context alone helps, 0 where all help alike; NaN for a single context, of which nothing can be said.

    Source: dsp of LDS, over the change of log-perplexity in place of perplexity, which made it depend on its level.
    """
    if len(gain) < 2:
        return np.nan
    q = np.exp(gain - gain.max())
    q /= q.sum()
    return float(1 + (q * np.log(np.maximum(q, 1e-300))).sum() / np.log(len(gain)))
