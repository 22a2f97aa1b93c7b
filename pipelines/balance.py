"""The order of a group's rows: shuffled, with the mix of domains and of lengths kept along the stream.

Best-fit rows differ: one is a single book, another eight hundred short pages. Shuffled, the worst tenth of a stream
of 150 rows is .2 away from the mix (total variation); this order brings it to about .04. To balance domains alone
would put the rows of many short documents first and those of one long document last, for the former are the most
like the mix; so the length buckets of the whole documents count too, at half the weight.

The order starts as a keyed shuffle, then swaps rows. What it makes small is the drift: after row k, by how many rows'
worth of tokens the stream so far is off the mix, summed over domains and buckets, squared; LANDMARK times as much at
the tenths of the stream. A swap is taken when it raises the sum by less than a threshold that falls to zero (Dueck
and Scheuer 1990), which leaves local minima without the exponentials of annealing: all numbers are integers, so that
every machine finds the same order.
"""

import numba
import numpy as np

from pipelines.keys import salt

GRAINS = 1024  # a row's worth of tokens, in the integers that are summed
DOMAIN_WEIGHT, LENGTH_WEIGHT = 2, 1
PARTS = 10
LANDMARK = 50
SWAPS_PER_ROW, MAX_SWAPS = 4_000, 2_000_000
REACH = 256  # rows that are swapped lie at most so far apart
THRESHOLD = 80  # at first, in squared rows


def balanced(domains: np.ndarray, buckets: np.ndarray, keys: np.ndarray, seed: int) -> np.ndarray:
    """[r] places of rows, in the order in which they are to stand.

    Args:
        domains: [r, d] int64 tokens of each row by domain.
        buckets: [r, b] int64 the same by length bucket of the whole document.
        keys: [r] uint64, see pipelines.keys: the shuffle to begin with.
        seed: of the swaps.
    """
    order = np.argsort(keys, kind="stable")
    if len(order) < 3:
        return order
    off = np.hstack([DOMAIN_WEIGHT * off_the_mix(domains), LENGTH_WEIGHT * off_the_mix(buckets)])[order]
    n_swaps = min(MAX_SWAPS, SWAPS_PER_ROW * len(order))
    return order[swap(off, landmarks(len(order)), n_swaps, salt("balance", seed))]


def off_the_mix(tokens: np.ndarray) -> np.ndarray:
    """[r, k] int64, in grains: how much more of each class a row holds than its share of the mix."""
    mix = tokens.sum(axis=0) / tokens.sum()
    rows = tokens.sum(axis=1, keepdims=True)
    return np.rint((tokens - rows * mix) * (GRAINS / rows.max())).astype(np.int64)


def landmarks(n_rows: int) -> np.ndarray:
    """[r] int64, in sixteenths: how much the drift after each row counts. A tenth may end within a row."""
    weights = np.full(n_rows, 16, np.int64)
    for part in range(1, PARTS):
        whole, sixteenths = divmod(16 * part * n_rows // PARTS, 16)
        weights[max(whole - 1, 0)] += LANDMARK * (16 - sixteenths)
        weights[min(whole, n_rows - 1)] += LANDMARK * sixteenths
    return weights


@numba.njit(nogil=True, cache=True)
def swap(off: np.ndarray, weights: np.ndarray, n_swaps: int, state: np.uint64) -> np.ndarray:
    """[r] an order of the rows of `off` in which the drift is small."""
    n_rows, n_classes = off.shape
    order = np.arange(n_rows)
    drift = np.zeros((n_rows, n_classes), np.int64)
    for k in range(n_rows):
        for c in range(n_classes):
            drift[k, c] = off[k, c] + (drift[k - 1, c] if k else 0)
    reach = min(REACH, n_rows - 1)
    start = THRESHOLD * 16 * GRAINS * GRAINS
    for step in range(n_swaps):
        state += np.uint64(0x9E3779B97F4A7C15)
        x = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        i = np.int64((x >> np.uint64(33)) % np.uint64(n_rows - 1))
        j = i + 1 + np.int64((x & np.uint64(0xFFFFFFFF)) % np.uint64(min(reach, n_rows - 1 - i)))
        threshold = start // n_swaps * (n_swaps - step)
        change = 0
        for k in range(i, j):
            before, after = 0, 0
            for c in range(n_classes):
                before += abs(drift[k, c])
                after += abs(drift[k, c] + off[order[j], c] - off[order[i], c])
            change += weights[k] * (after * after - before * before)
        if change < threshold:
            for k in range(i, j):
                for c in range(n_classes):
                    drift[k, c] += off[order[j], c] - off[order[i], c]
            order[i], order[j] = order[j], order[i]
    return order


def tv_of_parts(tokens: np.ndarray, n_parts: int = PARTS) -> np.ndarray:
    """[n_parts] total variation between each equal part of a stream and the whole, in [0, 1].

    A part may begin and end within a stretch, which counts by the tokens on either side.

    Args:
        tokens: [n, d] tokens by domain, stretch after stretch of the stream: rows, or segments.
    """
    so_far = np.vstack([np.zeros(tokens.shape[1]), np.cumsum(tokens, axis=0)])
    place = so_far.sum(axis=1)
    ends = np.linspace(0, place[-1], n_parts + 1)
    parts = np.diff(np.column_stack([np.interp(ends, place, column) for column in so_far.T]), axis=0)
    return np.abs(parts / parts.sum(axis=1, keepdims=True) - so_far[-1] / place[-1]).sum(axis=1) / 2
