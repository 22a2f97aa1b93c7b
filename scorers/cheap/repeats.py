"""The guard: how much of a text repeats, word for word, what stands before it in the same text.

Without it every score of dependency, of a model or not, ranks a paragraph pasted many times first.
"""

import numpy as np
from numba import njit

from scorers.cheap.words import FACTOR

WINDOW = 32  # words: natural prose hardly ever says so many again, boilerplate and pasted text do
MAX_REPEAT_SHARE = 0.30  # above it lie all of 24 texts of one repeated paragraph, and 1 of 48 intact ones

ONE = np.uint64(1)


@njit(cache=True, nogil=True)
def repeat_share(hashes: np.ndarray) -> float:
    """The share of the words that lie in a window of WINDOW words that stood before, NaN if there are no two windows.

    Of a passage and its repeat only the repeat counts: "a b a b a b" with a window of 2 is 4/6. Windows are compared by
    64-bit polynomials of the words' hashes: in a text of 3 million words any two different ones are taken for the same
    by a chance of 2.4e-7, and that would cost one window.

    Args:
        hashes: [n_words] uint64. Memory: 16 to 32 bytes a word; 67 MB for 3 million words.
    """
    n_windows = len(hashes) - WINDOW + 1
    if n_windows < 2:
        return np.nan
    size = 2
    while size < 2 * n_windows:
        size *= 2
    seen, mask = np.zeros(size, np.uint64), np.uint64(size - 1)
    first = ONE
    rolling = np.uint64(0)
    for i in range(WINDOW - 1):
        rolling = rolling * FACTOR + hashes[i]
        first *= FACTOR
    n_repeated, covered = 0, 0
    for i in range(n_windows):
        rolling = rolling * FACTOR + hashes[i + WINDOW - 1]
        window = (rolling ^ (rolling >> np.uint64(32))) * FACTOR | ONE  # never 0, which is an empty slot
        at = (window >> np.uint64(32)) & mask
        while seen[at] != 0 and seen[at] != window:
            at = (at + ONE) & mask
        if seen[at] == window:
            n_repeated += i + WINDOW - max(i, covered)
            covered = i + WINDOW
        seen[at] = window
        rolling -= hashes[i] * first
    return n_repeated / len(hashes)
