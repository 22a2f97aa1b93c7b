"""Package members -> documents, for special file formats: Bible modules, R data, dictionaries, JSON."""

import html
import json
import re
import struct
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import PurePosixPath

from pipelines.gather.cleaning import TAG, decode, squeeze
from pipelines.gather.extractors import Documents, Extract, matcher
from pipelines.gather.packages import Member, PackageError, gunzip, inflate

R_CHARSXP, R_STRSXP = 9, 16
DIGITS64 = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}


def sword(members: Iterable[Member]) -> Documents:
    """A compressed SWORD module: one document per block, which is a book of the Bible or a psalm.

    `ot.bzs` has 12 bytes per block (offset, compressed size, uncompressed size), `ot.bzz` the zlib streams.
    """
    files = {m.path: m.read() for m in members if re.search(r"/[on]t\.[bcv]z[sz]$", m.path)}
    for path in sorted(path for path in files if path.endswith("zs")):
        index, streams = files[path], files[path[:-1] + "z"]
        for number, (start, size, _) in enumerate(struct.iter_unpack("<III", index[: len(index) // 12 * 12])):
            text = decode(inflate(streams[start : start + size])[0]) if size else ""
            text = re.sub(r'<verse\b[^>]*\bosisID="([^"]+)"[^>]*>', r"\n\1 ", text)
            text = re.sub(r"<note\b.*?</note>", "", text, flags=re.DOTALL)
            text = re.sub(r"</?(?:title|chapter|div|l|lg|p)\b[^>]*>", "\n", text)
            yield f"{path[:-1]}{number:04d}", squeeze(html.unescape(TAG.sub("", text)))


def r_character_vectors(members: Iterable[Member]) -> Documents:
    """The character vectors in an R package's lazy-load database, one document each, named by their first lines.

    A record is the uncompressed size (4 bytes) and a zlib stream; other compressions put a letter before the stream.
    """
    for member in members:
        if not member.path.endswith("/data/Rdata.rdb"):
            continue
        raw = member.read()
        start = 0
        while start < len(raw):
            body = raw[start + 4 :]
            if body[:1] in {b"2", b"Z"}:
                raise PackageError(f"{member.path}: compressed by bzip2 or xz, which is not supported")
            value, size = inflate(body)
            start += 4 + size
            lines = r_strings(value)
            if lines:
                title = re.sub(r"\W+", "-", lines[0].strip().lower()).strip("-")[:60]
                yield f"{member.path}#{title}", squeeze("\n".join(lines))


def r_strings(value: bytes) -> list[str] | None:
    """The strings of a serialised (XDR) R character vector; None for other values."""
    if not value.startswith(b"X\n"):
        return None
    place = 2
    (version,) = struct.unpack_from(">i", value, place)
    place += 12
    if version == 3:  # the name of the encoding follows
        (size,) = struct.unpack_from(">i", value, place)
        place += 4 + size
    flags, n_strings = struct.unpack_from(">ii", value, place)
    if flags & 0xFF != R_STRSXP:
        return None
    place += 8
    strings = []
    for _ in range(n_strings):
        flags, size = struct.unpack_from(">ii", value, place)
        if flags & 0xFF != R_CHARSXP:
            return None
        place += 8
        strings.append(decode(value[place : place + max(size, 0)]))  # -1 is R's NA
        place += max(size, 0)
    return strings


def dictd(members: Iterable[Member]) -> Documents:
    """The entries of a dictd database: an index of headword, offset and size in base 64, and the text."""
    files = {
        PurePosixPath(m.path).suffix: m.read()
        for m in members
        if m.path.startswith("usr/share/dictd/") and m.path.endswith((".dz", ".index"))
    }
    text = gunzip(files[".dz"])
    seen = set()
    for line in decode(files[".index"]).split("\n"):
        fields = line.split("\t")
        if len(fields) < 3 or fields[0].startswith(("00-database", "00database")):
            continue
        start, size = number64(fields[1]), number64(fields[2])
        if start not in seen:  # several headwords can share an entry
            seen.add(start)
            yield f"{start:09d}-{fields[0]}", squeeze(re.sub(r"[{}]", "", decode(text[start : start + size])))


def number64(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 64 + DIGITS64[digit]
    return value


def factbook(members: Iterable[Member]) -> Documents:
    """Country profiles: nested JSON as text with headings."""
    for member in members:
        path = member.path
        if path.endswith(".json") and path.count("/") == 2 and "/meta/" not in path:
            yield path, squeeze("\n".join(profile_lines(json.loads(member.read()), 1)))


def profile_lines(node: object, depth: int) -> Iterator[str]:
    if isinstance(node, dict):
        for key, child in node.items():
            if key == "text" and isinstance(child, str):
                yield child
            else:
                yield f"\n{'#' * depth} {key}" if depth < 3 else f"{key}:"
                yield from profile_lines(child, depth + 1)
    elif isinstance(node, list):
        for child in node:
            yield from profile_lines(child, depth)
    else:
        yield str(node)


def each_summary(members: Iterable[Member], pattern: str) -> Documents:
    for member in members:
        if matcher((pattern,))(member.path):
            for key, item in json.loads(member.read()).items():
                yield f"{member.path}#{key}", decode(f"{item['title']}\n\n{item['extract']}\n".encode())


def summaries(pattern: str) -> Extract:
    """A JSON object of titles and first sections, one document per entry."""
    return partial(each_summary, pattern=pattern)
