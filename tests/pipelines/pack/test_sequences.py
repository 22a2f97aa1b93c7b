"""SEQUENCES of rows by hand, and in several row groups."""

import numpy as np
import pyarrow as pa

from pipelines.pack.packers import Rows
from pipelines.pack.sequences import ROW_GROUP_ROWS, sequences
from schemas.conform import conform
from schemas.tables import SEQUENCES

COLUMNS = pa.table(
    {
        "document_id": ["x", "y"], "domain": ["a", "b"], "epoch": pa.array([0, 1], pa.int32()),
        "place": pa.array([7, None], pa.int64()), "similarity_to_previous": pa.array([0.5, None], pa.float32()),
    }
)  # fmt: skip


def made(tmp_path, number, rows, tokens, pads=()):
    flat = tmp_path / "flat"
    np.array(tokens, "<i4").tofile(flat)
    tables = list(sequences(number, rows, COLUMNS, pads, flat))
    return tables, conform(pa.concat_tables(tables), SEQUENCES, "SEQUENCES").to_pylist()


def segment(draw, start, stop, n_pad=0):
    values = {name: column[draw] for name, column in COLUMNS.to_pydict().items()}
    place = values.pop("place")
    return values | {"document_start": start, "document_stop": stop, "path_position": place, "n_pad": n_pad}


def test_rows_by_hand(tmp_path):
    """Two rows; the pad tokens are 90 and 91, and the file has zeros in their places."""
    arrays = [np.array(a) for a in ([0, 1, 0], [0, 5, 2], [2, 6, 5], [0, 2, 3], [1, 2, 0], [0, 1, 0])]
    _, rows = made(tmp_path, 3, Rows(*arrays), [10, 11, 0, 20, 0, 0, 12, 13, 14], [90, 91])
    assert rows == [
        {
            "sequence_id": 3 << 32, "input_ids": [10, 11, 90, 20, 91, 91], "n_tokens": 6, "cu_seqlens": [0, 3, 6],
            "segments": [segment(0, 0, 2, 1), segment(1, 5, 6, 2)],
        },
        {
            "sequence_id": (3 << 32) + 1, "input_ids": [12, 13, 14], "n_tokens": 3, "cu_seqlens": [0, 3],
            "segments": [segment(0, 2, 5)],
        },
    ]  # fmt: skip


def test_many_rows_are_several_row_groups(tmp_path):
    n = 2 * ROW_GROUP_ROWS + 3
    rng = np.random.default_rng(0)
    n_pad = rng.integers(0, 3, n)
    lengths = rng.integers(1, 5, n)
    rows = Rows(np.arange(n) % 2, np.zeros(n, int), lengths, np.arange(n + 1), n_pad, np.zeros(n, int))
    tokens = [[1_000 * (i + 1) + t if t < lengths[i] else 0 for t in range(lengths[i] + n_pad[i])] for i in range(n)]
    tables, made_rows = made(tmp_path, 0, rows, [t for each in tokens for t in each], [7])
    assert [len(table) for table in tables] == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 3]
    assert [row["sequence_id"] for row in made_rows] == list(range(n))
    assert [row["input_ids"] for row in made_rows] == [[t or 7 for t in each] for each in tokens]
