"""Whether a text's blocks are in a meaningful order: near blocks are more similar than in a random order.

Blocks one and two apart are near. A distance of one alone would mislead where shuffled pieces are about as long as a
block: a block boundary inside a piece makes the two blocks similar.
"""

import numpy as np

from schemas.kernels import kernel

MIN_BLOCKS = 8  # fewer blocks have too few permutations for a test
RUN = 64  # blocks compared with each other, about 8,000 tokens; longer runs cost quadratically and separate no better
MAX_RUNS = 16  # so the longest text costs as much as 1,024 blocks
MIN_ORDER_Z = 1.645  # 5 % level for a random order: below it are 52 to 97 % of shuffled texts, 4 % of intact ones


@kernel
def order_z(members: np.ndarray, starts: np.ndarray, weights: np.ndarray) -> float:
    """Similarity of near blocks as a z-score over random orders; NaN where it is undefined.

    Similarity is the cosine of the blocks' word weights. The text is cut into runs of at most RUN blocks; of a longer
    text, MAX_RUNS evenly spread runs are used. Mean and variance over all orders of a run are exact, see `chance`.

    Args:
        members, starts: the distinct words of each block, as `words.blocks` returns them.
        weights: [n_distinct] float32, at least 0.
    """
    n_blocks = len(starts) - 1
    if n_blocks < MIN_BLOCKS:
        return np.nan
    n_runs = min(MAX_RUNS, (n_blocks + RUN - 1) // RUN)
    excess, variance = 0.0, 0.0
    marks = np.zeros(len(weights))
    for r in range(n_runs):
        first, last = r * n_blocks // n_runs, (r + 1) * n_blocks // n_runs
        similarity = cosines(members, starts[first : min(last, first + RUN) + 1], weights, marks)
        run_mean, run_variance = chance(similarity)
        variance += run_variance
        excess -= run_mean
        for i in range(len(similarity) - 1):
            excess += similarity[i, i + 1] + (similarity[i, i + 2] if i + 2 < len(similarity) else 0.0)
    return excess / np.sqrt(variance) if variance > 1e-12 else np.nan


@kernel
def cosines(members: np.ndarray, starts: np.ndarray, weights: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """[b, b] float64: cosine of each pair of blocks, 0 on the diagonal.

    marks: [n_distinct] zeros; used as scratch space and zero again on return.
    """
    n = len(starts) - 1
    norms, similarity = np.zeros(n), np.zeros((n, n))
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
                similarity[i, j] = similarity[j, i] = shared / np.sqrt(norms[i] * norms[j])
        for k in range(starts[i], starts[i + 1]):
            marks[members[k]] = 0
    return similarity


@kernel
def chance(similarity: np.ndarray) -> tuple[float, float]:
    """Mean and variance, over all n! orders, of the summed similarity of blocks one and two apart.

    An order has E = 2 n - 3 near pairs; P = 6 n - 16 of the pairs of near pairs share a block. With similarities
    centred on their mean, the variance is the sum of E times the expected square of one pair, 2 P times the expected
    product of two pairs that share a block, and E^2 - E - 2 P times that of two pairs that share none. All three follow
    from the sum of squares and the sum of squared row sums, since the centred similarities sum to 0.

    similarity: [n, n] symmetric, 0 on the diagonal, n > 3.
    """
    n = len(similarity)
    ordered_pairs = n * (n - 1)
    centre = similarity.sum() / ordered_pairs
    squares, rows = 0.0, 0.0
    for i in range(n):
        row = 0.0
        for j in range(n):
            if j != i:
                row += similarity[i, j] - centre
                squares += (similarity[i, j] - centre) ** 2
        rows += row**2
    pairs, sharing = 2 * n - 3, 6 * n - 16
    disjoint = pairs * pairs - pairs - 2 * sharing
    variance = pairs * squares / ordered_pairs
    variance += 2 * sharing * (rows - squares) / (ordered_pairs * (n - 2))
    variance += disjoint * (2 * squares - 4 * rows) / (ordered_pairs * (n - 2) * (n - 3))
    return pairs * centre, variance
