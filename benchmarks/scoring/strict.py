"""LDS with the settings of its authors, from all pairs of a text; used by separation.py and stability.py."""

import random
from functools import cache

import numpy as np
from all_pairs import PLAIN, lines_of

from scorers.prolong import Dependency, ProLongParams, dependency, drawn_pairs

SETTINGS = ProLongParams(sample_size=500)  # the original scripts: chunks of 128, a window of 32,768, a threshold of 0.1
CHUNKS = 34


@cache
def perplexities(name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """[s] perplexity alone and [s, s] after, target by context; None where the text is not completely measured."""
    lines = lines_of(PLAIN / f"{name}.jsonl")
    if len(lines) < CHUNKS:
        return None
    single, after = np.empty(CHUNKS), np.full((CHUNKS, CHUNKS), np.nan)
    for line in lines:
        single[line["context"]] = np.exp(line["alone"])
        after[line["targets"], line["context"]] = np.exp(line["after"])
    return single, after


def lds(name: str, sample_size: int, seed: int = SETTINGS.seed) -> Dependency | None:
    """LDS of a text as the first document of a file. sample_size: pairs; -1: all."""
    measured = perplexities(name)
    if measured is None:
        return None
    single, after = measured
    pairs = drawn_pairs(CHUNKS, sample_size, random.Random(seed))
    return dependency(single, after[pairs[:, 0], pairs[:, 1]], pairs, SETTINGS.chunk_num, SETTINGS.threshold)
