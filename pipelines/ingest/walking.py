"""The files under a folder, by name. Hidden ones, links that leave the source and output of longmix are not among them."""
# ruff: noqa: PTH112, PTH113, PTH114, PTH116, PTH118, PTH119, PTH120  # strings: Paths of a million files are slow

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from pipelines.ingest import delta
from pipelines.ingest.readers.record import File
from pipelines.ingest.readers.system import raise_lack

ROOT_MARKS = {"actions", "shards"}  # folders that every root has
VERSION_MARKS = {"manifest.json", "catalog.duckdb"}  # of a published version, which may be copied anywhere
OUTPUTS = {  # what longmix writes in a root; of a root that has other files too, these alone are passed over
    "actions", "datasets", "lock", "measured", "progress.jsonl", "raw_hashes.sqlite", "scratch", "shards",
}  # fmt: skip
HUB_SNAPSHOT = re.compile(r"(.*/(?:datasets|models|spaces)--[^/]+)/snapshots/[^/]+(?:/.*)?")


@dataclass
class Outputs:
    """The folders that longmix writes to, which no source reads.

    root: the real path of the root of this build; None without one.
    n_files: output folder that a walk left out, by its name in the source -> its number of files.
    """

    root: str | None
    n_files: dict[str, int] = field(default_factory=dict)

    def kept(self, folder: str, prefix: str, names: list[str]) -> list[str]:
        """The names in a folder that a source may read.

        Args:
            folder: its real path.
            prefix: its name in the source; empty for the source's own folder, of which files beside output are read.
        """
        is_root = folder == self.root or ROOT_MARKS.issubset(names)
        if is_root and not prefix:
            left_out = [name for name in names if name in OUTPUTS]
        elif is_root or VERSION_MARKS.issubset(names):
            left_out = names
        else:
            return names
        for name in left_out:
            self.leave_out(prefix.rstrip("/") or os.path.basename(folder), os.path.join(folder, name))
        return [name for name in names if name not in left_out]

    def leave_out(self, title: str, path: str) -> None:
        self.n_files[title] = self.n_files.get(title, 0) + n_files(path)

    def holder(self, path: str) -> str | None:
        """The root or version in which a path is output; None if it is not output."""
        real = os.path.realpath(path)
        below = os.path.basename(real)
        for folder in parents_of(real):
            is_root = folder == self.root or all(os.path.isdir(os.path.join(folder, name)) for name in ROOT_MARKS)
            if is_root and below in OUTPUTS:
                return folder
            if all(os.path.isfile(os.path.join(folder, name)) for name in VERSION_MARKS):
                return folder
            below = os.path.basename(folder)
        return None

    def notes(self, source: str) -> list[str]:
        return [
            f"source {source}: {n:,} file{'' if n == 1 else 's'} of {title} {'is' if n == 1 else 'are'} output of longmix and "
            "not read"
            for title, n in sorted(self.n_files.items())
            if n
        ]


def parents_of(path: str) -> Iterator[str]:
    """The folders above a path, the nearest first."""
    while (folder := os.path.dirname(path)) != path:
        yield folder
        path = folder


def n_files(path: str) -> int:
    if not os.path.isdir(path):
        return 1
    return sum(len(names) for _, _, names in os.walk(path))


def walk(folder: str, prefix: str, parents: tuple[str, ...], root: str, outputs: Outputs) -> Iterator[File]:
    """All files under a folder, except hidden ones and output. Links inside the root are followed, loops are not.

    Args:
        parents: the real paths of the folder and of the folders above it, the folder last.
        root: the real path of the source's root.

    Raises:
        RecipeError: there is a Delta table, and its log does not say which files are current.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise_lack(error, folder)
        yield File(prefix or ".", folder, fault=("unreadable_folder", error_code(error)))
        return
    if delta.LOG in names and os.path.isdir(os.path.join(folder, delta.LOG)):
        yield from (file_at(os.path.join(folder, name), prefix + name, root) for name in delta.current_files(folder))
        return
    for name in outputs.kept(parents[-1], prefix, names):
        path, real = os.path.join(folder, name), os.path.join(parents[-1], name)
        file = file_at(path, prefix + name, root)
        if os.path.islink(path):
            real = os.path.realpath(path)
            if not file.fault and outputs.holder(real):
                outputs.leave_out(file.name, real)
                continue
        if file.fault or not os.path.isdir(path):
            yield file
            continue
        if real in parents:
            yield replace(file, fault=("symlink_loop", "leads to a folder above it"))
            continue
        yield from walk(path, f"{prefix}{name}/", (*parents, real), root, outputs)


def file_at(path: str, name: str, root: str) -> File:
    """A file, with a fault if it can't be opened, is not a regular file, or is a link out of the root."""
    try:
        name.encode()
    except UnicodeEncodeError:
        escaped = os.fsencode(name).decode("utf-8", "backslashreplace")
        return File(escaped, path, fault=("bad_file_name", "its name is not UTF-8; name it again"))
    try:
        real = os.path.realpath(path, strict=True)
        status = os.stat(path)
    except OSError as error:
        return File(name, path, fault=fault_of(error, os.path.islink(path)))
    top = os.path.realpath(root)
    if os.path.commonpath([real, top]) != top and not is_hub_blob(real, top):  # or a folder on its way is such a link
        return File(
            name, path, fault=("symlink_outside", "leads out of the source's folder; put the file itself there")
        )
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return File(name, path, fault=("not_a_file", "a pipe, a socket or a device"))
    return File(name, path, status.st_size)


def is_hub_blob(real: str, top: str) -> bool:
    """Whether a file of a hub snapshot lies where the hub's client keeps it, in the blobs of the same repository.

    Args:
        real: the real path of the file. top: that of the source's root.
    """
    snapshot = HUB_SNAPSHOT.fullmatch(top)
    return snapshot is not None and os.path.dirname(real) == f"{snapshot[1]}/blobs" and os.path.isfile(real)


def fault_of(error: OSError, is_link: bool = False) -> tuple[str, str]:
    """The reason and detail for a file that the operating system refuses to open."""
    raise_lack(error, str(error.filename))
    if error.errno == errno.ELOOP:
        return "symlink_loop", "leads back to itself"
    if error.errno == errno.ENOENT:
        return ("symlink_broken", "leads to nothing") if is_link else ("vanished_file", "listed, and then gone")
    return "unreadable_file", error_code(error)


def error_code(error: OSError) -> str:
    """The symbol of an error, such as EACCES, which is the same in every locale."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def is_folder_fault(file: File) -> bool:
    """Whether the fault is that of a folder, which is rejected whatever its name: its files can't be listed."""
    return file.fault is not None and (
        file.fault[0] in ("unreadable_folder", "symlink_loop") or os.path.isdir(file.path)
    )


def without_duplicates(files: Iterable[File]) -> list[File]:
    """The files by name; of those that several paths of a source name, each once."""
    by_place: dict[str, File] = {}
    for file in sorted(files, key=lambda f: f.name):
        by_place.setdefault(os.path.abspath(file.path), file)  # noqa: PTH100
    return list(by_place.values())
