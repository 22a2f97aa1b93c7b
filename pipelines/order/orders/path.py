"""The order of files in their directories: for code, whose neighbours in a repository are related.

All files of a directory come before those of its subdirectories, so that a directory is not interrupted. Numbers within
names count as numbers: part2 comes before part10.

Source of the idea: the repository-level baseline of SPLiCe (arXiv 2312.17296).
"""

import re
from itertools import pairwise

import numpy as np

from pipelines.order.graph import Graph
from pipelines.order.orders.documents import OrderDocuments

NUMBER = re.compile("([0-9]+)")


def path(graph: Graph, documents: OrderDocuments) -> tuple[np.ndarray, np.ndarray]:
    """The path restarts where the directory changes.

    Raises:
        ValueError: the documents have no paths.
    """
    del graph
    if documents.paths is None:
        raise ValueError("path: documents without paths; give (source, file, record) of each or use another order")
    directories = [(source, natural(file.rpartition("/")[0])) for source, file, _ in documents.paths]
    keys = [
        (directory, natural(file.rpartition("/")[2]), file, record, i)
        for i, (directory, (_, file, record)) in enumerate(zip(directories, documents.paths, strict=True))
    ]
    order = np.array([key[-1] for key in sorted(keys)], np.int64)
    same = [directories[one] == directories[other] for one, other in pairwise(order)]
    return order, ~np.array([False] * min(len(order), 1) + same, bool)


def natural(name: str) -> tuple[tuple[tuple[int, str], ...], ...]:
    """A key of each component of a path, and of each run of digits within it: 'a/part2' before 'a/part10'."""
    return tuple(tuple(map(run, NUMBER.split(component))) for component in name.split("/"))


def run(characters: str) -> tuple[int, str]:
    return (int(characters), characters) if characters.isdigit() else (-1, characters)
