"""What an order may read of the documents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class OrderDocuments:
    """Documents in the order of their content hash, so that a tie broken by id does not depend on positions.

    The last three are None unless the order needs them.
    """

    n: int
    content: np.ndarray  # [n, 2] uint64, see keys.contents
    seed: int
    vectors: np.ndarray | None = None  # [n, d] float32, rows of length 1
    texts: Sequence[str] | None = None  # the first few thousand characters are enough
    paths: Sequence[tuple[str, str, int]] | None = None  # source, file, record
