"""SEQUENCES of a group, from its rows and the file of their tokens."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.pack.packers import Rows
from pipelines.pack.scatter import write_pads
from schemas.tables import SEGMENT

ROW_GROUP_ROWS = 16
GROUP_BITS = 32  # a group is at most 2^32 rows


def sequences(number: int, rows: Rows, columns: pa.Table, pads: Sequence[int], flat: Path) -> Iterator[pa.Table]:
    """SEQUENCES of a group, ROW_GROUP_ROWS at a time.

    Args:
        number: index of the group.
        rows: their `draw` is an index in `columns`.
        columns: document_id, domain, epoch, place and similarity_to_previous of each draw.
        pads: the ids that rows.pad is an index in.
        flat: the file of all their tokens, row after row.
    """
    ends = np.concatenate([[0], np.cumsum(rows.n_tokens)])
    for i in range(0, len(rows), ROW_GROUP_ROWS):
        j = min(i + ROW_GROUP_ROWS, len(rows))
        pieces = slice(rows.offsets[i], rows.offsets[j])
        row_offsets = rows.offsets[i : j + 1] - rows.offsets[i]
        tokens = np.fromfile(flat, "<i4", count=int(ends[j] - ends[i]), offset=4 * int(ends[i]))
        write_pads(tokens, rows, pieces, pads)
        yield pa.table(
            {
                "sequence_id": (number << GROUP_BITS) + np.arange(i, j),
                "input_ids": pa.ListArray.from_arrays(
                    (ends[i : j + 1] - ends[i]).astype(np.int32), tokens.astype(np.int32)
                ),
                "n_tokens": np.diff(ends[i : j + 1]).astype(np.int32),
                "cu_seqlens": cu_seqlens(rows.lengths[pieces], row_offsets),
                "segments": pa.ListArray.from_arrays(row_offsets.astype(np.int32), segments(rows, pieces, columns)),
            }
        )


def cu_seqlens(lengths: np.ndarray, offsets: np.ndarray) -> pa.ListArray:
    """[r] lists of [n_segments + 1]: 0, then the end of each segment of the row."""
    ends = np.concatenate([[0], np.cumsum(lengths)])
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets) + 1)
    values = ends[np.arange(len(row)) - row] - ends[offsets[:-1]][row]
    return pa.ListArray.from_arrays((offsets + np.arange(len(offsets))).astype(np.int32), values.astype(np.int32))


def segments(rows: Rows, pieces: slice, columns: pa.Table) -> pa.StructArray:
    draw = pa.array(rows.draw[pieces])
    taken = columns.take(draw)
    values = {
        **{name: taken[name].combine_chunks() for name in ("document_id", "domain", "epoch")},
        "document_start": pa.array(rows.start[pieces].astype(np.int32)),
        "document_stop": pa.array(rows.stop[pieces].astype(np.int32)),
        "path_position": taken["place"].combine_chunks(),
        "similarity_to_previous": taken["similarity_to_previous"].combine_chunks(),
        "n_pad": pa.array(rows.n_pad[pieces].astype(np.int32)),
    }
    return pa.StructArray.from_arrays([values[f.name] for f in SEGMENT], names=[f.name for f in SEGMENT])
