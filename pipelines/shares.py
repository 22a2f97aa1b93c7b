"""Exact shares of whole numbers: what the recipe writes as 0.1 is a tenth, and parts always sum to the whole."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Annotated

from pydantic import Field


def exact(number: float) -> Fraction:
    """The decimal number that was written: 0.1 is a tenth."""
    return Fraction(str(number))


def largest_remainder(quotas: Sequence[Fraction], total: int) -> list[int]:
    """Integers that sum to `total`, each its quota rounded up or down; the largest remainders go up, the first of equals.

    Args:
        quotas: >= 0, summing to `total`.
    """
    whole = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: (whole[i] - quotas[i], i))
    for i in by_remainder[: total - sum(whole)]:
        whole[i] += 1
    return whole


MICRO = 1_000_000  # scores are compared in millionths


Top = Annotated[float, Field(gt=0, le=1)]


def share_of(n: int, share: float) -> int:
    """A share of n, rounded up: 0.07 of 100 is 7, though not in floating point."""
    return ceil(exact(share) * n)
