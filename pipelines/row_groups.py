"""Which row groups of a Parquet file to read for some of its rows."""

from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq


def row_groups_with(rows: np.ndarray, file: pq.ParquetFile) -> Iterator[tuple[int, int, slice]]:
    """(number of the row group, its first row in the file, which of the rows are in it), of those that have any.

    rows: [n] of the file, ascending.
    """
    first = 0
    for number in range(file.num_row_groups):
        stop = first + file.metadata.row_group(number).num_rows
        begin, end = np.searchsorted(rows, [first, stop]).tolist()
        if begin < end:
            yield number, first, slice(begin, end)
        first = stop
