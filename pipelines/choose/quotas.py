"""Quotas: each cell's share of the chosen samples is its share of the candidates. Within a cell the first in order win."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from pipelines.choose.similar import Chosen
from pipelines.shares import largest_remainder

RESPONSE_BUCKETS = ("0-64", "64-128", "128-256", "256-512", "512-1K", "1K+")  # tokens of the scored response
RESPONSE_EDGES = 64 << np.arange(len(RESPONSE_BUCKETS) - 1)  # the lower end belongs to the bucket

Cell = tuple[str | None, str | None, str | None]  # domain, length_bucket, response_bucket; None: no quota by it


def response_bucket_of(response_tokens: np.ndarray) -> np.ndarray:
    """[n] place in RESPONSE_BUCKETS."""
    return np.searchsorted(RESPONSE_EDGES, response_tokens, side="right")


def targets_of(sizes: Sequence[int], n: int) -> list[int]:
    """How many of each cell are chosen: `n` in all, or all there are if they are fewer. sizes: candidates of each cell."""
    total = sum(sizes)
    n = min(n, total)
    return largest_remainder([Fraction(n * size, total) for size in sizes], n) if total else []


@dataclass(frozen=True)
class Picked:
    """
    Attributes:
        chosen: candidates, in the order in which they were chosen.
        similar: candidate that was passed over -> the chosen one that it is similar to.
    """

    chosen: list[int] = field(default_factory=list)
    similar: dict[int, int] = field(default_factory=dict)


def pick(order: Sequence[int], cell: Sequence[int], targets: Sequence[int], set_: Chosen) -> Picked:
    """Go down the order and choose the candidates whose cell has room and to which no chosen one is similar.

    Args:
        order: candidates, the best first.
        cell: of each candidate, an index in `targets`.
        set_: empty; finds the similar ones among the chosen.
    """
    picked, room = Picked(), list(targets)
    n_open = sum(room)
    for candidate in order:
        if n_open == 0:
            break
        if room[cell[candidate]] == 0:
            continue
        similar = set_.similar_to(candidate)
        if similar is not None:
            picked.similar[candidate] = similar
            continue
        set_.add(candidate)
        picked.chosen.append(candidate)
        room[cell[candidate]] -= 1
        n_open -= 1
    return picked
