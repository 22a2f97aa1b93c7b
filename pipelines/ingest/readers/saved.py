"""Arrow IPC streams and files, memory-mapped: what save_to_disk writes, the cache of `datasets`, and Feather.

The `datasets` package is not needed: no cache is written and no code of the dataset runs. Memory: one mapped batch; of a
file with compressed buffers, as Feather has by default, one decompressed batch. Arrow trusts a file, so that a damaged one
would end the process: before a batch is read its messages are checked (messages.py), and then its buffers (sound.py).
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from pipelines.ingest.readers import messages, rows, sound
from pipelines.ingest.readers.columns import roots_of
from pipelines.ingest.readers.names import is_inside
from pipelines.ingest.readers.record import (
    Fault,
    Fields,
    File,
    Parsed,
    Record,
    Unusable,
    hash_of,
    rejected_file,
)
from pipelines.ingest.readers.system import raise_lack, raise_system_error
from pipelines.ingest.readers.values import listed
from schemas.errors import RecipeError

BATCH_ROWS = 64
END = b"\xff\xff\xff\xff\0\0\0\0"  # of an Arrow IPC stream
FILE_MAGIC = b"ARROW1"  # of an Arrow IPC file, at both ends
INFO = "dataset_info.json"  # in a folder of the cache
CACHED = re.compile(
    r"^(?!cache-)(?:.*-)?([A-Za-z]\w*?)(?:-\d{5}-of-\d{5})?\.arrow$"
)  # NAME-SPLIT.arrow, or a part of it


class Saved:
    suffixes = (".arrow", ".feather")
    may_be_compressed = False

    def members(self, folder: str, split: str | None) -> list[str] | None:
        """The files listed in state.json, or those of a split of the cache, relative to the folder.

        Raises:
            RecipeError: no split chosen of several, or a dataset that must be saved again.
        """
        root = Path(folder)
        if not is_saved(folder):
            return cached(root, split)
        prefix = ""
        if (root / "dataset_dict.json").is_file():
            splits = names_in(root / "dataset_dict.json", "splits")
            check_names(root / "dataset_dict.json", splits, "a split")
            prefix = f"{chosen(split, splits, folder)}/"
        state = root / prefix / "state.json"
        names = names_in(state, "_data_files", "filename")
        if any(names_in(state, key, "filename") for key in ("_indices_data_files", "_indices_files")):
            raise RecipeError(f"{state}: selects rows by an index; call flatten_indices() and save the dataset again")
        check_names(state, names, "a file")
        return [prefix + name for name in names]

    def schema_error(self, file: File, fields: Fields) -> Unusable | None:
        try:
            with opened(file) as table:
                rows.columns_of(table.schema, fields)
        except Unusable as error:
            return error
        except rows.DAMAGE as error:
            raise_system_error(error, file.path)
            return Unusable("damaged_arrow", "its schema can't be read")
        return None

    def records(self, file: File, fields: Fields) -> Iterator[Record]:
        """Maps the file into memory and holds BATCH_ROWS rows."""
        if error := self.schema_error(file, fields):
            yield rejected_file(file, error)
            return
        with opened(file) as table:
            columns, first = rows.columns_of(table.schema, fields), 0
            try:
                for batch in batches(file, table, columns.names):
                    records = list(rows.records_of(batch, columns, file.name, first, fields))
                    first += batch.num_rows
                    yield from records
                if not has_end(file):
                    yield damaged(file, first)
            except Unusable as error:
                yield Record(file.name, first, b"", Fault(error.reason, error.detail, None, hash_of(b"")))
            except rows.DAMAGE as damage:
                raise_system_error(damage, file.path)
                yield damaged(file, first)

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        return rows.parser(fields)


@contextmanager
def opened(file: File) -> Iterator[pa.RecordBatchReader | pa.RecordBatchFileReader]:
    """The file as a table in batches, by its first bytes a stream or a file of Arrow IPC."""
    if not os.path.getsize(file.path):  # noqa: PTH202 as in listing.py
        raise pa.ArrowInvalid("an empty file, which cannot be mapped")
    with pa.memory_map(file.path) as source:
        is_file = source.read(len(FILE_MAGIC)) == FILE_MAGIC
        source.seek(0)
        with pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source) as table:
            yield table


def batches(
    file: File, table: pa.RecordBatchReader | pa.RecordBatchFileReader, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The table in batches of at most BATCH_ROWS, each a view of the mapped file.

    names: the columns that are used, which are checked.

    Raises:
        ArrowInvalid: the file is damaged here.
        Unusable: page_too_large.
    """
    with open(file.path, "rb") as stream:
        for i, _ in enumerate(messages.checked_batches(stream)):
            batch = batch_of(table, i)
            for column in roots_of(batch, names):
                sound.check(column)
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def batch_of(table: pa.RecordBatchReader | pa.RecordBatchFileReader, i: int) -> pa.RecordBatch:
    """Batch i of a file, or the next one of a stream."""
    if isinstance(table, pa.RecordBatchFileReader):
        return table.get_batch(i)
    try:
        return table.read_next_batch()
    except StopIteration:
        raise pa.ArrowInvalid("the stream ends before its last message") from None


def n_rows(file: File) -> int:
    """The rows of a file by its messages, up to the first that is damaged."""
    n = 0
    with open(file.path, "rb") as stream, suppress(pa.ArrowInvalid, Unusable):
        for rows_of_batch in messages.checked_batches(stream):
            n += rows_of_batch
    return n


def damaged(file: File, n_rows: int) -> Record:
    """The rest of a file of which `n_rows` rows were read."""
    detail = f"can't be read after row {n_rows:,} of the file"
    return Record(file.name, n_rows, b"", Fault("damaged_arrow", detail, None, hash_of(b"")))


def has_end(file: File) -> bool:
    """Whether the file ends as a stream or a file of Arrow IPC does. Without it the file may have been truncated between two batches."""
    with open(file.path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - len(END)))
        end = stream.read()
    return end == END or end.endswith(FILE_MAGIC)


def is_saved(folder: str) -> bool:
    """Whether save_to_disk wrote the folder."""
    names = ("state.json", "dataset_dict.json")
    return any(os.path.isfile(os.path.join(folder, name)) for name in names)  # noqa: PTH113, PTH118 a lack shows later


def cached(root: Path, split: str | None) -> list[str] | None:
    """The files of a split in a folder of the cache of `datasets`; None where the folder is not one."""
    if not os.path.isfile(root / INFO):  # noqa: PTH113 as in is_saved
        return None
    names = {path.name: match[1] for path in sorted(root.iterdir()) if (match := CACHED.match(path.name))}
    if not names:
        return None
    split = chosen(split, sorted(set(names.values())), str(root))
    return [name for name, own in names.items() if own == split]


def chosen(split: str | None, splits: list[str], folder: str) -> str:
    """
    Raises:
        RecipeError: no split is chosen of several, or one that is missing.
    """
    if split is None and len(splits) == 1:
        return splits[0]
    if split not in splits:
        raise RecipeError(f"{folder}: split is {split}; set it to one of {listed(splits)}")
    return split


def check_names(path: Path, names: list[str], what: str) -> None:
    """
    Raises:
        RecipeError: one of the names in the file at `path` is not that of something directly in its folder.
    """
    outside = [name for name in names if "/" in name or not is_inside(name)]
    if outside:
        raise RecipeError(f"{path}: names {what} outside its folder: {outside[0][:80]!a}; save the dataset again")


def names_in(path: Path, key: str, field: str | None = None) -> list[str]:
    """A list of names in a JSON file of the dataset; empty if the key is missing.

    Raises:
        RecipeError: the file is missing or damaged.
    """
    try:
        items = json.loads(path.read_bytes()).get(key) or []
        return [str(item[field] if field else item) for item in items]
    except (OSError, ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise_lack(error, str(path))
        raise RecipeError(
            f"{path}: not what save_to_disk writes ({type(error).__name__}); save the dataset again"
        ) from None
