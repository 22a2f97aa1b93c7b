"""Shares are the decimal numbers that were written, and parts always sum to the whole."""

import random
from fractions import Fraction

import pytest
from pydantic import TypeAdapter, ValidationError

from pipelines.shares import MICRO, Top, exact, largest_remainder, share_of

SEEDS = range(300)


@pytest.mark.parametrize(
    ("number", "fraction"),
    [
        (0.1, Fraction(1, 10)),
        (0.07, Fraction(7, 100)),
        (1.0, Fraction(1)),
        (1e-5, Fraction(1, 100_000)),
        (0, Fraction(0)),
    ],
)
def test_a_number_is_the_decimal_that_was_written(number, fraction):
    assert exact(number) == fraction


@pytest.mark.parametrize(
    ("n", "share", "rounded_up"),
    [(100, 0.07, 7), (100, 0.071, 8), (3, 0.1, 1), (0, 0.5, 0), (10, 1.0, 10), (7, 0.0, 0)],
)
def test_a_share_is_rounded_up(n, share, rounded_up):
    assert share_of(n, share) == rounded_up


def slow_rounding(quotas, total):
    """Give one after another to the quota that is furthest above what it has; the first of equals."""
    parts = [int(quota) for quota in quotas]
    given = set()
    while sum(parts) < total:
        i = max((i for i in range(len(quotas)) if i not in given), key=lambda i: (quotas[i] - int(quotas[i]), -i))
        parts[i] += 1
        given.add(i)
    return parts


def case(seed):
    rng = random.Random(seed)
    weights = [rng.choice([0, 1, 1, 2, 3, 7]) for _ in range(rng.randint(1, 6))] + [1]
    total = rng.randint(0, 40)
    return [Fraction(total * weight, sum(weights)) for weight in weights], total


def test_parts_are_quotas_rounded_and_sum_to_the_whole():
    for seed in SEEDS:
        quotas, total = case(seed)
        parts = largest_remainder(quotas, total)
        assert parts == slow_rounding(quotas, total), f"{seed=}"
        assert sum(parts) == total
        assert all(abs(part - quota) < 1 for part, quota in zip(parts, quotas, strict=True))


def test_the_cases_the_oracle_must_reach():
    """Guards the test above from passing on easy input."""
    remainders = [[quota - int(quota) for quota in case(seed)[0]] for seed in SEEDS]
    assert any(not any(each) for each in remainders)
    tied = [each for each in remainders if len([r for r in each if r]) > len({r for r in each if r})]
    assert len(tied) > 20
    assert largest_remainder([Fraction(1, 2)] * 4, 2) == [1, 1, 0, 0]


def test_a_top_share_is_more_than_none_and_at_most_all():
    assert TypeAdapter(Top).validate_python(1.0) == 1.0
    for wrong in (0.0, 1.01, -0.1):
        with pytest.raises(ValidationError):
            TypeAdapter(Top).validate_python(wrong)
    assert MICRO == 10**6
