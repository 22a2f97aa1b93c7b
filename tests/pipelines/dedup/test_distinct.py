"""The distinct values are those of a set, sorted, whatever the distribution of the hashes."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dedup.distinct import sort_distinct


def distinct(hashes: list[int], n: int | None = None) -> list[int]:
    values = np.array(hashes, np.uint64)
    out, slots = np.empty(len(values), np.uint64), np.empty((2, len(values) + 2), np.int32)
    slots[:] = -1  # what an earlier call may leave
    return out[: sort_distinct(values, len(values) if n is None else n, slots, out)].tolist()


@settings(deadline=None)  # the first example compiles the kernel
@given(st.lists(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 9), st.integers(2**64 - 9, 2**64 - 1))))
def test_sorted_and_distinct(hashes):
    assert distinct(hashes) == sorted(set(hashes))


@pytest.mark.parametrize("n", [1, 2, 3, 255, 256, 257, 5_000])
def test_uniform_hashes_with_duplicates(n):
    rng = random.Random(n)
    values = [rng.randrange(2**64) for _ in range(n)]
    assert distinct(values + rng.choices(values, k=n)) == sorted(set(values))


def test_only_the_first_n_hashes_are_read():
    assert distinct([7, 2**64 - 1, 7, 3, 5], 3) == [7, 2**64 - 1]
    assert distinct([3, 5], 0) == []
