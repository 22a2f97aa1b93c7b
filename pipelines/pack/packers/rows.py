"""The input and the result of a packer: the draws of a group, and rows of pieces of them."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Drawn:
    """The draws of a group in the order in which they are packed: the path, then all others.

    Attributes:
        lengths: [n] int64 tokens of each; a draw of 0 tokens is in no row.
        documents: [n] int64 labels from 0 to about n. Draws of one label never share a row: they are copies of a
            document, or documents that are near copies of each other.
        partition: [n] int64 partition of the document, from 0.
        on_path: [n] bool, whether it has a place on the path.
    """

    lengths: np.ndarray
    documents: np.ndarray
    partition: np.ndarray
    on_path: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def fewest_rows(self, capacity: int, max_segments: int | None = None) -> int:
        """A lower bound of the rows that any packer needs.

        It is the largest of three: the tokens over the capacity, the pieces over max_segments, and the rows of the label
        with the most draws. With a label of more draws than the first two allow rows, every packer gives the draws that
        exceed them short rows of their own.
        """
        n_pieces = -(-self.lengths // capacity)
        of_label = np.bincount(self.documents, n_pieces).max(initial=0) if len(self) else 0
        by_segments = -(-int(n_pieces.sum()) // max_segments) if max_segments else 0
        return max(-(-int(self.lengths.sum()) // capacity), by_segments, int(of_label))


@dataclass(frozen=True)
class Rows:
    """Pieces of draws, ordered by row. Every token of every draw is in exactly one piece.

    Row i consists of the pieces offsets[i] to offsets[i + 1].

    Attributes:
        draw: [p] int64 index of the piece's draw.
        start: [p] int64 first token of the piece, relative to the draw.
        stop: [p] int64 last token, exclusive.
        offsets: [r + 1] int64, 0 first, p last.
        n_pad: [p] int64 further tokens at the end of the piece: pad or marker tokens.
        pad: [p] int64 which of the recipe's pad or marker tokens these are.
    """

    draw: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    offsets: np.ndarray
    n_pad: np.ndarray
    pad: np.ndarray

    @classmethod
    def bare(cls, draw: np.ndarray, start: np.ndarray, stop: np.ndarray, offsets: np.ndarray) -> "Rows":
        """Rows without pad tokens."""
        return cls(draw, start, stop, offsets, np.zeros(len(draw), np.int64), np.zeros(len(draw), np.int64))

    @classmethod
    def by_row(cls, draw: np.ndarray, start: np.ndarray, stop: np.ndarray, row: np.ndarray) -> "Rows":
        """Rows of pieces that are ordered by row, without pad tokens. row: [p] ascending; its values may have gaps."""
        ends = np.flatnonzero(np.diff(row)) + 1
        offsets = np.concatenate([[0], ends, [len(row)]]) if len(row) else np.zeros(1, np.int64)
        return cls.bare(draw, start, stop, offsets.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def row(self) -> np.ndarray:
        """[p] the row of each piece."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def lengths(self) -> np.ndarray:
        """[p] tokens of each piece with its pad tokens."""
        return self.stop - self.start + self.n_pad

    @property
    def n_tokens(self) -> np.ndarray:
        """[r] tokens in each row, pad tokens included."""
        return np.add.reduceat(np.append(self.lengths, 0), self.offsets[:-1]) if len(self) else self.offsets[1:]

    def take(self, order: np.ndarray) -> "Rows":
        """The same rows in another order."""
        counts = np.diff(self.offsets)[order]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        pieces = np.repeat(self.offsets[:-1][order] - offsets[:-1], counts) + np.arange(offsets[-1])
        return replace(self.pieces(pieces), offsets=offsets)

    def pieces(self, pieces: np.ndarray) -> "Rows":
        """The pieces in another order, with the same offsets."""
        columns = (self.draw, self.start, self.stop, self.n_pad, self.pad)
        draw, start, stop, n_pad, pad = (column[pieces] for column in columns)
        return Rows(draw, start, stop, self.offsets, n_pad, pad)
