"""The one door to files: how they are hashed, sealed, written, renamed, mapped and locked.

A file that has a name is complete: it was written under a temporary name, synced and renamed, and the folder that
holds the name was synced after it. No other module of pipelines/ renames, syncs, maps or locks a file.
"""

import errno
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Self, TypedDict

import numpy as np
import xxhash
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import RecipeError

BLOCK_BYTES = 1 << 20


class HashedFile(BaseModel):
    """A file that a recipe names. Only the hash of its bytes is part of an action's name, the path is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(exclude=True)
    hash: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """
        Raises:
            RecipeError: the file does not exist or cannot be read.
        """
        digest = blake2b(digest_size=16)
        try:
            with open(path, "rb") as stream:
                while block := stream.read(BLOCK_BYTES):
                    digest.update(block)
        except OSError as error:
            raise RecipeError(f"{path}: can't be read ({error.strerror}); mend the path or its permissions") from error
        return cls(path=str(path), hash=digest.hexdigest())


class Seal(TypedDict):
    """Length and checksum of a file's bytes. It finds damage and says nothing about what the file holds."""

    n_bytes: int
    xxh3_128: str


def seal(path: Path) -> Seal:
    digest = xxhash.xxh3_128()
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return {"n_bytes": path.stat().st_size, "xxh3_128": digest.hexdigest()}


# -- names


def rename(part: Path, path: Path) -> None:
    """Give a finished temporary file its name. Synced first, so that a name never leads to half a file.

    On another file system, such as a mount below the root, it is copied beside its name first.
    """
    sync(part)
    make_folder(path.parent)
    try:
        os.replace(part, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            shutil.copyfile(part, beside)
            sync(beside)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        part.unlink()
    sync_folder(path.parent)


def rename_folder(part: Path, folder: Path) -> None:
    """Give a finished temporary folder of files its name, in place of a damaged folder of that name.

    Its files are synced first. The damaged folder leaves under a name of a temporary folder.
    """
    for path in part.iterdir():
        sync(path)
    sync_folder(part)
    damaged = part.with_name(f".{folder.name}.damaged.part")
    shutil.rmtree(damaged, ignore_errors=True)
    if folder.exists():
        os.replace(folder, damaged)
    os.replace(part, folder)
    sync_folder(folder.parent)
    shutil.rmtree(damaged, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, and sync the name of each."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync(path: Path) -> None:
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: object, part_folder: Path | None = None) -> None:
    """Write a file in one step. `part_folder`, on the same file system, holds the temporary file."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode(), part_folder)


def write_bytes(path: Path, data: bytes, part_folder: Path | None = None) -> None:
    """See write_json."""
    make_folder(path.parent)
    part = (part_folder or path.parent) / f".{path.name}.{uuid.uuid4().hex}"
    part.write_bytes(data)
    rename(part, path)


def link(source: Path, path: Path) -> None:
    """The same file under a second name; a copy where the file system has no hard links."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def point(symlink: Path, target: Path) -> None:
    """Make a symbolic link lead to `target`, in one step."""
    if symlink.is_symlink() and symlink.readlink() == target:
        return
    part = symlink.with_name(f".{symlink.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    os.replace(part, symlink)
    sync_folder(symlink.parent)


# -- bytes in place


def append(path: Path, data: bytes, n_valid: int) -> None:
    """Append to a file after its first `n_valid` bytes, and sync: what a crash tore behind them is cut off.

    Raises:
        OSError: fewer bytes were written than given.
    """
    make_folder(path.parent)
    with open(path, "r+b" if path.exists() else "xb", buffering=0) as stream:
        stream.truncate(n_valid)
        stream.seek(n_valid)
        if stream.write(data) != len(data):
            raise OSError(f"{path}: written in part; check the free space of the disk")
        os.fsync(stream.fileno())


def append_line(path: Path, line: str) -> None:
    """Append one line by one write, so that lines of several workers never mix."""
    with open(path, "ab", buffering=0) as stream:
        stream.write(line.encode() + b"\n")


def write_at(descriptor: int, data: memoryview, offset: int) -> None:
    """os.pwrite, which may write less than it was given."""
    while data:
        n_written = os.pwrite(descriptor, data, offset)
        data, offset = data[n_written:], offset + n_written


def lock(path: Path) -> int | None:
    """Lock a file and return its descriptor; None where another process holds it. Released when the process ends.

    Raises:
        OSError: the file cannot be made or written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


# -- scratch


@dataclass(frozen=True)
class Scratch:
    """A folder for the temporary files of one stage; removed when the stage ends.

    Every worker must see it under the same path: workers write into the same files at planned places and map files that
    others wrote. On a cluster it needs a shared POSIX file system.
    """

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def reserve(self, name: str, n_bytes: int) -> Path:
        """A file of zeros that workers fill in place."""
        with open(self.path(name), "wb") as stream:
            stream.truncate(n_bytes)
        return self.path(name)

    def write_at(self, name: str, data: np.ndarray, offset: int) -> None:
        """Write an array into a reserved file."""
        with open(self.path(name), "r+b", buffering=0) as stream:
            write_at(stream.fileno(), np.ascontiguousarray(data).data.cast("B"), offset)

    def map(self, name: str, dtype: np.dtype | type, n_values: int | None = None) -> np.ndarray:
        """[n_values] of a file, mapped into memory: as it is, or a new file of that many values to write into."""
        if n_values is None:
            return np.asarray(np.memmap(self.path(name), dtype, "r"))
        return np.asarray(np.memmap(self.path(name), dtype, "w+", shape=n_values))

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file that gets its name when the block ends: a reader sees all of it or none, also of a second attempt."""
        part = self.path(f".{name}.{uuid.uuid4().hex}")
        with open(part, "wb") as stream:
            yield stream
        os.replace(part, self.path(name))
