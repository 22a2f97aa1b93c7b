"""Calibration: coefficients that predict a pair's gain from cheap features, and residual variances.

A calibration is fitted once per model and chunk size, to a pool of documents. A build reads one or uses none.
"""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from schemas.errors import RecipeError
from schemas.names import from_name, path_named
from scorers.chunk_gain.overlap import FEATURES
from scorers.chunk_gain.pairs import spread

EDGES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)  # first distance of each bucket of residual variance


Number = Annotated[float, Field(allow_inf_nan=False)]
Variance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Kind(BaseModel):
    """The model of near pairs, or of far pairs: gain = document mean + coefficients @ features + residual.

    The residual variance is that of a pair within its document.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coefficients: tuple[Number, ...]  # one per overlap.FEATURES
    residual_variance: tuple[Variance, ...]  # nats**2, one per EDGES
    mean: Number = 0.0  # mean of the documents' scores, nats
    spread: PositiveFloat | None = Field(None, allow_inf_nan=False)  # their variance, nats**2; None: a single document
    evenness: Number = 0.0  # n pairs of an evenly spread sequence are worth n**(1 + evenness) random ones

    def variance(self, pairs: np.ndarray) -> np.ndarray:
        """[n] residual variance of each pair [n, 2], by its distance."""
        return np.array(self.residual_variance)[bucket(pairs)]

    def widened(self, score: float, squared: float) -> float:
        """Mean squared error of a document's estimate, given its score and `squared`, the average over documents.

        A score from few pairs that is far from those of other documents has a larger error than average, since part of
        its distance is chance; and the second round of a budget adds no pairs to documents that look extreme. With
        normal scores and errors, the posterior mean is at `trust` of the way from the mean to the score, and the
        posterior variance is trust * squared.
        """
        if self.spread is None:
            return squared
        trust = self.spread / (self.spread + squared)
        return trust * squared + ((1 - trust) * (score - self.mean)) ** 2


class Calibration(BaseModel):
    """The calibration of one model and chunk size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str  # name of the model, for display
    weights: str  # hash of the model's weights
    chunk_tokens: int
    n_documents: int
    n_pairs: int
    near: Kind
    far: Kind

    @model_validator(mode="after")
    def has_all_values(self) -> Self:
        for kind in (self.near, self.far):
            if (len(kind.coefficients), len(kind.residual_variance)) != (len(FEATURES), len(EDGES)):
                raise ValueError(f"near and far need {len(FEATURES)} coefficients and {len(EDGES)} variances each")
        return self

    @classmethod
    def named(cls, folder: Path, name: str) -> Self:
        """The calibration that a recipe in `folder` names."""
        return cls.read(path_named(folder, name))

    @classmethod
    def read(cls, path: Path) -> Self:
        """
        Raises:
            RecipeError: the file can't be read, or is not a calibration.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise RecipeError(
                f"{path}: can't be read ({error.strerror}); create it with `longmix calibrate`, using the recipe "
                "without this key"
            ) from error
        except ValidationError as error:
            raise RecipeError(
                f"{path}: not a calibration ({error.errors()[0]['msg']}); create one with `longmix calibrate`"
            ) from error

    def text(self) -> str:
        return json.dumps(self.model_dump(), indent=1) + "\n"


NamedCalibration = Annotated[Calibration, from_name(Calibration.named)]


COUNTS = (4, 8, 16, 32)  # numbers of pairs at which evenness is estimated
N_SEEDS = 24


def bucket(pairs: np.ndarray) -> np.ndarray:
    """[n] index in EDGES of each pair's distance."""
    return np.searchsorted(EDGES, pairs[:, 0] - pairs[:, 1], side="right") - 1


def fit(pairs: Sequence[np.ndarray], gains: Sequence[np.ndarray], features: Sequence[np.ndarray]) -> Kind:
    """Least squares within documents: values are centred per document, and every document has the same weight.

    Args:
        pairs, gains, features: [n, 2], [n] and [n, k] for each document; near pairs only, or far pairs only.
    """
    x, y = np.concatenate([centred(f) for f in features]), np.concatenate([centred(g) for g in gains])
    weight = np.concatenate([np.full(len(g), 1 / len(g)) for g in gains])
    root = np.sqrt(weight)
    coefficients = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
    residual = (y - x @ coefficients) ** 2
    where = np.concatenate([bucket(p) for p in pairs])
    by_bucket = {b: float(np.average(residual[where == b], weights=weight[where == b])) for b in np.unique(where)}
    nearest = [min(by_bucket, key=lambda b: abs(b - k)) for k in range(len(EDGES))]  # for buckets without pairs
    variance = [by_bucket[b] for b in nearest]
    means = np.array([g.mean() for g in gains])
    spread = float(means.var(ddof=1)) if len(means) > 1 else 0.0
    return Kind(
        coefficients=tuple(coefficients.tolist()), residual_variance=tuple(variance), mean=float(means.mean()),
        spread=spread or None,
    )  # fmt: skip


def centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=0)


def evenness(
    pairs: Sequence[np.ndarray],
    gains: Sequence[np.ndarray],
    features: Sequence[np.ndarray],
    kind: Kind,
    low: int,
    high: int,
) -> float:
    """The exponent by which the error variance falls faster than 1 / n, from the sequences of N_SEEDS content hashes.

    Args:
        pairs, gains, features: as in fit(), all pairs with low <= distance < high of each document.
        kind: fitted to them.
    """
    squares = np.zeros((2, len(COUNTS)))
    for places, gain, x in zip(pairs, gains, features, strict=True):
        if len(places) <= max(COUNTS):
            continue
        residual = centred(gain - x @ np.array(kind.coefficients))
        row = {(int(i), int(j)): k for k, (i, j) in enumerate(places)}
        s, n_all = int(places.max()) + 1, len(places)
        for seed in range(N_SEEDS):
            order = [row[pair] for pair in islice(spread(s, low, min(high, s), f"{seed}", "evenness"), max(COUNTS))]
            means = [residual[order[:n]].mean() for n in COUNTS]
            at_random = [residual.var() / n * (1 - n / n_all) for n in COUNTS]
            squares += np.array([np.square(means), at_random])
    if not squares.all():
        return 0.0  # too few pairs, or no residual
    ratio, n = np.log(squares[0] / squares[1]), np.log(COUNTS)
    return max(0.0, float(-(ratio * n).sum() / (n * n).sum()))
