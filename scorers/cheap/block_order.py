"""Whether the order of a text's blocks shows: near ones are more alike than the same blocks in any order would be.

Near are blocks one and two apart. One apart alone is misled where shuffled pieces are about as long as a block: a cut
that falls inside a piece makes its two blocks alike.
"""

import numpy as np
from numba import njit

MIN_BLOCKS = 8  # fewer have too few orders to tell one from another
RUN = 64  # blocks that are compared with each other, about 8,000 tokens; more would be quadratic and tell no more
MAX_RUNS = 16  # the work on the longest text is that on 1,024 blocks
MIN_ORDER_Z = 1.645  # below it the order can be chance, at 5 %: 52 to 97 % of shuffled texts, 4 % of intact ones


@njit(cache=True, nogil=True)
def order_z(members: np.ndarray, starts: np.ndarray, weights: np.ndarray) -> float:
    """How many standard deviations more alike near blocks are than by chance, NaN where that can't be said.

    Blocks are alike by the cosine of their words' weights. The text is cut into runs of at most RUN blocks, MAX_RUNS of
    them evenly spread if there are more, and mean and variance over all orders inside each run are exact, see `chance`.

    Args:
        members, starts: the distinct words of each block, as `words.blocks` gives them.
        weights: [n_distinct] float32, at least 0.
    """
    n_blocks = len(starts) - 1
    if n_blocks < MIN_BLOCKS:
        return np.nan
    n_runs = min(MAX_RUNS, (n_blocks + RUN - 1) // RUN)
    above, variance = 0.0, 0.0
    marks = np.zeros(len(weights))
    for r in range(n_runs):
        first, last = r * n_blocks // n_runs, (r + 1) * n_blocks // n_runs
        alike = cosines(members, starts[first : min(last, first + RUN) + 1], weights, marks)
        mean, spread = chance(alike)
        variance += spread
        above -= mean
        for i in range(len(alike) - 1):
            above += alike[i, i + 1] + (alike[i, i + 2] if i + 2 < len(alike) else 0.0)
    return above / np.sqrt(variance) if variance > 1e-12 else np.nan


@njit(cache=True, nogil=True)
def cosines(members: np.ndarray, starts: np.ndarray, weights: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """[b, b] float64: how alike each two blocks are, 0 on the diagonal. marks: [n_distinct] zeros, and zeros again."""
    n = len(starts) - 1
    norms, alike = np.zeros(n), np.zeros((n, n))
    for i in range(n):
        for k in range(starts[i], starts[i + 1]):
            norms[i] += np.float64(weights[members[k]]) ** 2
    for i in range(n):
        for k in range(starts[i], starts[i + 1]):
            marks[members[k]] = np.float64(weights[members[k]]) ** 2
        for j in range(i + 1, n):
            shared = 0.0
            for k in range(starts[j], starts[j + 1]):
                shared += marks[members[k]]
            if shared > 0:
                alike[i, j] = alike[j, i] = shared / np.sqrt(norms[i] * norms[j])
        for k in range(starts[i], starts[i + 1]):
            marks[members[k]] = 0
    return alike


@njit(cache=True, nogil=True)
def chance(alike: np.ndarray) -> tuple[float, float]:
    """Mean and variance, over all n! orders, of the sum of how alike the blocks one and two apart are.

    An order has E = 2 n - 3 near pairs, and two of them have a block in common in P = 6 n - 16 ways. The variance is, with
    all likenesses less their mean, the expected square of one pair E times, the expected product of two with a block in
    common 2 P times, and of two without the remaining E^2 - E - 2 P times. The three follow from the sum of squares and
    the sum of squared row sums, for the sum of all is 0.

    alike: [n, n] symmetric, 0 on the diagonal, n > 3.
    """
    n = len(alike)
    two = n * (n - 1)
    centre = alike.sum() / two
    squares, rows = 0.0, 0.0
    for i in range(n):
        row = 0.0
        for j in range(n):
            if j != i:
                row += alike[i, j] - centre
                squares += (alike[i, j] - centre) ** 2
        rows += row**2
    pairs, joint = 2 * n - 3, 6 * n - 16
    apart = pairs * pairs - pairs - 2 * joint
    variance = pairs * squares / two
    variance += 2 * joint * (rows - squares) / (two * (n - 2))
    variance += apart * (2 * squares - 4 * rows) / (two * (n - 2) * (n - 3))
    return pairs * centre, variance
