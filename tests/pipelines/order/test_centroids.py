import numpy as np
import pytest

from pipelines.order.centroids import (
    MAX_SHARE,
    PER_GROUP,
    centres,
    dealt,
    k_means,
    n_partitions,
    places_of,
    sample_of,
)
from pipelines.order.products import one_thread, products
from tests.pipelines.order.vectors import unit


@pytest.fixture(autouse=True)
def on_one_thread():
    with one_thread():
        yield


def blocks_of(x, size=100):
    return lambda: ((np.arange(i, min(i + size, len(x))), x[i : i + size]) for i in range(0, len(x), size))


def test_number_of_partitions():
    assert n_partitions(1, 8192, 1) == 1
    assert n_partitions(8193, 8192, 1) == 2
    assert n_partitions(10, 8192, 2) == 2 * PER_GROUP
    assert n_partitions(10**6, 8192, 2) == 123


def test_the_sample_has_the_lowest_keys_in_their_order():
    x = unit(1000, 4, seed=0)
    keys = np.random.default_rng(0).permutation(1000).astype(np.uint64)
    assert (sample_of(blocks_of(x), keys, 50) == x[np.argsort(keys)[:50]]).all()
    assert (sample_of(blocks_of(x), keys, 5000) == x[np.argsort(keys)]).all()


def test_k_means_finds_clear_clusters():
    x = unit(600, 16, seed=1, n_clusters=4, spread=0.05)
    found = k_means(x, 4)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(4))
    assert products(x, found).max(axis=1).min() > 900_000


def test_a_centre_is_the_mean_direction_of_its_vectors():
    x = unit(300, 8, seed=2, n_clusters=3, spread=0.8)
    found = k_means(x, 3)
    own = products(x, found).argmax(axis=1)
    for c in range(3):
        mean = x[own == c].sum(axis=0)
        assert found[c] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-3)


def test_equal_vectors_give_one_centre():
    x = np.repeat(unit(1, 8, seed=0), 50, axis=0)
    assert len(k_means(x, 5)) == 1
    assert len(centres(blocks_of(x), np.arange(50, dtype=np.uint64), 5)) == 1


def test_no_partition_is_much_larger_than_its_share():
    lopsided = np.concatenate([unit(3000, 16, seed=3, n_clusters=1, spread=0.1), unit(200, 16, seed=4)])
    keys = np.arange(3200, dtype=np.uint64)[::-1]  # the first centres are documents outside the large cluster
    found = centres(blocks_of(lopsided, 500), keys, 8)
    sizes = np.bincount(products(lopsided, found).argmax(axis=1), minlength=len(found))
    assert sizes.max() <= MAX_SHARE * 3200 / 8
    plain = k_means(sample_of(blocks_of(lopsided), keys, 2048), 8)
    assert np.bincount(products(lopsided, plain).argmax(axis=1)).max() > MAX_SHARE * 3200 / 8, "an easy case"


def test_centres_do_not_depend_on_the_blocks():
    x = unit(900, 8, seed=5, n_clusters=6)
    keys = np.random.default_rng(2).permutation(900).astype(np.uint64)
    assert (centres(blocks_of(x, 100), keys, 6) == centres(blocks_of(x, 251), keys, 6)).all()


def test_places_are_the_nearest_centre_and_the_second_of_the_same_group():
    centre = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    x = np.array([[1, 0], [0.8, 0.6], [0.1, 0.99], [0, 0]], np.float32)
    one = places_of(x, centre, np.zeros(3, int), ghost_share=0.8)
    assert one.tolist() == [[0, -1], [2, 0], [1, 2], [0, -1]]
    assert places_of(x, centre, np.array([0, 1, 1]), ghost_share=0.8).tolist() == [[0, -1], [2, -1], [1, 2], [0, -1]]
    assert places_of(x, centre, np.zeros(3, int), ghost_share=0.9).tolist() == [[0, -1], [2, -1], [1, -1], [0, -1]]


def off(tokens, group, n_groups):
    aim = tokens.sum(axis=0) // n_groups
    return sum(int(np.abs(tokens[group == g].sum(axis=0) - aim).sum()) for g in range(n_groups))


def test_dealing_is_near_the_mix():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tokens = rng.integers(0, 1000, (32, 4)) * rng.integers(0, 2, (32, 4))
        group = dealt(tokens, 4)
        at_random = [off(tokens, rng.permutation(np.arange(32) % 4), 4) for _ in range(50)]
        assert set(group.tolist()) == {0, 1, 2, 3}
        assert off(tokens, group, 4) < min(at_random), f"{seed=}"


def test_no_swap_of_two_partitions_brings_the_groups_nearer_to_the_mix():
    rng = np.random.default_rng(7)
    tokens = rng.integers(0, 50, (14, 3))
    group = dealt(tokens, 3)
    for p in range(14):
        for q in range(p):
            other = group.copy()
            other[[p, q]] = group[[q, p]]
            assert off(tokens, other, 3) >= off(tokens, group, 3)


def test_one_group_has_all():
    assert dealt(np.ones((3, 2), np.int64), 1).tolist() == [0, 0, 0]
