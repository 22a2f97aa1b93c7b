"""The order of a group's rows: shuffled, with the mix of domains and of lengths kept along the stream.

Best-fit rows differ: one is a single book, another eight hundred short pages. Shuffled, the worst tenth of a stream
of 150 rows is .2 away from the mix (total variation); this order brings it below .05. To balance domains alone would
put the rows of many short documents at one end and those of one long document at the other, for the former are the
most like the mix; so the length buckets of the whole documents count too, at a quarter of the weight.

The order starts as a keyed shuffle, then swaps rows. What it makes small is the drift: after row k, by how many rows'
worth of tokens the stream so far is off the mix, summed over domains and buckets, squared; LANDMARK times as much at
the tenths of the stream. A swap is taken when it raises the sum by less than a threshold that falls to zero (Dueck
and Scheuer 1990), which leaves local minima without the exponentials of annealing: all numbers are integers, so that
every machine finds the same order. A short stream, where single rows weigh most, is tried TRIES times, and the order
with the best worst tenth stays.
"""

import numba
import numpy as np

from pipelines.keys import salt

GRAINS = 1024  # a row's worth of tokens, in the integers that are summed
DOMAIN_WEIGHT, LENGTH_WEIGHT = 4, 1
PARTS = 10
LANDMARK = 50
TRIES = 8  # of a stream of less than 300 rows
SWAPS_PER_ROW, MAX_SWAPS = 4_000, 600_000  # of a try
REACH = 256  # rows that are swapped lie at most so far apart
THRESHOLD = 200  # at first, in squared rows


def balanced(domains: np.ndarray, buckets: np.ndarray, keys: np.ndarray, seed: int) -> np.ndarray:
    """[r] places of rows, in the order in which they are to stand; the shortest is the last.

    Args:
        domains: [r, d] int64 tokens of each row by domain.
        buckets: [r, b] int64 the same by length bucket of the whole document.
        keys: [r] uint64, see pipelines.keys: the shuffle to begin with.
        seed: of the swaps.
    """
    if len(keys) < 3:
        return np.argsort(keys, kind="stable")
    n_tokens = domains.sum(axis=1)
    shortest = np.lexsort((keys, n_tokens))[0]  # elsewhere it would shift the tenths behind it
    order = np.lexsort((keys, np.arange(len(keys)) == shortest))
    by_domain = off_the_mix(domains)[order]
    off = np.hstack([DOMAIN_WEIGHT * by_domain, LENGTH_WEIGHT * off_the_mix(buckets)[order]])[:-1]
    ends = ends_of_parts(n_tokens)
    n_swaps = min(MAX_SWAPS, SWAPS_PER_ROW * len(off))
    n_tries = TRIES if SWAPS_PER_ROW * len(off) < 2 * MAX_SWAPS else 1
    found = [swap(off, landmarks(len(off), ends), n_swaps, salt("balance", seed, i)) for i in range(n_tries)]
    return np.append(order[min(found, key=lambda f: worst_part(by_domain[np.append(f, len(f))], ends))], order[-1])


def ends_of_parts(n_tokens: np.ndarray) -> np.ndarray:
    """[PARTS + 1] int64: where the tenths of a stream begin and end, in sixteenths of the longest row."""
    return 16 * int(n_tokens.sum()) * np.arange(PARTS + 1) // (PARTS * int(n_tokens.max()))


def worst_part(off: np.ndarray, ends: np.ndarray) -> int:
    """By how much the tenth that is farthest off the mix is so, in sixteenths of grains; all rows taken to be as long."""
    drift = np.vstack([np.zeros_like(off[:1]), np.cumsum(off, axis=0)])
    whole, sixteenths = np.divmod(ends, 16)
    after = drift[np.minimum(whole + 1, len(off))]
    at_ends = drift[whole] * (16 - sixteenths)[:, None] + after * sixteenths[:, None]
    return int(np.abs(np.diff(at_ends, axis=0)).sum(axis=1).max())


def off_the_mix(tokens: np.ndarray) -> np.ndarray:
    """[r, k] int64, in grains: how much more of each class a row holds than its share of the mix."""
    mix = tokens.sum(axis=0) / tokens.sum()
    rows = tokens.sum(axis=1, keepdims=True)
    return np.rint((tokens - rows * mix) * (GRAINS / rows.max())).astype(np.int64)


def landmarks(n_rows: int, ends: np.ndarray) -> np.ndarray:
    """[r] int64, in sixteenths: how much the drift after each row counts. A tenth may end within a row."""
    weights = np.full(n_rows, 16, np.int64)
    for whole, sixteenths in zip(*np.divmod(ends[1:-1], 16), strict=True):
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
        x ^= x >> np.uint64(31)
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
