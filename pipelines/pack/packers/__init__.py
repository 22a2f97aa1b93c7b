"""Packers turn draws into rows of at most `capacity` tokens. To add one, write a file here and name it in PACKERS."""

from collections.abc import Callable

from pipelines.pack.packers.best_fit import best_fit
from pipelines.pack.packers.concat import concat
from pipelines.pack.packers.in_order import in_order
from pipelines.pack.packers.rows import Drawn, Rows

Packer = Callable[[Drawn, int, int | None], Rows]
"""packer(drawn, capacity, max_segments) -> Rows

drawn: the draws, those on the path first.
capacity: maximum tokens of a row. Rows are not padded and may be shorter.
max_segments: maximum pieces of a row; None for no limit.

A label with more draws than there are rows needs further rows, which may be short: see Drawn.fewest_rows.
"""

PACKERS: dict[str, Packer] = {"best_fit": best_fit, "in_order": in_order, "concat": concat}

__all__ = ["PACKERS", "Drawn", "Packer", "Rows"]
