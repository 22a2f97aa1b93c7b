"""Hashes -> their distinct values in ascending order: the sort behind `shingles`.

Numba's cache of a kernel does not notice changes in the modules that it calls: after a change here, delete `__pycache__`.
"""

import numpy as np

from schemas.kernels import kernel

ONE = np.uint64(1)


@kernel
def sort_distinct(hashes: np.ndarray, n: int, slots: np.ndarray, out: np.ndarray) -> int:
    """Write the distinct values of the first n hashes to `out`, ascending. Returns their number.

    Hashes are uniform, so their leading bits give the approximate rank of each: `out` is divided into slots that hold
    one or two distinct values each, and each value is inserted into its slot in order. A duplicate costs one lookup.

    slots: [2, at least n + 2] int32, overwritten.
    """
    bits = 0
    while (2 << bits) <= n:
        bits += 1
    shift, n_slots = np.uint64(63 - bits), 1 << bits  # shifted once more below, since a shift by 64 is undefined
    begins, sizes = slots[0], slots[1]
    begins[: n_slots + 1] = 0
    sizes[:n_slots] = 0
    for i in range(n):
        begins[np.int64(hashes[i] >> shift >> ONE) + 1] += 1
    for slot in range(n_slots):
        begins[slot + 1] += begins[slot]
    for i in range(n):
        target = np.int64(hashes[i] >> shift >> ONE)
        first, last = begins[target], begins[target] + sizes[target]
        index = last
        while index > first and out[index - 1] > hashes[i]:
            index -= 1
        if index == first or out[index - 1] != hashes[i]:
            for j in range(last, index, -1):
                out[j] = out[j - 1]
            out[index] = hashes[i]
            sizes[target] += 1
    n_distinct = 0
    for slot in range(n_slots):
        for j in range(begins[slot], begins[slot] + sizes[slot]):
            out[n_distinct] = out[j]
            n_distinct += 1
    return n_distinct
