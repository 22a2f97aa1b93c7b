"""Exact shares of integers: 0.1 in a recipe is exactly a tenth, and parts always sum to the total."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Annotated

from pydantic import Field


def exact(number: float) -> Fraction:
    """The number as written in decimal: 0.1 is exactly a tenth."""
    return Fraction(str(number))


def largest_remainder(quotas: Sequence[Fraction], total: int) -> list[int]:
    """Round quotas to integers that sum to `total`. The largest remainders are rounded up, the first among equals.

    Args:
        quotas: >= 0, summing to `total`.
    """
    parts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: (parts[i] - quotas[i], i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


MICRO = 1_000_000  # scores are compared in millionths


Top = Annotated[float, Field(gt=0, le=1)]


def share_of(n: int, share: float) -> int:
    """A share of n, rounded up, computed exactly: 0.07 of 100 is 7, but more than 7 in floating point."""
    return ceil(exact(share) * n)
