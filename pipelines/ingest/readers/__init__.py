"""The input formats, one file each. To add one, write a class here with the methods of Reader and name it in READERS."""

from collections.abc import Callable, Iterator
from typing import Protocol

from pipelines.ingest.readers.hub import Hub
from pipelines.ingest.readers.jsonl import Jsonl
from pipelines.ingest.readers.parquet import Parquet
from pipelines.ingest.readers.record import Fields, File, Parsed, Record, Unusable
from pipelines.ingest.readers.saved import Saved
from pipelines.ingest.readers.text import Text


class Reader(Protocol):
    """One format. Reading and parsing are separate, so that records that were parsed before are not parsed again."""

    @property
    def suffixes(self) -> tuple[str, ...]: ...  # of its files, without .gz or .zst

    @property
    def may_be_compressed(self) -> bool: ...  # whether a .gz, .zst or .zstd may follow the suffix

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
    "text": Text(),
    "hf": Saved(),
    "hub": Hub(),
}
