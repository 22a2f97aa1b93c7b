"""What a trainer needs besides input_ids, as functions of a row of SEQUENCES: no second copy of the data is stored.

A row is a dict, as `datasets` gives it, or a struct scalar of pyarrow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pipelines.keys import mixed, salt

IGNORED = -100  # a label without loss, as in PyTorch and transformers
EMPTY, PARTIAL, FULL = 0, 1, 2  # blocks of a mask


class Row(Protocol):
    """Values of SEQUENCES by column: a dict or a pa.StructScalar."""

    def __getitem__(self, name: str, /) -> Any: ...


def column(row: Row, name: str) -> Any:
    """A value of a row: a number, an array, or a list of dicts."""
    value = row[name]
    if isinstance(value, pa.ListScalar) and not pa.types.is_struct(value.type.value_type):
        return value.values.to_numpy()
    return value.as_py() if isinstance(value, pa.Scalar) else value


def position_ids(row: Row, restart: bool = True) -> np.ndarray:
    """[n_tokens] int64: the place of each token in its segment, or in the row if restart is False."""
    cu_seqlens = np.asarray(column(row, "cu_seqlens"), np.int64)
    places = np.arange(cu_seqlens[-1])
    return places - np.repeat(cu_seqlens[:-1], np.diff(cu_seqlens)) if restart else places


def segment_ids(cu_seqlens: np.ndarray) -> np.ndarray:
    """[n_tokens] int32: the segment of each token, from 0."""
    return np.repeat(np.arange(len(cu_seqlens) - 1, dtype=np.int32), np.diff(cu_seqlens))


def labels(row: Row) -> np.ndarray:
    """[n_tokens] int64: input_ids, IGNORED for pad and marker tokens and for the first token of each segment.

    They are not shifted: transformers compares the logits of token i with label i + 1, so that no document is predicted
    from the one before it.
    """
    result = np.array(column(row, "input_ids"), np.int64)
    cu_seqlens = np.asarray(column(row, "cu_seqlens"), np.int64)
    result[cu_seqlens[:-1]] = IGNORED
    for stop, segment in zip(cu_seqlens[1:], column(row, "segments"), strict=True):
        result[stop - segment["n_pad"] : stop] = IGNORED
    return result


def document_mask(cu_seqlens: np.ndarray) -> np.ndarray:
    """[n, n] bool: whether token i may attend to token j, an earlier or equal one of its segment.

    n^2 bytes: 17 GB for a row of 128K. For long rows use `may_attend` or `mask_blocks`.
    """
    places = np.arange(cu_seqlens[-1])
    return may_attend(cu_seqlens)(places[:, None], places[None, :])


def may_attend(cu_seqlens: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """document_mask as a function of places i and j, arrays that broadcast. Memory: 4 bytes a token."""
    segment = segment_ids(cu_seqlens)
    return lambda i, j: (j <= i) & (segment[i] == segment[j])


def mask_blocks(cu_seqlens: np.ndarray, block_tokens: int) -> np.ndarray:
    """[b, b] int8: EMPTY, PARTIAL or FULL for each block of document_mask; the last block may be shorter."""
    segment = segment_ids(cu_seqlens)
    starts = np.arange(0, len(segment), block_tokens)
    stops = np.minimum(starts + block_tokens, len(segment))
    first, last = segment[starts], segment[stops - 1]
    overlaps = np.tri(len(starts), dtype=bool) & (first[:, None] <= last[None, :])
    one = first == last
    below = np.tri(len(starts), k=-1, dtype=bool) | (np.eye(len(starts), dtype=bool) & (stops - starts == 1))
    full = below & one[:, None] & one[None, :] & (first[:, None] == first[None, :])
    return np.where(full, FULL, np.where(overlaps, PARTIAL, EMPTY)).astype(np.int8)


@dataclass(frozen=True)
class Chunks:
    """Tokens of a row that are read at skipped positions.

    Attributes:
        starts, stops: [k] token ranges of the row, ascending and disjoint.
        skips: [k] ascending. A token's position is its index among the chosen tokens plus the skip of its chunk.
    """

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    skips: tuple[int, ...]

    def tokens(self) -> np.ndarray:
        """[n] the chosen tokens' places in the row."""
        return np.concatenate([np.arange(a, b) for a, b in zip(self.starts, self.stops, strict=True)])

    def position_ids(self) -> np.ndarray:
        """[n] strictly ascending."""
        lengths = np.subtract(self.stops, self.starts)
        return np.arange(lengths.sum()) + np.repeat(self.skips, lengths)


def plain_positions(row: Row, window_tokens: int) -> Chunks:
    """The first window_tokens tokens at positions from 0."""
    return Chunks((0,), (min(window_tokens, int(column(row, "n_tokens"))),), (0,))


def pose_positions(row: Row, window_tokens: int, target_tokens: int, seed: int) -> Chunks:
    """Two chunks of a row, which have window_tokens tokens together, at positions below target_tokens.

    The first has r tokens, r uniform in 1 ... (window_tokens + 1) // 2, from the start of the row. The second has the
    rest of the window; its end is uniform in window_tokens ... n_tokens, its skip in 0 ... target_tokens - window_tokens.
    In a shorter row the window is the row. The draws depend on sequence_id and seed alone.

    Raises:
        ValueError: window_tokens < 1, or target_tokens < window_tokens.

    Source: Zhu et al. 2024 (arXiv 2309.10400), train_pose.py.
    """
    n_tokens, random = checked(row, window_tokens, target_tokens, seed, "pose")
    window = min(window_tokens, n_tokens)
    first = between(1, (window + 1) // 2, random[0])
    end = between(window, n_tokens, random[1])
    skip = between(0, target_tokens - window, random[2])
    if first == window:
        return Chunks((0,), (first,), (0,))
    return Chunks((0, end - (window - first)), (first, end), (0, skip))


def randpos_positions(row: Row, window_tokens: int, target_tokens: int, seed: int) -> np.ndarray:
    """[n] positions of the first window_tokens tokens: a sample of those below target_tokens, ascending.

    Raises:
        ValueError: window_tokens < 1, or target_tokens < window_tokens.

    Source: randomized positions in train_pose.py, see pose_positions; Ruoss et al. 2023 (arXiv 2305.16843).
    """
    n_tokens, random = checked(row, window_tokens, target_tokens, seed, "randpos")
    keys = mixed(mixed(np.arange(target_tokens, dtype=np.uint64)) ^ random[0])
    return np.sort(np.argsort(keys)[: min(window_tokens, n_tokens)])


def checked(row: Row, window_tokens: int, target_tokens: int, seed: int, use: str) -> tuple[int, np.ndarray]:
    """n_tokens of the row and [3] uint64 of its own."""
    if window_tokens < 1:
        raise ValueError(f"window_tokens = {window_tokens} is below 1; raise it")
    if target_tokens < window_tokens:
        raise ValueError(f"target_tokens = {target_tokens} is below window_tokens = {window_tokens}; raise it")
    counters = np.arange(3, dtype=np.uint64)
    return int(column(row, "n_tokens")), mixed(
        counters ^ mixed(salt(use, seed, int(column(row, "sequence_id"))) ^ counters[:1])
    )


def between(low: int, high: int, random: np.uint64) -> int:
    """Uniform in low ... high, both included; the bias is below (high - low) / 2^64."""
    return low + int(random) % (high - low + 1)
