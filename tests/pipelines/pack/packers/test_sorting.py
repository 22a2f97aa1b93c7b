"""A stable sort of small integers is that of Python."""

import numpy as np

from pipelines.pack.packers.sorting import ascending


def test_ascending_is_a_stable_sort():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        keys = rng.integers(0, 9, 40)
        order = rng.permutation(40)[: int(rng.integers(0, 41))]
        assert ascending(keys, order).tolist() == sorted(order.tolist(), key=lambda i: keys[i])
