"""The repetition guard: the share of a text that repeats earlier text of the same document word for word.

Without it, every dependency score, with or without a model, ranks a paragraph pasted many times first.
"""

import numpy as np

from schemas.kernels import kernel
from scorers.cheap.words import FACTOR

WINDOW = 32  # words: natural prose hardly ever repeats as many; boilerplate and pasted text do
MAX_REPEAT_SHARE = 0.30  # above it are all of 24 texts made of one repeated paragraph, and 1 of 48 intact texts

ONE = np.uint64(1)


@kernel
def repeat_share(hashes: np.ndarray) -> float:
    """The share of words in a window of WINDOW words that occurred before; NaN where there are fewer than two windows.

    The first occurrence of a passage does not count: "a b a b a b" with a window of 2 is 4/6. Windows are compared by a
    64-bit polynomial of the words' hashes. In a text of 3 million words the chance of any collision is 2.4e-7, and a
    collision adds one window.

    Memory: 16 to 32 bytes per word; 67 MB for 3 million words.

    hashes: [n_words] uint64.
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
        window = (rolling ^ (rolling >> np.uint64(32))) * FACTOR | ONE  # never 0, which marks an empty slot
        at = (window >> np.uint64(32)) & mask
        while seen[at] != 0 and seen[at] != window:
            at = (at + ONE) & mask
        if seen[at] == window:
            n_repeated += i + WINDOW - max(i, covered)
            covered = i + WINDOW
        seen[at] = window
        rolling -= hashes[i] * first
    return n_repeated / len(hashes)
