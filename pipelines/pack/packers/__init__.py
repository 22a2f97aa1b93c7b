"""Packers turn draws into rows of at most `capacity` tokens. To add one, write a file here and name it in PACKERS."""

from collections.abc import Callable

import numpy as np

from pipelines.pack.packers.best_fit import best_fit
from pipelines.pack.packers.concat import concat
from pipelines.pack.packers.rows import Rows

Packer = Callable[[np.ndarray, np.ndarray, int, int | None], Rows]
"""packer(lengths, documents, capacity, max_segments) -> Rows

lengths: [n] int64 tokens of each draw; a draw of 0 tokens is in no row.
documents: [n] int64 labels from 0 to about n; copies of a document have the same label and never share a row.
capacity: maximum tokens of a row. Rows are not padded and may be shorter.
max_segments: maximum pieces of a row; None for no limit.
"""

PACKERS: dict[str, Packer] = {"best_fit": best_fit, "concat": concat}

__all__ = ["PACKERS", "Packer", "Rows"]
