"""The result of a packer: rows of pieces of draws."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Pieces of draws, ordered by row, then by draw. Every token of every draw is in exactly one piece.

    Row i consists of the pieces offsets[i] to offsets[i + 1].

    Attributes:
        draw: [p] int64 index of the piece's draw.
        start: [p] int64 first token of the piece, relative to the draw.
        stop: [p] int64 last token, exclusive.
        offsets: [r + 1] int64, 0 first, p last.
    """

    draw: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def row(self) -> np.ndarray:
        """[p] the row of each piece."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def n_tokens(self) -> np.ndarray:
        """[r] tokens in each row."""
        return (
            np.add.reduceat(np.append(self.stop - self.start, 0), self.offsets[:-1]) if len(self) else self.offsets[1:]
        )

    def take(self, order: np.ndarray) -> "Rows":
        """The same rows in another order."""
        counts = np.diff(self.offsets)[order]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        pieces = np.repeat(self.offsets[:-1][order] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Rows(self.draw[pieces], self.start[pieces], self.stop[pieces], offsets)
