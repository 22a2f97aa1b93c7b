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

from schemas.errors import RecipeError

LOG = "_delta_log"
ENTRY = re.compile(r"(\d{20})\.json")
REMEDY = "export its current rows as Parquet and set path to these"


def current_files(folder: str) -> list[str]:
    """The names of the files of a table, relative to its folder, sorted.

    Raises:
        RecipeError: the log does not say which rows are current without more than JSON and Parquet.
    """
    files = set()
    for action in actions(folder):
        added, removed, metadata = (action.get(name) for name in ("add", "remove", "metaData"))
        if removed:
            files.discard(unquote(removed["path"]))
        if added:
            name = unquote(added["path"])
            if added.get("deletionVector"):
                raise refused(folder, "some of its rows are deleted by a vector")
            if "://" in name or name.startswith("/") or ".." in name.split("/"):
                raise refused(folder, "it has files outside its folder")
            files.add(name)
        if metadata and (metadata.get("configuration") or {}).get("delta.columnMapping.mode", "none") != "none":
            raise refused(folder, "its columns have other names in its files")
    return sorted(files)


def actions(folder: str) -> Iterator[dict[str, Any]]:
    """The actions of all versions, in order.

    Raises:
        RecipeError: a version is missing, or an entry can't be read.
    """
    entries = sorted(path for path in (Path(folder) / LOG).iterdir() if ENTRY.fullmatch(path.name))
    if not entries or [int(path.stem) for path in entries] != list(range(len(entries))):
        raise refused(folder, "the beginning of its log is in checkpoints alone, or a version is missing")
    for path in entries:
        try:
            with open(path, "rb") as lines:
                for line in lines:
                    if line.strip():
                        yield msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise refused(folder, f"{path.name} of its log can't be read") from None


def refused(folder: str, why: str) -> RecipeError:
    return RecipeError(f"{folder}: a Delta table, and {why}; {REMEDY}")
