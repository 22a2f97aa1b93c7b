"""What cheap features say of a pair's gain: coefficients and residual variances, fitted once to a pool of documents.

A build never fits: it reads a calibration that was made for its model and chunk size, or goes without.
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

EDGES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)  # distances at which a bucket of residual variance begins


Number = Annotated[float, Field(allow_inf_nan=False)]
Variance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Kind(BaseModel):
    """What holds for near pairs, or for far ones.

    The gain of a pair is a term of its document plus coefficients @ features, plus a residual, whose variance is that of a pair inside its document.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coefficients: tuple[Number, ...]  # by overlap.FEATURES
    residual_variance: tuple[Variance, ...]  # nats**2, by EDGES
    mean: Number = 0.0  # of the documents' scores, nats
    spread: PositiveFloat | None = Field(None, allow_inf_nan=False)  # their variance, nats**2; None: a single document
    evenness: Number = 0.0  # n pairs of a sequence are worth n**(1 + evenness) at random: it spreads them evenly

    def variance(self, pairs: np.ndarray) -> np.ndarray:
        """[n] residual variance of each pair [n, 2], by its distance."""
        return np.array(self.residual_variance)[bucket(pairs)]

    def widened(self, score: float, squared: float) -> float:
        """The mean squared distance of the truth from an estimate which, on average over documents, is off by `squared`.

        A score from few pairs that lies far from what documents have is off by more than the average one, part of it by
        luck; and the second round of a budget leaves alone just what looks extreme. With normal scores and errors the
        truth lies `trust` of the way from their mean to the score, and varies about there by trust * squared.
        """
        if self.spread is None:
            return squared
        trust = self.spread / (self.spread + squared)
        return trust * squared + ((1 - trust) * (score - self.mean)) ** 2


class Calibration(BaseModel):
    """For one model and chunk size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str  # its name, for people
    weights: str  # its hash
    chunk_tokens: int
    n_documents: int
    n_pairs: int
    near: Kind
    far: Kind

    @model_validator(mode="after")
    def is_of_these_features(self) -> Self:
        for kind in (self.near, self.far):
            if (len(kind.coefficients), len(kind.residual_variance)) != (len(FEATURES), len(EDGES)):
                raise ValueError(
                    f"{len(FEATURES)} coefficients and {len(EDGES)} variances are wanted, for near and for far"
                )
        return self

    @classmethod
    def named(cls, folder: Path, name: str) -> Self:
        """The calibration that a recipe in `folder` names."""
        return cls.read(path_named(folder, name))

    @classmethod
    def read(cls, path: Path) -> Self:
        """
        Raises:
            RecipeError: it can't be read, or is no calibration.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise RecipeError(
                f"{path}: can't be read ({error.strerror}); `longmix calibrate` makes one, of a recipe without the key"
            ) from error
        except ValidationError as error:
            raise RecipeError(
                f"{path}: not a calibration ({error.errors()[0]['msg']}); `longmix calibrate` makes one"
            ) from error

    def text(self) -> str:
        return json.dumps(self.model_dump(), indent=1) + "\n"


NamedCalibration = Annotated[Calibration, from_name(Calibration.named)]


COUNTS = (4, 8, 16, 32)  # pairs of a kind, at which evenness is read
N_SEEDS = 24


def bucket(pairs: np.ndarray) -> np.ndarray:
    """[n] the place in EDGES of each pair's distance."""
    return np.searchsorted(EDGES, pairs[:, 0] - pairs[:, 1], side="right") - 1


def fit(pairs: Sequence[np.ndarray], gains: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> Kind:
    """Least squares inside documents: each document's own mean is taken out, and each counts alike.

    Args:
        pairs, gains, found: for each document [n, 2], [n] and features [n, k], of near pairs or of far ones.
    """
    x, y = np.concatenate([centred(f) for f in found]), np.concatenate([centred(g) for g in gains])
    weight = np.concatenate([np.full(len(g), 1 / len(g)) for g in gains])
    root = np.sqrt(weight)
    coefficients = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
    residual = (y - x @ coefficients) ** 2
    where = np.concatenate([bucket(p) for p in pairs])
    known = {b: float(np.average(residual[where == b], weights=weight[where == b])) for b in np.unique(where)}
    variance = [known[min(known, key=lambda b: abs(b - wanted))] for wanted in range(len(EDGES))]  # the nearest known
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
    found: Sequence[np.ndarray],
    kind: Kind,
    low: int,
    high: int,
) -> float:
    """How much faster than 1 / n the error variance falls, from the sequences of N_SEEDS content hashes.

    Args:
        pairs, gains, found: as in fit(), all pairs with low <= distance < high of each document.
        kind: fitted to them.
    """
    squares = np.zeros((2, len(COUNTS)))
    for places, gain, said in zip(pairs, gains, found, strict=True):
        if len(places) <= max(COUNTS):
            continue
        residual = centred(gain - said @ np.array(kind.coefficients))
        row = {(int(i), int(j)): k for k, (i, j) in enumerate(places)}
        s, many = int(places.max()) + 1, len(places)
        for seed in range(N_SEEDS):
            order = [row[pair] for pair in islice(spread(s, low, min(high, s), f"{seed}", "evenness"), max(COUNTS))]
            means = [residual[order[:n]].mean() for n in COUNTS]
            at_random = [residual.var() / n * (1 - n / many) for n in COUNTS]
            squares += np.array([np.square(means), at_random])
    if not squares.all():
        return 0.0  # too few pairs, or nothing left over: no more can be told
    ratio, n = np.log(squares[0] / squares[1]), np.log(COUNTS)
    return max(0.0, float(-(ratio * n).sum() / (n * n).sum()))
