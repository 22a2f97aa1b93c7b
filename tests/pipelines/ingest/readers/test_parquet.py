"""Parquet is read batch by batch, and of its columns only those that are used."""

import pyarrow as pa

from tests.pipelines.inputs import good_rows, records, write_rows


def test_only_the_columns_that_are_used_are_read(tmp_path, monkeypatch):
    path = write_rows(tmp_path / "a.parquet", {**good_rows(range(5)), "big": pa.array(["x" * 1000] * 5)})
    asked = []
    kept = pa.parquet.ParquetFile.iter_batches
    monkeypatch.setattr(
        pa.parquet.ParquetFile, "iter_batches", lambda self, n, g, c, **k: asked.append(c) or kept(self, n, g, c, **k)
    )
    assert len(records(path, "parquet")) == 5
    assert {column for columns in asked for column in columns} == {"id", "text", "source"}
