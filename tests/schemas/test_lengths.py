"""Length buckets: K is 1,024, and a bucket's lower end belongs to it."""

import itertools

import numpy as np
import pytest

from schemas.lengths import BUCKETS, EDGES, bucket_of


@pytest.mark.parametrize(
    ("n_tokens", "bucket"),
    [
        (0, "0-1K"), (1, "0-1K"), (1023, "0-1K"), (1024, "1-2K"), (2047, "1-2K"), (4095, "2-4K"), (4096, "4-8K"),
        (131_071, "64-128K"), (131_072, "128K+"), (10**9, "128K+"),
    ],
)  # fmt: skip
def test_the_bucket_of_a_length(n_tokens, bucket):
    assert BUCKETS[bucket_of(np.array([n_tokens]))[0]] == bucket


def test_buckets_are_named_by_their_ends():
    ends = [0, *(EDGES // 1024).tolist()]
    assert list(BUCKETS) == [f"{a}-{b}K" for a, b in itertools.pairwise(ends)] + [f"{ends[-1]}K+"]
    assert bucket_of(np.array([], np.int64)).tolist() == []
