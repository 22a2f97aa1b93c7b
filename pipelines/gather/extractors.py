"""Package members -> documents, one per file: pages, books, source code.

An extractor is a function of the members that yields (name, text), where names are unique in the package. The functions
without a `members` parameter return extractors, which can be pickled.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial

from pipelines.gather.cleaning import c4_text, decode, html_text, squeeze
from pipelines.gather.packages import Member, gunzip

Documents = Iterator[tuple[str, str]]
Extract = Callable[[Iterable[Member]], Documents]

NOT_PAGES = (
    "*genindex*", "*bookindex*", "*_crossref*", "*/search.html", "*xrefindex*", "*concept_index*", "*backlink*",
)  # fmt: skip
CODE = (
    "py", "pyx", "pxd", "c", "h", "cc", "cpp", "hpp", "rs", "go", "js", "mjs", "ts", "jsx", "tsx", "java", "sql", "sh",
    "f", "f90", "rst", "md", "txt",
)  # fmt: skip


@cache
def matcher(patterns: tuple[str, ...]) -> Callable[[str], object]:
    """A function: whether a path matches any of the shell patterns. `*` also matches slashes."""
    return re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)").match


def file_of(member: Member) -> tuple[str, bytes]:
    """Path and content; `.gz` files are decompressed."""
    raw = member.read()
    return (member.path[:-3], gunzip(raw)) if member.path.endswith(".gz") else (member.path, raw)


def each_file(
    members: Iterable[Member], patterns: tuple[str, ...], skip: tuple[str, ...], convert: Callable[[str], str]
) -> Documents:
    included, excluded = matcher(patterns), matcher(skip)
    for member in members:
        if included(member.path) and not excluded(member.path):
            path, raw = file_of(member)
            yield path, convert(decode(raw))


def plain_files(*patterns: str) -> Extract:
    return partial(each_file, patterns=patterns, skip=(), convert=squeeze)


def html_pages(*patterns: str, skip: Iterable[str] = ()) -> Extract:
    return partial(each_file, patterns=patterns, skip=(*NOT_PAGES, *skip), convert=html_text)


def c4_pages(*patterns: str, skip: Iterable[str] = ()) -> Extract:
    return partial(each_file, patterns=patterns, skip=tuple(skip), convert=c4_text)


def join(members: Iterable[Member], extract: Extract, name: str) -> Documents:
    parts = sorted(extract(members), key=lambda part: numbers_as_numbers(part[0]))
    if parts:
        yield name, squeeze("\n\n".join(text for _, text in parts))


def numbers_as_numbers(path: str) -> list[tuple[int, str]]:
    """A sort key that puts chapter 10 after chapter 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


def joined(extract: Extract, name: str) -> Extract:
    """All documents of an extractor joined in the order of their paths, such as the chapters of a book."""
    return partial(join, extract=extract, name=name)


def each_source_file(
    members: Iterable[Member], under: tuple[str, ...], suffixes: tuple[str, ...], skip: tuple[str, ...]
) -> Documents:
    included, excluded = matcher(under), matcher(skip)
    endings = tuple(f".{suffix}" for suffix in suffixes)
    for member in members:
        path = member.path
        if not path.lower().endswith(endings) or ".dist-info/" in path or not included(path) or excluded(path):
            continue
        raw = member.read()
        if b"\0" not in raw[:4096]:
            yield path, decode(raw)


def source_code(*under: str, suffixes: Iterable[str] = CODE, skip: Iterable[str] = ()) -> Extract:
    """One document per source file, without changes to its text."""
    return partial(each_source_file, under=under or ("*",), suffixes=tuple(suffixes), skip=tuple(skip))
