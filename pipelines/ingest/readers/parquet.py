"""Parquet: one record per row. Only the columns that are used are read, batch by batch.

A batch has as many rows as decode to about BATCH_BYTES, by the headers of its pages: a dictionary page of one long text
may stand for millions of rows in a file of a few hundred bytes. A page is decompressed completely, so one of more than
MAX_PAGE_BYTES is refused before it is read.

Memory: one page of each column that is used, the values of one batch as Arrow and as Python objects, each at most twice
BATCH_BYTES or one page, and a dictionary three times. 30 MB were measured for texts of 200 kB, in pages of 1 MB or from
a dictionary.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.ingest.readers import rows
from pipelines.ingest.readers.columns import is_list
from pipelines.ingest.readers.pages import Pages, RowGroup, pages_of, row_groups
from pipelines.ingest.readers.record import Fault, Fields, File, Parsed, Record, Unusable, hash_of, rejected_file
from pipelines.ingest.readers.system import raise_system_error

BATCH_BYTES = 4 << 20
MAX_ROWS = 4096
MAX_PAGE_BYTES = 1 << 30  # decompressed; a writer that counts values writes pages of 500 MB of long books
MAX_DICTIONARY_BYTES = 1 << 28  # the same of a dictionary page; writers stop at 1 MB


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
        raise_system_error(error, file.path)
        raise Unusable("damaged_parquet", "its footer can't be read") from None


def records_of(parquet: pq.ParquetFile, columns: rows.Columns, file: File, fields: Fields) -> Iterator[Record]:
    """The records of all row groups. After a damaged or too large page, the rest of the file is one record with a fault."""
    first, names = 0, columns.names
    try:
        with open(file.path, "rb") as stream:
            groups = row_groups(stream, names)
        if len(groups) != parquet.num_row_groups:
            raise pa.ArrowInvalid("the footer is damaged")
    except rows.DAMAGE as error:
        raise_system_error(error, file.path)
        yield rest_of(file, 0, "damaged_parquet", "its footer can't be read")
        return
    for group in range(parquet.num_row_groups):
        batches = None
        while True:
            try:
                batches = batches or batches_of(parquet, (group, groups[group]), names, file)
                batch = next(batches, None)
                records = [] if batch is None else list(rows.records_of(batch, columns, file.name, first, fields))
            except Unusable as error:
                yield rest_of(file, first, error.reason, f"row group {group}: {error.detail}")
                return
            except rows.DAMAGE as error:
                raise_system_error(error, file.path)
                detail = f"row group {group} can't be read after row {first:,} of the file"
                yield rest_of(file, first, "damaged_parquet", detail)
                return
            if batch is None:
                break
            yield from records
            first += batch.num_rows


def rest_of(file: File, first: int, reason: str, detail: str) -> Record:
    """The rows of a file from row `first` on, as one rejected record."""
    return Record(file.name, first, b"", Fault(reason, detail, None, hash_of(b"")))


def batches_of(
    parquet: pq.ParquetFile, numbered: tuple[int, RowGroup], names: list[str], file: File
) -> Iterator[pa.RecordBatch]:
    """The rows of a row group, given with its number, in batches that decode to about BATCH_BYTES.

    Raises:
        Unusable: page_too_large.
    """
    group, about = numbered
    n_rows = batch_rows(about, group, file)
    return parquet.iter_batches(n_rows, [group], names, use_threads=False)


def batch_rows(about: RowGroup, group: int, file: File) -> int:
    """The number of rows that decode to at most about BATCH_BYTES anywhere in the group, from 1 to MAX_ROWS.

    Raises:
        Unusable: page_too_large.
    """
    sizes = []
    with open(file.path, "rb") as stream:
        for chunk in about.chunks:
            pages = pages_of(stream, chunk)
            check_sizes(pages, chunk.path_in_schema)
            longest = pages.dictionary_bytes
            if MAX_ROWS * longest > BATCH_BYTES:
                longest = longest_value(file, group, chunk.path_in_schema, longest)
            n_values = pages.n_values * (about.n_rows / max(1, chunk.num_values))  # of a list there are several
            sizes.append((n_values, pages.decoded(longest) * pages.n_values))
    n_rows = MAX_ROWS
    while n_rows > 1 and sum(most_bytes(*size, n_rows) for size in sizes) > BATCH_BYTES:
        n_rows //= 2
    return n_rows


def check_sizes(pages: Pages, column: str) -> None:
    """
    Raises:
        Unusable: page_too_large.
    """
    for n_bytes, limit in ((pages.dictionary_bytes, MAX_DICTIONARY_BYTES), (pages.largest_bytes, MAX_PAGE_BYTES)):
        if n_bytes > limit:
            raise Unusable(
                "page_too_large",
                f"a page of column {column!r} decompresses to {n_bytes:,} bytes, more than {limit:,}; write the file "
                "again with smaller pages",
            )


def most_bytes(n_rows: np.ndarray, n_bytes: np.ndarray, window: int) -> float:
    """The most bytes of `window` neighbouring rows, if the rows of a page are of equal length.

    Args:
        n_rows, n_bytes: [p] rows of each page and what they decode to.
    """
    ends = np.concatenate([[0], np.cumsum(n_rows)])
    starts = np.concatenate([ends, ends - window]).clip(0, max(0.0, ends[-1] - window))
    before = np.concatenate([[0], np.cumsum(n_bytes)])
    return float(np.max(np.interp(starts + window, ends, before) - np.interp(starts, ends, before)))


def longest_value(file: File, group: int, column: str, unknown: int) -> int:
    """Bytes of the longest value in the dictionary of a string column; `unknown` if pyarrow does not give the dictionary.

    Reads the dictionary page and one data page. The dictionary is held three times.
    """
    with pq.ParquetFile(file.path, pre_buffer=False, buffer_size=1 << 20, read_dictionary=[column]) as parquet:
        batch = next(parquet.iter_batches(1, [group], [column], use_threads=False), None)
    dictionaries = [] if batch is None else [d for array in batch.columns for d in dictionaries_in(array)]
    if not dictionaries:
        return unknown
    return max(int(pc.max(pc.binary_length(dictionary)).as_py() or 0) for dictionary in dictionaries)


def dictionaries_in(array: pa.Array) -> Iterator[pa.Array]:
    """The dictionaries of strings in a column, nested ones included."""
    if pa.types.is_dictionary(array.type):
        yield array.dictionary
    elif pa.types.is_struct(array.type):
        for i in range(array.type.num_fields):
            yield from dictionaries_in(array.field(i))
    elif is_list(array.type):
        yield from dictionaries_in(array.values)
