"""Far recurrence: how much of what a text says came up long before in the same text, beyond what any text would share.

A block's words are looked for in WIDTH neighbouring blocks that end NEAR, 2 NEAR, 4 NEAR ... blocks before it, as far
as the text goes back. A word counts by its rarity, and what was found is set against the chance to find the word in as
many blocks of another document of the domain.

A longer text is not scored higher for being longer: each look goes through WIDTH blocks, however much stands before, so
the chance is the same at each distance, and the mean over the looks of all distances only gains distances when a text
goes on. It falls a little with distance in natural texts, and that is what they are like.
"""

import numpy as np
from numba import njit

from scorers.cheap.words import BLOCK

NEAR = 4  # blocks: about 512 tokens, beyond what a sentence or a paragraph says again
WIDTH = 4  # blocks in a look: wider ones separate intact texts no better, and shut out shorter texts
MIN_BLOCKS = NEAR + WIDTH  # fewer have no look
WINDOW = WIDTH * BLOCK  # words: of these the chance is counted


@njit(cache=True, nogil=True)
def look_up(
    distinct: np.ndarray, keys: np.ndarray, heads: np.ndarray, idf: np.ndarray, shares: np.ndarray, unseen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a domain knows of a text's words: [n_distinct] float32 idf and [n_distinct] float32 chance.

    Args:
        distinct: [n_distinct] uint64 hashes.
        keys: [k] uint64, ascending; idf and shares [k] float32 are theirs.
        heads: [2**b + 1] int64: keys[heads[i] : heads[i + 1]] are those whose leading b bits are i.
        unseen: [2] float32, the idf and the chance of a word that isn't among the keys.
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
        found = at < stop and keys[at] == distinct[i]
        weights[i] = idf[at] if found else unseen[0]
        chances[i] = shares[at] if found else unseen[1]
    return weights, chances


@njit(cache=True, nogil=True)
def recurrence(members: np.ndarray, starts: np.ndarray, weights: np.ndarray, chances: np.ndarray) -> float:
    """Found minus expected, as a share of the weight of all words looked for; NaN below MIN_BLOCKS blocks.

    Args:
        members, starts: the distinct words of each block, as `words.blocks` gives them.
        weights: [n_distinct] float32, what finding a word counts, at least 0.
        chances: [n_distinct] float32 in [0, 1], to find it in WIDTH blocks of another document.

    Returns:
        in [-1, 1]; 0 is what a shuffle of the domain's documents has. NaN also where no word weighs anything.
    """
    n_blocks = len(starts) - 1
    gained, looked = 0.0, 0.0
    last = np.empty(len(weights), np.int32)  # the last block in reach that has the word
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
                    weight, found = np.float64(weights[word]), 1.0 if last[word] > near_end - WIDTH else 0.0
                    looked += weight
                    gained += weight * (found - np.float64(chances[word]))
        distance *= 2
    return gained / looked if looked > 0 else np.nan
