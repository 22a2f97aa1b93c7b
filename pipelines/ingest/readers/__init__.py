"""The formats that raw text comes in: one file a format. A new one is a class here and a name in READERS."""

from collections.abc import Callable, Iterator
from typing import Protocol

from pipelines.ingest.readers.hub import Hub
from pipelines.ingest.readers.jsonl import Jsonl
from pipelines.ingest.readers.parquet import Parquet
from pipelines.ingest.readers.record import File, Found, Record, Unusable, Wanted
from pipelines.ingest.readers.saved import Saved
from pipelines.ingest.readers.text import Text


class Reader(Protocol):
    """One format. `records` and `parser` are apart so that what was parsed before is never parsed again."""

    @property
    def suffixes(self) -> tuple[str, ...]: ...  # of its files; .gz and .zst come after them

    def members(self, folder: str, split: str | None) -> list[str] | None:
        """The files that count, relative to the folder, where the format keeps a list of them; else None."""
        ...

    def misfit(self, file: File, wanted: Wanted) -> Unusable | None:
        """Why none of the file's records can be used, as far as its schema tells."""
        ...

    def records(self, file: File, wanted: Wanted) -> Iterator[Record]:
        """Every record of the file, in order; where it can't be read on, the rest as one record with a fault.

        Raises:
            OSError: the system refused.
        """
        ...

    def parser(self, wanted: Wanted) -> Callable[[bytes], Found]:
        """A function from a record's bytes to what is used of it. It raises Unusable, and nothing else."""
        ...


READERS: dict[str, Reader] = {
    "jsonl": Jsonl(),
    "parquet": Parquet(),
    "text": Text(),
    "hf": Saved(),
    "hub": Hub(),
}
