"""`longmix init`: what a folder of files holds, found from file names and the beginning of a file of each source.

A source is a subfolder, or the files of the folder itself that have one name but for numbers: part-000.jsonl, part-001.jsonl.
"""

import lzma
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from glob import escape
from itertools import islice
from pathlib import Path

import pyarrow as pa
import zstandard

from pipelines.first_records import SAMPLE_RECORDS, records_of
from pipelines.ingest.listing import COMPRESSED
from pipelines.ingest.readers import READERS
from pipelines.ingest.walking import is_hub_blob
from schemas.errors import RecipeError

MOST_FILES = 200_000  # names that are looked at
MOST_TEXT_SOURCES = 12  # of a folder with more subfolders of texts, these are one source
SUFFIXES = {**{suffix: kind for kind, reader in READERS.items() for suffix in reader.suffixes}, ".txt": "text"}
PROSE_AND_CODE = {  # texts as well, where a folder has fewer bytes of the formats above: a README beside data is none
    ".md", ".mdx", ".markdown", ".rst", ".adoc", ".org", ".tex", ".text",
    ".py", ".pyi", ".ipynb", ".js", ".jsx", ".ts", ".tsx", ".java", ".kt", ".scala", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs",
    ".go", ".rs", ".rb", ".php", ".swift", ".m", ".jl", ".r", ".lua", ".pl", ".sh", ".sql", ".hs", ".ml", ".ex", ".erl",
}  # fmt: skip
OF_SAVED_DATASETS = {"state.json", "dataset_info.json", "dataset_dict.json"}  # beside Arrow files
EXPANSION = {
    "xz": 4.0,
    "bz2": 4.0,
    "gz": 3.0,
    "zst": 3.5,
    "zstd": 3.5,
    "parquet": 2.0,
}  # text bytes of a file's byte, about
NUMBERS = re.compile(r"([-_.]\d+|\d{2,})(-of-\d+)?$")

TEXTS = ("text", "content", "body", "document", "raw_content", "passage", "article", "markdown", "code", "page_content")
ROLES = {
    "id": ("id", "_id", "doc_id", "document_id", "docid", "uuid", "blob_id", "warc_record_id"),
    "origin": ("url", "uri", "source_url", "origin", "source", "path"),
    "license_field": ("license", "licence", "license_type"),
}
MESSAGES = ("messages", "conversations", "conversation")
ALPACA = {"instruction", "output"}


@dataclass
class Survey:
    """A source that a recipe can have.

    Attributes:
        path: of a file or folder, or a glob.
        domain: the name, or that of its folder where this is not ASCII, which a name has to be.
        suffixes: of a source of Markdown or code; empty where the format names them.
        text_bytes: of all files, decompressed; estimated from their sizes.
        fields: of the sampled records: name -> mean length of its texts; empty where a file has no fields.
        is_samples: whether the records have lists of messages.
    """

    name: str
    domain: str
    path: str
    kind: str
    files: list[Path]
    suffixes: tuple[str, ...] = ()
    n_bytes: int = 0
    text_bytes: float = 0.0
    n_sampled: int = 0
    fields: dict[str, float] = field(default_factory=dict)
    is_samples: bool = False

    @property
    def text(self) -> str | None:
        """The field with the text: by its name, or else the one with the longest texts."""
        named = next((name for name in TEXTS if name in self.fields), None)
        return named or max(self.fields, key=lambda name: self.fields[name], default=None)

    def role(self, role: str) -> str | None:
        names = [name for name in ROLES[role] if name in self.fields and name != self.text]
        return names[0] if names else None


@dataclass
class Folder:
    """What a folder holds. passed_over: suffix -> files of no format."""

    surveys: list[Survey]
    passed_over: Counter[str]
    is_complete: bool


def survey(folder: Path) -> Folder:
    """The sources of a folder.

    Raises:
        RecipeError: it is no folder, or has no file of a format.
    """
    if not folder.is_dir():
        raise RecipeError(f"{folder}: no such folder; name a folder of files, or write a recipe by hand")
    paths = list(islice(walk(folder), MOST_FILES))
    by_source: dict[tuple[str, str], list[Path]] = {}
    others: list[Path] = []
    for path in without_indexes(paths):
        kind = kind_of(path)
        if kind is None:
            others.append(path)
        else:
            by_source.setdefault((group_of(folder, path), kind), []).append(path)
    texts = [path for path in others if path.suffix.lower() in PROSE_AND_CODE]
    if n_bytes(texts) > sum(n_bytes(files) for files in by_source.values()):
        others = [path for path in others if path.suffix.lower() not in PROSE_AND_CODE]
        for path in texts:
            by_source.setdefault((group_of_text(folder, path), "text"), []).append(path)
    if sum(kind == "text" for _, kind in by_source) > MOST_TEXT_SOURCES:
        by_source = merged(by_source)
    passed_over = Counter(suffix_of(path) for path in others)
    if not by_source:
        suffixes = ", ".join(f"{suffix} ({n:,})" for suffix, n in passed_over.most_common(5)) or "none"
        raise RecipeError(f"{folder}: no file of a known format; it has {suffixes}; see docs/ingest.md for the formats")
    names: set[str] = set()
    surveys = []
    for (group, kind), files in sorted(by_source.items()):
        place = str(folder / group) if (folder / group).is_dir() else pattern_of(files, folder)
        own = {path.suffix.lower() for path in files if kind_of(path) is None}
        own |= {".txt"} if own and len(own) < len({path.suffix.lower() for path in files}) else set()
        title = group or folder.absolute().name
        name = unique(title, names)
        each = Survey(name, name if title.isascii() else title, place, kind, files, tuple(sorted(own)))
        look_into(each)
        surveys.append(each)
    return Folder(surveys, passed_over, is_complete=len(paths) < MOST_FILES)


def walk(folder: Path) -> Iterator[Path]:
    """Files under a folder, without hidden ones, names that are not UTF-8, and what longmix itself wrote.

    Of links, only those of a hub snapshot into the blobs of its repository are followed.
    """
    for parent, folders, names in os.walk(folder):
        is_root = {"actions", "shards"} <= set(folders)
        folders[:] = [] if is_root else sorted(name for name in folders if not name.startswith("."))
        for name in [] if is_root else sorted(names):
            path = Path(parent, name)
            is_link = path.is_symlink() and not is_hub_blob(os.path.realpath(path), os.path.realpath(parent))
            if not name.startswith(".") and not is_link and is_utf8(str(path)):
                yield path


def merged(by_source: Mapping[tuple[str, str], list[Path]]) -> dict[tuple[str, str], list[Path]]:
    """The same with all texts in one source, that of the folder itself, which has no name here."""
    texts = sorted(path for (_, kind), files in by_source.items() if kind == "text" for path in files)
    return {key: files for key, files in by_source.items() if key[1] != "text"} | {("", "text"): texts}


def without_indexes(paths: Sequence[Path]) -> list[Path]:
    """The files without those by which `datasets` describes Arrow files of the same folder or of folders below."""
    saved = {folder for path in paths if path.suffix == ".arrow" for folder in (path.parent, path.parent.parent)}
    return [path for path in paths if not (path.name in OF_SAVED_DATASETS and path.parent in saved)]


def n_bytes(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def suffix_of(path: Path) -> str:
    """The suffix of a file name, with that of its compression: ".xml.gz"."""
    plain = COMPRESSED.sub("", path.name)
    return (Path(plain).suffix + path.name[len(plain) :]) or "no suffix"


def is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def kind_of(path: Path) -> str | None:
    """The format of a file, by its name."""
    name = path.name.lower()
    plain = COMPRESSED.sub("", name)
    for suffix, kind in SUFFIXES.items():
        if plain.endswith(suffix) and (plain == name or READERS[kind].may_be_compressed):
            return kind
    return None


def group_of(folder: Path, path: Path) -> str:
    """The name of the source that a file belongs to: its subfolder, or its own name without numbers and suffixes."""
    first, *others = path.relative_to(folder).parts
    if others:
        return first
    stem = COMPRESSED.sub("", first)
    stem = stem[: stem.rindex(".")] if "." in stem[1:] else stem
    return NUMBERS.sub("", stem) or stem


def group_of_text(folder: Path, path: Path) -> str:
    """The name of the source of a Markdown or code file: its subfolder, or else its suffix."""
    first, *others = path.relative_to(folder).parts
    return first if others else path.suffix.lower().removeprefix(".")


def pattern_of(files: Sequence[Path], folder: Path) -> str:
    """A path or glob that names these files and no others of their folder."""
    if len(files) == 1:
        return str(files[0])
    names = [path.name for path in files]
    prefix, suffix = shared_start(names), shared_start([name[::-1] for name in names])[::-1]
    if sum(
        fnmatchcase(path.name, f"{escape(prefix.rstrip('0123456789'))}*{escape(suffix)}") for path in folder.iterdir()
    ) == len(names):
        prefix = prefix.rstrip("0123456789")  # n0*.txt would miss a later n1000.txt
    pattern = f"{escape(prefix)}*{escape(suffix)}"
    if sum(fnmatchcase(path.name, pattern) for path in folder.iterdir()) != len(names):
        pattern = f"{escape(prefix)}[0-9]*{escape(suffix)}"
    return f"{escape(str(folder))}/{pattern}"


def shared_start(names: Sequence[str]) -> str:
    low, high = min(names), max(names)
    return low[: next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]


def unique(group: str, names: set[str]) -> str:
    """A name for a source, as a recipe takes it, that is not among `names`; it is added to them."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", group).strip("-._")[:56] or "source"
    name = next(name for n in range(1, len(names) + 2) if (name := base if n == 1 else f"{base}-{n}") not in names)
    names.add(name)
    return name


def look_into(each: Survey) -> None:
    """Fill in the sizes, and the fields of the first file's first records."""
    sizes = [path.stat().st_size for path in each.files]
    each.n_bytes = sum(sizes)
    each.text_bytes = sum(n * expansion(path) for n, path in zip(sizes, each.files, strict=True))
    if each.kind == "text":
        return
    first = next((path for path, n in zip(each.files, sizes, strict=True) if n), each.files[0])
    try:
        records = list(islice(records_of(first, each.kind), SAMPLE_RECORDS))
    except (OSError, EOFError, ValueError, StopIteration, pa.ArrowException, lzma.LZMAError, zstandard.ZstdError):
        records = []  # a damaged file: the build says what is wrong with it
    each.n_sampled = len(records)
    lengths: dict[str, list[int]] = {}
    for record in records:
        each.is_samples |= any(isinstance(record.get(name), list) for name in MESSAGES) or record.keys() >= ALPACA
        for name, value in record.items():
            if isinstance(value, str):
                lengths.setdefault(name, []).append(len(value))
            elif isinstance(value, int) and name in ROLES["id"]:
                lengths.setdefault(name, []).append(0)
    each.fields = {name: sum(n) / len(n) for name, n in lengths.items()}


def expansion(path: Path) -> float:
    return EXPANSION.get(path.suffix.lstrip(".").lower(), 1.0)
