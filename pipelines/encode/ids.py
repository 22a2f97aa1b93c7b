"""The ids of many texts in two flat arrays."""

from typing import NamedTuple

import numpy as np


class Ids(NamedTuple):
    """The ids of text i are values[offsets[i] : offsets[i + 1]]; it has none where failed[i].

    Attributes:
        values: int32.
        offsets: int64, [n + 1].
        failed: bool, [n] whether the library raised an error for the text.
    """

    values: np.ndarray
    offsets: np.ndarray
    failed: np.ndarray

    @classmethod
    def of(cls, rows: list[np.ndarray | None]) -> "Ids":
        """Ids of texts one by one; None where the library raised an error."""
        values = [np.empty(0, np.int32) if row is None else row for row in rows]
        offsets = np.cumsum([0, *map(len, values)], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.int32), *values]), offsets, np.array([r is None for r in rows], bool))

    @classmethod
    def joined(cls, parts: list["Ids"]) -> "Ids":
        """Ids of all texts of consecutive parts."""
        offsets = np.concatenate([[0], *(part.lengths for part in parts)]).astype(np.int64).cumsum()
        values = np.concatenate([np.empty(0, np.int32), *(part.values for part in parts)])
        return cls(values, offsets, np.concatenate([np.empty(0, bool), *(part.failed for part in parts)]))

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def row(self, i: int) -> np.ndarray:
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def rows_with(self, token_id: int) -> np.ndarray:
        """The texts whose ids contain `token_id`, ascending."""
        places = np.flatnonzero(self.values == token_id)
        return np.unique(np.searchsorted(self.offsets, places, side="right") - 1)

    def replaced(self, rows: np.ndarray, others: "Ids") -> "Ids":
        """The same ids, but those of `others` for `rows`, ascending."""
        is_other = np.zeros(len(self.failed), bool)
        is_other[rows] = True
        lengths, failed = self.lengths, self.failed.copy()
        kept = self.values[~np.repeat(is_other, lengths)]
        lengths[rows], failed[rows] = others.lengths, others.failed
        from_others = np.repeat(is_other, lengths)
        values = np.empty(len(from_others), np.int32)
        values[from_others], values[~from_others] = others.values, kept
        return Ids(values, np.concatenate([[0], lengths.cumsum()]), failed)

    def marked(self, bos: int | None, eos: int, rows: np.ndarray) -> "Ids":
        """BOS, if any, before and EOS after the ids of each text where the mask `rows` [n] is true; others emptied."""
        lengths = np.where(rows, self.lengths + 1 + (bos is not None), 0)
        offsets = np.concatenate([[0], lengths.cumsum()])
        values, is_mark = np.empty(offsets[-1], np.int32), np.zeros(offsets[-1], bool)
        marks = [(offsets[1:][rows] - 1, eos)] + ([(offsets[:-1][rows], bos)] if bos is not None else [])
        for places, token_id in marks:
            values[places], is_mark[places] = token_id, True
        values[~is_mark] = self.values if rows.all() else self.values[np.repeat(rows, self.lengths)]
        return Ids(values, offsets, self.failed)
