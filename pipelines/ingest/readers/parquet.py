"""Parquet: a row is a record. Only the columns that are used are read, batch by batch.

A value is held whole, with its page, before it can be found too large.
"""

from collections.abc import Callable, Iterator

import pyarrow.parquet as pq

from pipelines.ingest.readers import rows
from pipelines.ingest.readers.record import Fault, File, Found, Record, Unusable, Wanted, hash_of, whole_file

BATCH_BYTES = 4 << 20
MAX_ROWS = 4096


class Parquet:
    suffixes = (".parquet", ".pq")

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def misfit(self, file: File, wanted: Wanted) -> Unusable | None:
        try:
            with opened(file) as parquet:
                rows.columns_of(parquet.schema_arrow, wanted)
        except Unusable as why:
            return why
        return None

    def records(self, file: File, wanted: Wanted) -> Iterator[Record]:
        """Holds one batch of about BATCH_BYTES, and one page."""
        try:
            parquet = opened(file)
        except Unusable as why:
            yield whole_file(file, why)
            return
        with parquet:
            try:
                names = rows.columns_of(parquet.schema_arrow, wanted)
            except Unusable as why:
                yield whole_file(file, why)
                return
            yield from records_of(parquet, names, file, wanted)

    def parser(self, wanted: Wanted) -> Callable[[bytes], Found]:
        return rows.parser(wanted)


def opened(file: File) -> pq.ParquetFile:
    """
    Raises:
        Unusable: damaged_parquet.
        OSError: the file can't be opened.
    """
    try:
        return pq.ParquetFile(file.path, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True)
    except rows.DAMAGE as error:
        rows.not_the_system(error)
        raise Unusable("damaged_parquet", "its footer can't be read") from None


def records_of(parquet: pq.ParquetFile, names: dict[str, str], file: File, wanted: Wanted) -> Iterator[Record]:
    """Row group by row group; what follows a damaged page is one record."""
    at = 0
    for group in range(parquet.num_row_groups):
        shape = parquet.metadata.row_group(group)
        batch_rows = max(1, min(MAX_ROWS, BATCH_BYTES * max(1, shape.num_rows) // max(1, shape.total_byte_size)))
        batches = parquet.iter_batches(batch_rows, [group], sorted(set(names.values())), use_threads=False)
        while True:
            try:
                batch = next(batches, None)
                found = [] if batch is None else rows.rows(batch, names, file.name, at, wanted)
                records = list(found)
            except rows.DAMAGE as error:
                rows.not_the_system(error)
                detail = f"row group {group} can't be read after row {at:,} of the file"
                yield Record(file.name, at, b"", Fault("damaged_parquet", detail, None, hash_of(b"")))
                return
            if batch is None:
                break
            yield from records
            at += batch.num_rows
