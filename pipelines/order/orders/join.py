"""Fragments become one path: the most similar ends of different fragments are linked first.

With vectors, ends are split into cells of similar ones. Within a cell, links are made greedily over all pairs until half
of its ends are used; then the cells are made anew from the ends that are left. So a round costs a fixed number of
products an end, each has half as many ends as the one before, and the last, with one cell, is exact.

Without vectors, an end is linked to the fragment of its best listed neighbour, at the end nearer to this neighbour;
what no list connects is chained by id.
"""

import numpy as np

from pipelines.order.graph import Graph
from pipelines.order.orders.fragments import Fragments, link_greedily, link_listed, listed_partners
from pipelines.order.orders.split import split
from pipelines.shares import MICRO

CELL = 2_048  # ends that are compared with each other
LEAST_PADDED = 64
MAX_ROUNDS = 8  # without vectors; what is left then is chained by id


def join_by_vectors(fragments: Fragments, vectors: np.ndarray, keys: np.ndarray) -> None:
    """Link the fragments into one.

    Args:
        vectors: [n, d] float32, rows of length 1.
        keys: [n] uint64 that depend on content alone.
    """
    while fragments.n_fragments > 1:
        ends = fragments.ends()
        drawn = vectors[ends]
        cells = split(drawn, keys[ends], CELL)
        for cell in cells:
            target = 0 if len(cells) == 1 else len(cell) // 2
            link_greedily(*fragments, ends[cell], products(drawn[cell]), target)


def products(vectors: np.ndarray) -> np.ndarray:
    """[m, m] int32: similarities in millionths, from a product whose shape is a power of two."""
    n_padded = max(LEAST_PADDED, 1 << (len(vectors) - 1).bit_length())
    padded = np.zeros((n_padded, vectors.shape[1]), np.float32)
    padded[: len(vectors)] = vectors
    return np.rint((padded @ padded.T)[: len(vectors), : len(vectors)] * np.float32(MICRO)).astype(np.int32)


def join_by_lists(fragments: Fragments, union: Graph) -> None:
    """Link fragments by listed similarities, until no list connects two ends or for MAX_ROUNDS rounds."""
    for _ in range(MAX_ROUNDS):
        order = fragments.chain()
        ends = fragments.ends()
        partners, weights = listed_partners(fragments.links, order, *union, ends)
        by_weight = np.argsort(-weights.astype(np.int64), kind="stable")
        by_weight = by_weight[partners[by_weight] >= 0]
        if not link_listed(*fragments, ends[by_weight], partners[by_weight]):
            return
