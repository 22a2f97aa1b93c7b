"""The files of a Delta table's newest version, by its log: those that were added and not removed since.

Only a log that is complete in JSON is read. A table whose files need more than their Parquet (rows deleted by a vector,
columns under other names) is refused.

Source: PROTOCOL.md in delta-io/delta, "Delta Log Entries" and "Actions".
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from pipelines.ingest.readers.names import is_inside
from pipelines.ingest.readers.system import raise_lack
from schemas.errors import RecipeError

LOG = "_delta_log"
ENTRY = re.compile(r"(\d{20})\.json")
REMEDY = "export its current rows as Parquet and set path to these"


class LoggedFile(msgspec.Struct):
    """A file that a version adds or removes."""

    path: str  # relative to the table's folder, URL-encoded
    deletion_vector: Any = msgspec.field(default=None, name="deletionVector")


class Metadata(msgspec.Struct):
    configuration: dict[str, Any] | None = None


class Action(msgspec.Struct):
    """A line of the log; other actions have none of these."""

    add: LoggedFile | None = None
    remove: LoggedFile | None = None
    metadata: Metadata | None = msgspec.field(default=None, name="metaData")


def current_files(folder: str) -> list[str]:
    """The names of the files of a table, relative to its folder, sorted.

    Raises:
        RecipeError: the log does not say which rows are current without more than JSON and Parquet.
    """
    files = set()
    for action in actions(folder):
        if action.remove:
            files.discard(unquote(action.remove.path))
        if action.add:
            name = unquote(action.add.path)
            if action.add.deletion_vector:
                raise refused(folder, "some of its rows are deleted by a vector")
            if "://" in name or not is_inside(name):
                raise refused(folder, "it has files outside its folder")
            files.add(name)
        if action.metadata:
            configuration = action.metadata.configuration or {}
            if configuration.get("delta.columnMapping.mode", "none") != "none":
                raise refused(folder, "its columns have other names in its files")
    return sorted(files)


def actions(folder: str) -> Iterator[Action]:
    """The actions of all versions, in order.

    Raises:
        RecipeError: a version is missing, or an entry can't be read.
    """
    entries = sorted(path for path in (Path(folder) / LOG).iterdir() if ENTRY.fullmatch(path.name))
    if not entries or [int(path.stem) for path in entries] != list(range(len(entries))):
        raise refused(folder, "the beginning of its log is in checkpoints alone, or a version is missing")
    decode = msgspec.json.Decoder(Action).decode
    for path in entries:
        if not path.is_file():  # to open a pipe would wait for ever
            raise refused(folder, f"{path.name} of its log is no file")
        try:
            with open(path, "rb") as lines:
                for line in lines:
                    if line.strip():
                        yield decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OSError) as error:
            raise_lack(error, str(path))
            raise refused(folder, f"{path.name} of its log can't be read") from None


def refused(folder: str, why: str) -> RecipeError:
    return RecipeError(f"{folder}: a Delta table, and {why}; {REMEDY}")
