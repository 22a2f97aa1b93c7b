"""A Hugging Face dataset that save_to_disk wrote: Arrow streams, read as they lie.

`datasets` itself is not needed: no cache is written, no code of the dataset's runs, and memory is one mapped batch.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from pipelines.ingest.readers import rows
from pipelines.ingest.readers.record import Fault, File, Found, Record, Unusable, Wanted, hash_of, whole_file
from schemas.errors import RecipeError

BATCH_ROWS = 64
END = b"\xff\xff\xff\xff\0\0\0\0"  # of an Arrow stream


class Saved:
    suffixes = (".arrow",)

    def members(self, folder: str, split: str | None) -> list[str] | None:
        """The files that state.json lists, relative to the folder.

        Raises:
            RecipeError: it is no saved dataset, has several splits and none is named, or can't be read as it lies.
        """
        root = Path(folder)
        prefix = ""
        if (root / "dataset_dict.json").is_file():
            splits = listed(root / "dataset_dict.json", "splits")
            if split is None and len(splits) == 1:
                split = splits[0]
            if split not in splits:
                raise RecipeError(f"{folder}: split is {split}; name one of {', '.join(splits)}")
            prefix = f"{split}/"
        state = root / prefix / "state.json"
        names = listed(state, "_data_files", "filename")
        if any(listed(state, key, "filename") for key in ("_indices_data_files", "_indices_files")):
            raise RecipeError(f"{state}: it selects rows by an index; save it again after flatten_indices()")
        outside = [name for name in names if "/" in name or os.sep in name or name in ("", ".", "..")]
        if outside:
            raise RecipeError(f"{state}: names a file outside its folder: {outside[0]!r}; save the dataset again")
        return [prefix + name for name in names]

    def misfit(self, file: File, wanted: Wanted) -> Unusable | None:
        try:
            with pa.memory_map(file.path) as source, pa.ipc.open_stream(source) as stream:
                rows.columns_of(stream.schema, wanted)
        except Unusable as why:
            return why
        except rows.DAMAGE as error:
            rows.not_the_system(error)
            return Unusable("damaged_arrow", "its schema can't be read")
        return None

    def records(self, file: File, wanted: Wanted) -> Iterator[Record]:
        """The file is mapped, not read into memory; holds BATCH_ROWS rows."""
        if why := self.misfit(file, wanted):
            yield whole_file(file, why)
            return
        with pa.memory_map(file.path) as source, pa.ipc.open_stream(source) as stream:
            names, at = rows.columns_of(stream.schema, wanted), 0
            try:
                for part in parts(stream):
                    records = list(rows.rows(part, names, file.name, at, wanted))
                    at += part.num_rows
                    yield from records
                if not ends_well(file):
                    yield broken(file, at)
            except rows.DAMAGE as error:
                rows.not_the_system(error)
                yield broken(file, at)

    def parser(self, wanted: Wanted) -> Callable[[bytes], Found]:
        return rows.parser(wanted)


def parts(stream: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The stream's batches in parts of BATCH_ROWS, each a view of the mapped file."""
    for batch in stream:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS)


def broken(file: File, at: int) -> Record:
    detail = f"can't be read after row {at:,} of the file"
    return Record(file.name, at, b"", Fault("damaged_arrow", detail, None, hash_of(b"")))


def ends_well(file: File) -> bool:
    """Whether the stream has its end mark: without it the file may have been cut between two batches."""
    with open(file.path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - len(END)))
        return stream.read() == END


def listed(path: Path, key: str, field: str | None = None) -> list[str]:
    """A list of names in a JSON file of the dataset's; empty where there is none.

    Raises:
        RecipeError: the file is missing or damaged.
    """
    try:
        found = json.loads(path.read_bytes()).get(key) or []
        return [str(item[field] if field else item) for item in found]
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise RecipeError(
            f"{path}: not what save_to_disk writes ({type(error).__name__}); save the dataset again"
        ) from None
