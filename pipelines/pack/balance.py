"""The order of a group's rows: shuffled, with the mix of domains and lengths kept constant along the stream.

Best-fit rows differ: one may be a single book, another eight hundred short pages. In a shuffled stream of 150 rows, the
worst tenth is .2 from the mix (total variation); this order brings it below .05. Balancing only domains would move rows
of many short documents to one end and rows of one long document to the other, since the former are closest to the mix.
Therefore the length buckets of the documents count too, with a quarter of the weight.

The order starts as a keyed shuffle and is improved by swaps of rows. Swaps minimise the sum of the squared drift. The
drift after row k is the deviation of the first k rows from the mix, in rows' worth of tokens, summed over domains and
buckets; at the tenths of the stream it counts PART_WEIGHT times as much. A swap is accepted if it raises the sum by
less than a threshold that falls to zero (Dueck and Scheuer 1990). This leaves local minima without the exponentials of
annealing: all numbers are integers, so every machine computes the same order. A short stream, where single rows matter
most, is tried N_TRIES times, and the order with the smallest deviation in its worst tenth is used.
"""

import numpy as np

from pipelines.keys import salt
from schemas.kernels import kernel

GRAINS = 1024  # a row's worth of tokens, in the integer unit of deviations
DOMAIN_WEIGHT, LENGTH_WEIGHT = 4, 1
PARTS = 10
PART_WEIGHT = 50
N_TRIES = 8  # for a stream of less than 300 rows
SWAPS_PER_ROW, MAX_SWAPS = 4_000, 600_000  # of one try
REACH = 256  # maximum distance of two rows that are swapped
THRESHOLD = 200  # initial, in squared rows


def balanced(domains: np.ndarray, buckets: np.ndarray, keys: np.ndarray, seed: int) -> np.ndarray:
    """[r] indices of the rows in their final order; the shortest row is the last.

    Args:
        domains: [r, d] int64 tokens of each row by domain.
        buckets: [r, b] int64 tokens of each row by length bucket of the document.
        keys: [r] uint64, see pipelines.keys: the initial shuffle.
        seed: of the swaps.
    """
    if len(keys) < 3:
        return np.argsort(keys, kind="stable")
    n_tokens = domains.sum(axis=1)
    shortest = np.lexsort((keys, n_tokens))[0]  # before the end it would shift all tenths after it
    order = np.lexsort((keys, np.arange(len(keys)) == shortest))
    by_domain = deviation(domains)[order]
    deviations = np.hstack([DOMAIN_WEIGHT * by_domain, LENGTH_WEIGHT * deviation(buckets)[order]])[:-1]
    ends = ends_of_parts(n_tokens)
    weights = drift_weights(len(deviations), ends)
    n_swaps = min(MAX_SWAPS, SWAPS_PER_ROW * len(deviations))
    n_tries = N_TRIES if SWAPS_PER_ROW * len(deviations) < 2 * MAX_SWAPS else 1
    tries = [swap(deviations, weights, n_swaps, salt("balance", seed, i)) for i in range(n_tries)]
    return np.append(order[min(tries, key=lambda t: worst_part(by_domain[np.append(t, len(t))], ends))], order[-1])


def ends_of_parts(n_tokens: np.ndarray) -> np.ndarray:
    """[PARTS + 1] int64: where the tenths of a stream begin and end, in sixteenths of the longest row."""
    return 16 * int(n_tokens.sum()) * np.arange(PARTS + 1) // (PARTS * int(n_tokens.max()))


def worst_part(deviations: np.ndarray, ends: np.ndarray) -> int:
    """The largest deviation of a tenth, in sixteenths of grains, as if all rows were equally long."""
    drift = np.vstack([np.zeros_like(deviations[:1]), np.cumsum(deviations, axis=0)])
    row, sixteenths = np.divmod(ends, 16)
    after = drift[np.minimum(row + 1, len(deviations))]
    at_ends = drift[row] * (16 - sixteenths)[:, None] + after * sixteenths[:, None]
    return int(np.abs(np.diff(at_ends, axis=0)).sum(axis=1).max())


def deviation(tokens: np.ndarray) -> np.ndarray:
    """[r, k] int64, in grains: the tokens of each class in a row, minus those expected from the mix."""
    mix = tokens.sum(axis=0) / tokens.sum()
    rows = tokens.sum(axis=1, keepdims=True)
    return np.rint((tokens - rows * mix) * (GRAINS / rows.max())).astype(np.int64)


def drift_weights(n_rows: int, ends: np.ndarray) -> np.ndarray:
    """[r] int64, in sixteenths: the weight of the drift after each row. A tenth may end within a row."""
    weights = np.full(n_rows, 16, np.int64)
    for row, sixteenths in zip(*np.divmod(ends[1:-1], 16), strict=True):
        weights[max(row - 1, 0)] += PART_WEIGHT * (16 - sixteenths)
        weights[min(row, n_rows - 1)] += PART_WEIGHT * sixteenths
    return weights


@kernel
def swap(deviations: np.ndarray, weights: np.ndarray, n_swaps: int, state: np.uint64) -> np.ndarray:
    """[r] an order of the rows of `deviations` in which the drift is small."""
    n_rows, n_classes = deviations.shape
    order = np.arange(n_rows)
    drift = np.zeros((n_classes, n_rows), np.int64)  # the rows of a swap lie side by side
    size = np.zeros(n_rows, np.int64)  # of the drift after each row: its sum over the classes
    for k in range(n_rows):
        for c in range(n_classes):
            drift[c, k] = deviations[k, c] + (drift[c, k - 1] if k else 0)
            size[k] += abs(drift[c, k])
    reach = min(REACH, n_rows - 1)
    swapped = np.zeros(reach, np.int64)  # the sizes after a swap
    start = THRESHOLD * 16 * GRAINS * GRAINS
    for step in range(n_swaps):
        state += np.uint64(0x9E3779B97F4A7C15)
        x = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        i = np.int64((x >> np.uint64(33)) % np.uint64(n_rows - 1))
        n = 1 + np.int64((x & np.uint64(0xFFFFFFFF)) % np.uint64(min(reach, n_rows - 1 - i)))
        threshold = start // n_swaps * (n_swaps - step)
        one, other = order[i], order[i + n]
        swapped[:n] = 0
        for c in range(n_classes):
            moved = deviations[other, c] - deviations[one, c]
            for k in range(n):
                swapped[k] += abs(drift[c, i + k] + moved)
        change = 0
        for k in range(n):
            change += weights[i + k] * (swapped[k] * swapped[k] - size[i + k] * size[i + k])
        if change < threshold:
            for c in range(n_classes):
                moved = deviations[other, c] - deviations[one, c]
                for k in range(n):
                    drift[c, i + k] += moved
            size[i : i + n] = swapped[:n]
            order[i], order[i + n] = other, one
    return order


def tv_of_parts(tokens: np.ndarray, n_parts: int = PARTS) -> np.ndarray:
    """[n_parts] total variation distance between each equal part of a stream and all of it, in [0, 1].

    A part may begin or end within a row (or segment); the tokens of that row are divided in proportion.

    Args:
        tokens: [n, d] tokens by domain of consecutive rows or segments.
    """
    cumulative = np.vstack([np.zeros(tokens.shape[1]), np.cumsum(tokens, axis=0)])
    offsets = cumulative.sum(axis=1)
    ends = np.linspace(0, offsets[-1], n_parts + 1)
    parts = np.diff(np.column_stack([np.interp(ends, offsets, column) for column in cumulative.T]), axis=0)
    return np.abs(parts / parts.sum(axis=1, keepdims=True) - cumulative[-1] / offsets[-1]).sum(axis=1) / 2
