"""Packers: how draws become rows of at most `capacity` tokens. An open set: add a file and a line."""

from collections.abc import Callable

import numpy as np

from pipelines.pack.packers.best_fit import best_fit
from pipelines.pack.packers.concat import concat
from pipelines.pack.packers.rows import Rows

Packer = Callable[[np.ndarray, np.ndarray, int, int | None], Rows]
"""packer(lengths, documents, capacity, max_segments) -> Rows

lengths: [n] int64 tokens of each draw; one of 0 tokens is in no row.
documents: [n] int64 labels from 0 to about n: copies of a document have the same, and never share a row.
capacity: the most tokens of a row. None is padded; a row that is not full is short.
max_segments: the most pieces of a row; None: any number.
"""

PACKERS: dict[str, Packer] = {"best_fit": best_fit, "concat": concat}

__all__ = ["PACKERS", "Packer", "Rows"]
