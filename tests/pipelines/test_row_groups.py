import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.row_groups import row_groups_with


@pytest.mark.parametrize("rows", [[], [0], [3, 4], [2, 3, 3, 9], [0, 5, 6, 7, 10], list(range(11)), [10]])
def test_row_groups_are_those_that_have_a_row(tmp_path, rows):
    """Groups of 4, 4 and 3 rows; a row may be asked for twice, as by two pieces of a document."""
    pq.write_table(pa.table({"x": np.arange(11)}), tmp_path / "x.parquet", row_group_size=4)
    rows = np.array(rows, np.int64)
    with pq.ParquetFile(tmp_path / "x.parquet") as file:
        found = list(row_groups_with(rows, file))
        read = [file.read_row_group(number)["x"].to_numpy()[rows[own] - first] for number, first, own in found]
    assert [number for number, _, _ in found] == sorted(set((rows // 4).tolist()))
    assert np.concatenate([np.empty(0, np.int64), *read]).tolist() == rows.tolist()
