"""What lies in a package file: .deb, .whl and .tgz, read as streams.

Nothing is unpacked to disk, nothing of a package is run, and a path inside a package is never one outside it. A package
that unfolds into more than MAX_PACKAGE_BYTES is refused where it passes that, a member over MAX_MEMBER_BYTES before it
is read. A tarball is never whole in memory: one member is, while it is read.
"""

import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import zstandard

MAX_MEMBER_BYTES = 128 << 20
MAX_PACKAGE_BYTES = 2 << 30
AR_MAGIC = b"!<arch>\n"


class PackageError(Exception):
    """The package is not what its name says, or holds more than anyone would put there."""


class Member(NamedTuple):
    """A file in a package."""

    path: str
    read: Callable[[], bytes]  # only until the next member is taken


class Readable(Protocol):
    """All that decompressors and tarfile ask for when they read a stream; their signatures ask for more."""

    def read(self, size: int = -1, /) -> bytes: ...


class Window:
    """The `size` bytes of a file from where it stands."""

    def __init__(self, stream: Readable, size: int):
        self.stream = stream
        self.left = size

    def read(self, size: int = -1, /) -> bytes:
        block = self.stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(block)
        return block


class Bounded:
    """A stream that breaks off with an error once it has given more than `limit` bytes."""

    def __init__(self, stream: Readable, limit: int, name: str):
        self.stream = stream
        self.left = self.limit = limit
        self.name = name

    def read(self, size: int = -1, /) -> bytes:
        block = self.stream.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise PackageError(f"{self.name}: unfolds into more than {self.limit:,} bytes")
        return block


def members(path: Path) -> Iterator[Member]:
    """The files of a package in the order in which they lie there.

    Raises:
        PackageError: it is no such package, or it holds more than a package may.
    """
    if path.suffix == ".whl":
        yield from zip_members(path)
        return
    with open(path, "rb") as raw:
        stream: Any = deb_data(raw, path.name) if path.suffix == ".deb" else gzip.GzipFile(fileobj=raw)
        yield from tar_members(Bounded(stream, MAX_PACKAGE_BYTES, path.name), path.name)


def deb_data(raw: BinaryIO, name: str) -> Readable:
    """The data tarball of a Debian package, decompressed as it is read. The package is an `ar` archive around it."""
    if raw.read(8) != AR_MAGIC:
        raise PackageError(f"{name}: not a Debian package")
    while len(header := raw.read(60)) == 60:
        member = header[:16].decode("latin-1").strip().rstrip("/")
        size = int(header[48:58])
        if member.startswith("data.tar"):
            return decompressed(Window(raw, size), member.removeprefix("data.tar"), name)
        raw.seek(size + size % 2, io.SEEK_CUR)
    raise PackageError(f"{name}: no data archive in it")


def decompressed(stream: Any, suffix: str, name: str) -> Readable:
    match suffix:
        case ".xz":
            return lzma.LZMAFile(stream)
        case ".zst":
            return zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        case ".gz":
            return gzip.GzipFile(fileobj=stream)
        case "":
            return stream
    raise PackageError(f"{name}: the data archive ends in {suffix!r}, which is none of .xz, .zst, .gz")


def tar_members(stream: Any, name: str) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18) as tar:
        for info in tar:
            if info.isfile():
                yield Member(plain(info.name), partial(read_tar_member, tar, info, name))


def read_tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo, name: str) -> bytes:
    check_size(info.size, info.name, name)
    stream = tar.extractfile(info)
    assert stream is not None  # it is a regular file
    return stream.read()


def zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        found = archive.infolist()
        if sum(info.file_size for info in found) > MAX_PACKAGE_BYTES:  # it gives no more of a member than it declares
            raise PackageError(f"{path.name}: unfolds into more than {MAX_PACKAGE_BYTES:,} bytes")
        for info in found:
            if not info.is_dir():
                yield Member(plain(info.filename), partial(read_zip_member, archive, info, path.name))


def read_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    check_size(info.file_size, info.filename, name)
    return archive.read(info)


def check_size(size: int, member: str, name: str) -> None:
    if size > MAX_MEMBER_BYTES:
        raise PackageError(f"{name}: {plain(member)} holds {size:,} bytes, more than {MAX_MEMBER_BYTES:,}")


def plain(path: str) -> str:
    """A member's path as an id can hold it."""
    return path.removeprefix("./").encode("utf-8", "replace").decode()


def gunzip(raw: bytes) -> bytes:
    """A gzipped member's content."""
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
        return at_most(stream.read(MAX_MEMBER_BYTES + 1))


def inflate(raw: bytes) -> tuple[bytes, int]:
    """The zlib stream at the start of `raw`, and how many of the bytes it takes."""
    stream = zlib.decompressobj()
    content = at_most(stream.decompress(raw, MAX_MEMBER_BYTES + 1))
    if not stream.eof:
        raise PackageError("a zlib stream in it is cut short")
    return content, len(raw) - len(stream.unused_data)


def at_most(content: bytes) -> bytes:
    if len(content) > MAX_MEMBER_BYTES:
        raise PackageError(f"a compressed file in it unfolds into more than {MAX_MEMBER_BYTES:,} bytes")
    return content
