"""A stable sort of small integers, several times as fast as a comparison sort."""

import numpy as np

from schemas.kernels import kernel


@kernel
def ascending(keys: np.ndarray, order: np.ndarray) -> np.ndarray:
    """`order` sorted by key; equal keys keep their order.

    Args:
        keys: [n] int64 from 0 to about n.
        order: [k] indices of keys.
    """
    largest = 0
    for i in order:
        largest = max(largest, keys[i])
    place = np.zeros(largest + 2, np.int64)
    for i in order:
        place[keys[i] + 1] += 1
    place = np.cumsum(place)
    result = np.empty(len(order), np.int64)
    for i in order:
        result[place[keys[i]]] = i
        place[keys[i]] += 1
    return result
