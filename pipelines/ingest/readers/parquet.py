"""Parquet: one record per row. Only the columns that are used are read, batch by batch.

The page of a value is decoded completely before the size of the value is checked.
"""

from collections.abc import Callable, Iterator

import pyarrow.parquet as pq

from pipelines.ingest.readers import rows
from pipelines.ingest.readers.record import Fault, Fields, File, Parsed, Record, Unusable, hash_of, rejected_file

BATCH_BYTES = 4 << 20
MAX_ROWS = 4096


class Parquet:
    suffixes = (".parquet", ".pq")
    may_be_compressed = False

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def schema_error(self, file: File, fields: Fields) -> Unusable | None:
        try:
            with open_parquet(file) as parquet:
                rows.columns_of(parquet.schema_arrow, fields)
        except Unusable as error:
            return error
        return None

    def records(self, file: File, fields: Fields) -> Iterator[Record]:
        """Holds one batch of about BATCH_BYTES and one page in memory."""
        try:
            parquet = open_parquet(file)
        except Unusable as error:
            yield rejected_file(file, error)
            return
        with parquet:
            try:
                columns = rows.columns_of(parquet.schema_arrow, fields)
            except Unusable as error:
                yield rejected_file(file, error)
                return
            yield from records_of(parquet, columns, file, fields)

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        return rows.parser(fields)


def open_parquet(file: File) -> pq.ParquetFile:
    """
    Raises:
        Unusable: damaged_parquet.
        OSError: the operating system refused to open the file.
    """
    try:
        return pq.ParquetFile(file.path, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True)
    except rows.DAMAGE as error:
        rows.raise_system_error(error)
        raise Unusable("damaged_parquet", "its footer can't be read") from None


def records_of(parquet: pq.ParquetFile, columns: dict[str, str], file: File, fields: Fields) -> Iterator[Record]:
    """The records of all row groups. After a damaged page, the rest of the file is one record with a fault."""
    first = 0
    for group in range(parquet.num_row_groups):
        metadata = parquet.metadata.row_group(group)
        batch_rows = max(1, min(MAX_ROWS, BATCH_BYTES * max(1, metadata.num_rows) // max(1, metadata.total_byte_size)))
        batches = parquet.iter_batches(batch_rows, [group], sorted(set(columns.values())), use_threads=False)
        while True:
            try:
                batch = next(batches, None)
                records = [] if batch is None else list(rows.records_of(batch, columns, file.name, first, fields))
            except rows.DAMAGE as error:
                rows.raise_system_error(error)
                detail = f"row group {group} can't be read after row {first:,} of the file"
                yield Record(file.name, first, b"", Fault("damaged_parquet", detail, None, hash_of(b"")))
                return
            if batch is None:
                break
            yield from records
            first += batch.num_rows
