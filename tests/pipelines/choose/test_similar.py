"""Similar samples by bands are those by comparing all pairs, at every threshold; and few pairs are compared."""

import numpy as np
import pytest
from datasketch import MinHash

from pipelines.choose.similar import Anything, Distinct


def signatures(seed, n=120):
    """[n, 128]: most are copies of an earlier one with some components changed."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 2**32, (n, 128), np.uint32)
    for k in range(1, n):
        kept = rng.random(128) < rng.choice([0.0, 0.5, 0.79, 0.81, 1.0])
        made[k, kept] = made[int(rng.integers(k)), kept]
    return made, rng.integers(0, 5, n)


@pytest.mark.parametrize("max_similarity", [0.01, 0.5, 0.8, 0.801, 0.95, 1.0])
def test_a_similar_sample_is_found_and_no_other(max_similarity):
    for seed in range(3):
        made, n_shingles = signatures(seed)
        distinct, chosen, n_similar = Distinct(made, n_shingles, max_similarity), [], 0
        for k in range(len(made)):
            similar = [
                c for c in chosen
                if n_shingles[c] and n_shingles[k] and (made[c] == made[k]).sum() >= max_similarity * 128
            ]  # fmt: skip
            assert distinct.similar_to(k) == (similar[0] if similar else None), (seed, k)
            n_similar += bool(similar)
            if not similar:
                distinct.add(k)
                chosen.append(k)
        assert n_similar or max_similarity < 0.02


def test_the_share_of_equal_components_is_the_similarity_of_datasketch():
    one, other = MinHash(num_perm=128), MinHash(num_perm=128)
    for word in range(50):
        one.update(str(word).encode())
        other.update(str(word + 5).encode())
    made = np.array([one.hashvalues, other.hashvalues], np.uint64)
    similarity = one.jaccard(other)
    for threshold, found in ((similarity, 0), (similarity + 0.001, None)):
        distinct = Distinct(made, np.array([9, 9]), threshold)
        distinct.add(0)
        assert distinct.similar_to(1) == found


def test_unlike_samples_share_no_band():
    """Two random signatures: the number of comparisons does not grow with the square of the samples."""
    made = np.random.default_rng(0).integers(0, 2**32, (2_000, 128), np.uint32)
    distinct = Distinct(made, np.ones(2_000), 0.8)
    for k in range(2_000):
        assert distinct.similar_to(k) is None
        distinct.add(k)
    assert max(map(len, distinct.buckets.values())) == 1


def test_nothing_is_similar_where_no_threshold_is_set():
    anything = Anything()
    anything.add(0)
    assert anything.similar_to(0) is None


@pytest.mark.parametrize("max_similarity", [0.5, 0.8, 0.9])
def test_differences_that_are_spread_over_the_bands_hide_nothing(max_similarity):
    """As many components differ as may, each in a band of its own: a band less, and the pair would share none."""
    made = np.zeros((2, 128), np.uint32)
    distinct = Distinct(made, np.ones(2), max_similarity)
    differing = np.arange(128 - distinct.min_equal) * distinct.rows
    made[1, differing] = 1
    distinct.add(0)
    assert distinct.similar_to(1) == 0
