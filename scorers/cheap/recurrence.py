"""Far recurrence: how often the words of a text occurred far earlier in the text, less the rate expected by chance.

The words of each block are looked up in windows of WIDTH blocks that end NEAR, 2 NEAR, 4 NEAR ... blocks before it,
down to the start of the text. Each word is weighted by its rarity. The expected rate is the chance that as many blocks
of another document of the domain contain the word.

The score does not grow with the length of the text: every window has WIDTH blocks, so the chance is the same at every
distance, and a longer text only adds distances to the mean. In natural text recurrence falls slightly with distance.
"""

import numpy as np

from schemas.kernels import kernel
from scorers.cheap.words import BLOCK

NEAR = 4  # blocks, about 512 tokens: more than a sentence or a paragraph repeats
WIDTH = 4  # blocks in a window: wider windows separate intact texts no better and exclude shorter texts
MIN_BLOCKS = NEAR + WIDTH  # a shorter text has no window
WINDOW = WIDTH * BLOCK  # words in a window


@kernel
def look_up(
    distinct: np.ndarray, keys: np.ndarray, heads: np.ndarray, idf: np.ndarray, shares: np.ndarray, unseen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A domain's statistics of a text's words: [n_distinct] float32 idf and [n_distinct] float32 chance.

    Args:
        distinct: [n_distinct] uint64 hashes of the words.
        keys: [k] uint64 hashes, ascending.
        heads: [2**b + 1] int64: the leading b bits of keys[heads[i] : heads[i + 1]] are i.
        idf, shares: [k] float32 idf and chance of each key.
        unseen: [2] float32 idf and chance of a word that is not among the keys.
    """
    weights, chances = np.empty(len(distinct), np.float32), np.empty(len(distinct), np.float32)
    shift, size = np.uint64(63), len(heads) - 1
    while size > 2:
        shift -= np.uint64(1)
        size //= 2
    for i in range(len(distinct)):
        head = np.int64(distinct[i] >> shift)
        at, stop = heads[head], heads[head + 1]
        while at < stop and keys[at] < distinct[i]:
            at += 1
        is_key = at < stop and keys[at] == distinct[i]
        weights[i] = idf[at] if is_key else unseen[0]
        chances[i] = shares[at] if is_key else unseen[1]
    return weights, chances


@kernel
def recurrence(members: np.ndarray, starts: np.ndarray, weights: np.ndarray, chances: np.ndarray) -> float:
    """Observed minus expected occurrences, as a share of the weight of all look-ups.

    Args:
        members, starts: the distinct words of each block, as `words.blocks` returns them.
        weights: [n_distinct] float32 weight of each word, at least 0.
        chances: [n_distinct] float32 in [0, 1], the chance that WIDTH blocks of another document contain the word.

    Returns:
        in [-1, 1]; 0 is expected of a shuffle of the domain's documents. NaN below MIN_BLOCKS blocks, and where all
        weights are 0.
    """
    n_blocks = len(starts) - 1
    gained, looked_up = 0.0, 0.0
    last = np.empty(len(weights), np.int32)  # the last block before the window's end that contains the word
    distance = NEAR
    while distance + WIDTH <= n_blocks:
        last[:] = -WIDTH
        for block in range(distance, n_blocks):
            near_end = block - distance
            for k in range(starts[near_end], starts[near_end + 1]):
                last[members[k]] = near_end
            if near_end + 1 >= WIDTH:
                for k in range(starts[block], starts[block + 1]):
                    word = members[k]
                    weight, occurs = np.float64(weights[word]), 1.0 if last[word] > near_end - WIDTH else 0.0
                    looked_up += weight
                    gained += weight * (occurs - np.float64(chances[word]))
        distance *= 2
    return gained / looked_up if looked_up > 0 else np.nan
