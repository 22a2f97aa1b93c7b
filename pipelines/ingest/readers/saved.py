"""A Hugging Face dataset written by save_to_disk: Arrow IPC streams, memory-mapped.

The `datasets` package is not needed: no cache is written and no code of the dataset runs. Memory: one mapped batch.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from pipelines.ingest.readers import rows
from pipelines.ingest.readers.record import Fault, Fields, File, Parsed, Record, Unusable, hash_of, rejected_file
from pipelines.ingest.readers.system import raise_lack, raise_system_error
from schemas.errors import RecipeError

BATCH_ROWS = 64
END = b"\xff\xff\xff\xff\0\0\0\0"  # of an Arrow IPC stream


class Saved:
    suffixes = (".arrow",)
    may_be_compressed = False

    def members(self, folder: str, split: str | None) -> list[str] | None:
        """The files listed in state.json, relative to the folder.

        Raises:
            RecipeError: not a saved dataset, no split chosen of several, or a dataset that must be saved again.
        """
        root = Path(folder)
        prefix = ""
        if (root / "dataset_dict.json").is_file():
            splits = names_in(root / "dataset_dict.json", "splits")
            if split is None and len(splits) == 1:
                split = splits[0]
            if split not in splits:
                raise RecipeError(f"{folder}: split is {split}; set it to one of {', '.join(splits)}")
            prefix = f"{split}/"
        state = root / prefix / "state.json"
        names = names_in(state, "_data_files", "filename")
        if any(names_in(state, key, "filename") for key in ("_indices_data_files", "_indices_files")):
            raise RecipeError(f"{state}: selects rows by an index; call flatten_indices() and save the dataset again")
        outside = [name for name in names if "/" in name or os.sep in name or name in ("", ".", "..")]
        if outside:
            raise RecipeError(f"{state}: names a file outside its folder: {outside[0]!r}; save the dataset again")
        return [prefix + name for name in names]

    def schema_error(self, file: File, fields: Fields) -> Unusable | None:
        try:
            with pa.memory_map(file.path) as source, pa.ipc.open_stream(source) as stream:
                rows.columns_of(stream.schema, fields)
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
        with pa.memory_map(file.path) as source, pa.ipc.open_stream(source) as stream:
            columns, first = rows.columns_of(stream.schema, fields), 0
            try:
                for batch in batches(stream):
                    records = list(rows.records_of(batch, columns, file.name, first, fields))
                    first += batch.num_rows
                    yield from records
                if not has_end(file):
                    yield damaged(file, first)
            except rows.DAMAGE as damage:
                raise_system_error(damage, file.path)
                yield damaged(file, first)

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        return rows.parser(fields)


def batches(stream: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The stream in batches of at most BATCH_ROWS, each a view of the mapped file."""
    for batch in stream:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS)


def damaged(file: File, n_rows: int) -> Record:
    """The rest of a file of which `n_rows` rows were read."""
    detail = f"can't be read after row {n_rows:,} of the file"
    return Record(file.name, n_rows, b"", Fault("damaged_arrow", detail, None, hash_of(b"")))


def has_end(file: File) -> bool:
    """Whether the stream ends with END. Without it the file may have been truncated between two batches."""
    with open(file.path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - len(END)))
        return stream.read() == END


def names_in(path: Path, key: str, field: str | None = None) -> list[str]:
    """A list of names in a JSON file of the dataset; empty if the key is missing.

    Raises:
        RecipeError: the file is missing or damaged.
    """
    try:
        items = json.loads(path.read_bytes()).get(key) or []
        return [str(item[field] if field else item) for item in items]
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise_lack(error, str(path))
        raise RecipeError(
            f"{path}: not what save_to_disk writes ({type(error).__name__}); save the dataset again"
        ) from None
