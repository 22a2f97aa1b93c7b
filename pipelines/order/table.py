"""The rows of ORDER of one group."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.order.graph import Graph
from pipelines.order.neighbours import Neighbours
from pipelines.order.products import millionths, of_pairs
from pipelines.shares import MICRO
from schemas.tables import ORDER

MOST_NEIGHBOURS = 10  # of a document in ORDER


class Found(NamedTuple):
    """Vectors [n, d] of the members of a group, their partitions [n, 2], the centres [p, d], and their neighbours."""

    vectors: np.ndarray
    places: np.ndarray
    centres: np.ndarray
    near: Neighbours


def order_table(document_id: pa.ChunkedArray, found: Found, path: np.ndarray, restarts: np.ndarray) -> pa.Table:
    """ORDER: the path, then the documents that left it, by content_hash.

    Args:
        path: [m] members of the path.
        restarts: [m] bool.
    """
    rows = np.concatenate([path, np.flatnonzero(found.near.leaves)])
    row_of = np.empty(len(rows), np.int32)
    row_of[rows] = np.arange(len(rows))
    place = np.arange(len(rows))
    off_path = place >= len(path)
    has_vectors = found.vectors.shape[1] > 0
    previous = of_pairs(found.vectors, path[:-1], path[1:])
    previous = np.concatenate([[0] * min(1, len(rows)), previous, np.zeros(off_path.sum())])[: len(rows)]
    none = off_path | (place == 0) | (not has_vectors)
    centre = millionths(np.einsum("ij,ij->i", found.vectors, found.centres[found.places[:, 0]], dtype=np.float64))
    ids = document_id.combine_chunks()
    sizes = np.bincount(found.near.near_set, minlength=len(rows))
    near_set = ids.take(pa.array(found.near.near_set[rows], mask=sizes[found.near.near_set[rows]] < 2))
    neighbours, similarities = nearest_lists(found.near.graph, rows, row_of)
    return pa.table(
        {
            "document_id": ids.take(pa.array(rows)),
            "partition": found.places[rows, 0],
            "place": pa.array(place, mask=off_path),
            "restarts": np.concatenate([restarts, np.zeros(off_path.sum(), bool)]),
            "similarity_to_previous": pa.array((previous / MICRO).astype(np.float32), mask=none),
            "near_set": near_set,
            "centre_similarity": pa.array(
                (centre[rows] / MICRO).astype(np.float32), mask=np.full(len(rows), not has_vectors)
            ),
            "neighbours": neighbours,
            "similarities": similarities,
        },
        schema=ORDER,
    )


def nearest_lists(graph: Graph, rows: np.ndarray, row_of: np.ndarray) -> tuple[pa.ListArray, pa.ListArray]:
    """The first MOST_NEIGHBOURS of each list, in the order of `rows`: rows of ORDER, and cosines."""
    counts = np.minimum(np.diff(graph.offsets)[rows], MOST_NEIGHBOURS)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    edges = np.repeat(graph.offsets[rows] - offsets[:-1], counts) + np.arange(offsets[-1])
    values = row_of[graph.neighbours[edges]], (graph.similarities[edges] / MICRO).astype(np.float32)
    neighbours, similarities = (pa.ListArray.from_arrays(offsets.astype(np.int32), pa.array(v)) for v in values)
    return neighbours, similarities
