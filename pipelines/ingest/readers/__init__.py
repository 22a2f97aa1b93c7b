"""The input formats, one file each. To add one, write a class here with the methods of Reader and name it in READERS."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import pyarrow.parquet as pq

from pipelines.ingest.readers import contents, json_values, saved, streams
from pipelines.ingest.readers.csv_rows import Csv
from pipelines.ingest.readers.hub import Hub
from pipelines.ingest.readers.jsonl import Jsonl
from pipelines.ingest.readers.parquet import Parquet
from pipelines.ingest.readers.record import Fields, File, Meter, Parsed, Record, Unusable, rejected_file
from pipelines.ingest.readers.saved import Saved
from pipelines.ingest.readers.system import system_errors as system_errors  # for forecasts
from pipelines.ingest.readers.text import Text


class Reader(Protocol):
    """One format. Reading and parsing are separate, so that records that were parsed before are not parsed again."""

    @property
    def suffixes(self) -> tuple[str, ...]: ...  # of its files, without that of a compression

    @property
    def may_be_compressed(self) -> bool: ...  # whether .gz, .zst, .zstd, .xz or .bz2 may follow the suffix

    def members(self, folder: str, split: str | None) -> list[str] | None:
        """The files of a dataset, relative to its folder, if the format keeps a list of them; else None."""
        ...

    def schema_error(self, file: File, fields: Fields) -> Unusable | None:
        """Why the file's schema rules out every record of it; None if it does not, or if there is no schema."""
        ...

    def records(self, file: File, fields: Fields) -> Iterator[Record]:
        """All records of the file, in order. After an unreadable position, the rest is one record with a fault.

        Raises:
            OSError: the operating system refused to read the file.
        """
        ...

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        """A function that parses the bytes of a record. It raises Unusable and nothing else."""
        ...


READERS: dict[str, Reader] = {
    "jsonl": Jsonl(),
    "parquet": Parquet(),
    "csv": Csv(),
    "text": Text(),
    "hf": Saved(),
    "hub": Hub(),
}


def records_of(kind: str, file: File, fields: Fields) -> Iterator[Record]:
    """All records of a file of a format, after a look at what the file really is.

    Raises:
        OSError: the operating system refused to read the file.
    """
    read = READERS[kind].records
    if kind != "hub":
        raw, content = contents.heads_of(file)
        if error := contents.disguise(kind, raw, content):
            yield rejected_file(file, error)
            return
        read = json_values.records if kind == "jsonl" and json_values.spans_lines(content) else read
    meter = Meter()
    for record in read(replace(file, meter=meter), fields):
        meter.n_bytes -= len(record.raw)
        yield record


def schema_error(kind: str, file: File, fields: Fields) -> Unusable | None:
    """Why no record of the file can be used, as far as its first bytes and its schema show; else None.

    Raises:
        OSError: the operating system refused to read the file.
    """
    error = None if kind == "hub" else contents.disguise(kind, *contents.heads_of(file))
    return error or READERS[kind].schema_error(file, fields)


def part_before(kind: str, file: File, record: Record) -> float:
    """About which part of the file ends with the record: by rows, or by bytes of the file as it lies on the disk."""
    if kind == "parquet":
        return min(1.0, (record.offset + 1) / max(1, pq.read_metadata(file.path).num_rows))
    if kind == "hf":
        return min(1.0, (record.offset + 1) / max(1, saved.n_rows(file)))
    return streams.part_before(file, record.offset + len(record.raw))
