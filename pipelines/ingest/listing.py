"""The files of a source, sorted by name: of its paths, those of one format. The rest is counted in notes.

A file's name in DOCUMENTS is relative to the folder that the path names: the folder itself, the one of a file, or the one
before the first wildcard of a glob. With several paths it is relative to the deepest folder that contains all of these,
so that names are unique and the same on every machine where the paths lie in the same way. A file that several paths
name is read once.
"""
# ruff: noqa: PTH100, PTH112, PTH118, PTH119, PTH120, PTH122  # strings: Paths of a million files are slow

import glob
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.ingest.readers import READERS, schema_error
from pipelines.ingest.readers.contents import is_plain_under_packed_name
from pipelines.ingest.readers.hub import parts
from pipelines.ingest.readers.record import File
from pipelines.ingest.readers.saved import is_saved
from pipelines.ingest.readers.streams import PACKINGS
from pipelines.ingest.readers.system import system_errors
from pipelines.ingest.source import FORMATS, Source
from pipelines.ingest.walking import Outputs, file_at, is_folder_fault, walk, without_duplicates
from pipelines.stage import Engine
from schemas.errors import RecipeError

COMPRESSED = re.compile(rf"({'|'.join(re.escape(s) for own in PACKINGS.values() for s in own)})$", re.IGNORECASE)
MAKERS = {"corpus": "`longmix corpus`", "samples": "`longmix demonstration`"}  # folder of data/ -> what makes its files
ABOUT_DATASETS = ("dataset_info.json", "state.json")  # in a folder with one of these, no JSON is corpus
NO_CORPUS = (*ABOUT_DATASETS, "dataset_dict.json", "dataset_infos.json")
RECIPE_MISTAKES = (
    "text_missing",
    "text_not_string",
    "sample_missing",
)  # reasons that are mistakes of the recipe if every file has them


@dataclass(frozen=True)
class Place:
    """A path of a source.

    root: the folder. pattern: a regular expression for file names under it. single: the name of its only file.
    """

    path: str
    root: str
    pattern: str | None = None
    single: str | None = None

    @property
    def is_folder(self) -> bool:
        return self.pattern is None and self.single is None


def find_files(source: Source, root: Path | None = None, notes: list[str] | None = None) -> tuple[str, list[File]]:
    """The source's format and its files, by name. A file that can't be read has a fault.

    Args:
        root: of this build, whose files no source reads.
        notes: gets a sentence for each kind of file that is not read, or read as other than its name says.

    Raises:
        RecipeError: the path does not exist, no file of it has the format, no file can be read, the file names
            determine no format, or the files are output of longmix.
    """
    if source.hub is not None:
        return "hub", parts(source.hub, source.config, source.split or "train", source.revision)
    outputs = Outputs(os.path.realpath(root) if root else None)
    title = f"sources.{source.name}: {', '.join(source.paths)}"
    places = [place_of(path, source, outputs) for path in source.paths]
    kind = source.format
    if kind is None and all(place.is_folder and is_dataset(place.root, source.split) for place in places):
        kind = "hf"
    every = named([(place.root, files_of(place, kind, source, outputs)) for place in places])
    candidates = [file for file, _ in every]
    kind = kind or format_of([file for file, is_read in every if is_read is None], source, title)
    matching = [f for f, is_read in every if (has_format(f.name, kind, source) if is_read is None else is_read)]
    if not matching:
        raise RecipeError(f"{title}: {no_files(candidates, kind)}")
    matching = [replace(f, zstd_long=source.zstd_long) for f in without_duplicates(matching)]
    if all(f.fault for f in matching):
        reason, detail = matching[0].fault or ("", "")
        problem = f"no file can be read; {matching[0].name}: {reason}: {detail}"
        raise RecipeError(f"{title}: {problem}; repair the file or correct the path")
    if notes is not None:
        notes.extend(outputs.notes(source.name))
        notes.extend(notes_on(source, candidates, matching))
    return kind, matching


def listed(source: Source, engine: Engine) -> tuple[str, list[File]]:
    """As find_files(), for an engine: its root is not read, and it gets the notes.

    Raises:
        RecipeError: as find_files().
    """
    notes: list[str] = []
    kind, files = find_files(source, engine.store.root, notes)
    engine.notes.extend(note for note in notes if note not in engine.notes)  # a stage that is retried lists again
    return kind, files


Listed = list[tuple[File, bool | None]]  # whether the source reads the file; None: its suffix decides


def files_of(place: Place, kind: str | None, source: Source, outputs: Outputs) -> Listed:
    """The files that a path names."""
    root, is_named = place.root, True if source.format else None
    if place.single is not None:
        path = os.path.realpath(os.path.join(root, place.single))  # a link that the recipe names may lead anywhere
        return [(file_at(path, place.single, os.path.dirname(path)), is_named)]
    members = READERS[kind].members(root, source.split) if kind and place.is_folder else None
    if members is not None:
        return [(file_at(os.path.join(root, name), name, root), True) for name in members]
    real = os.path.realpath(root)
    files = list(walk(root, "", (real,), real, outputs))
    if place.pattern is not None:
        chosen = [f for f in files if is_folder_fault(f) or re.fullmatch(place.pattern, f.name)]
        return [(f, True if is_folder_fault(f) else is_named) for f in chosen]
    about = {os.path.dirname(f.name) for f in files if os.path.basename(f.name) in ABOUT_DATASETS}
    return [(f, True if is_folder_fault(f) else False if is_about_a_dataset(f.name, about) else None) for f in files]


def is_about_a_dataset(name: str, folders: set[str]) -> bool:
    """Whether a file only describes the data beside it. folders: those of a dataset that `datasets` wrote."""
    folder, own = os.path.split(name)
    is_json = own.lower().endswith(".json")
    return own in NO_CORPUS or (folder in folders and (is_json or own.startswith("cache-")))


def named(places: Sequence[tuple[str, Listed]]) -> Listed:
    """The files of all paths, each given with its folder, under names that are unique."""
    roots = [os.path.abspath(root) for root, _ in places]
    top = os.path.commonpath(roots)
    every: Listed = []
    for root, (_, files) in zip(roots, places, strict=True):
        prefix = "" if root == top else f"{os.path.relpath(root, top)}/"
        every += [(replace(file, name=prefix + file.name), is_read) for file, is_read in files]
    return every


def place_of(path: str, source: Source, outputs: Outputs) -> Place:
    """
    Raises:
        RecipeError: there is no such file or folder, or it is output of longmix.
    """
    title = f"sources.{source.name}: {path}"
    place = Place(path, *split_path(path, title))
    holder = outputs.holder(os.path.join(place.root, place.single or ""))
    if holder:
        raise RecipeError(f"{title}: output of longmix in {holder}, which no source reads; set path to raw files")
    return place


def split_path(path: str, title: str) -> tuple[str, str | None, str | None]:
    """The source's root; a regular expression for file names under it; the name of its only file.

    Raises:
        RecipeError: there is no such file or folder.
    """
    if os.path.isdir(path):
        return path, None, None
    if os.path.lexists(path):
        return os.path.dirname(path) or ".", None, os.path.basename(path)
    if glob.has_magic(path):
        names = path.split("/")
        first = next(i for i in range(len(names)) if not os.path.isdir("/".join(names[: i + 1]) or "/"))
        root = "/".join(names[:first]) or ("/" if path.startswith("/") else ".")
        if glob.has_magic(names[first]):
            return root, translate(names[first:]), None
    maker = MAKERS.get(os.path.basename(os.path.dirname(path)))
    hint = f"; {maker} makes the default one" if maker else ""
    raise RecipeError(
        f"{title}: no such file or folder; correct the path, which is relative to the recipe's folder{hint}"
    )


def translate(names: list[str]) -> str:
    """A glob as a regular expression: ** matches any number of folders; *, ? and [...] match within a name."""
    out = ""
    for i, name in enumerate(names):
        last = i == len(names) - 1
        if name == "**":
            out += ".*" if last else "(?:[^/]+/)*"
            continue
        for part in re.findall(r"\[!?\]?[^]]*\]|.", name):
            if part == "*":
                out += "[^/]*"
            elif part == "?":
                out += "[^/]"
            elif len(part) > 1:
                inside = re.sub(r"[\\\[&~|]", r"\\\g<0>", part[1:-1])
                out += f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
            else:
                out += re.escape(part)
        out += "" if last else "/"
    return out


# -- formats


def is_dataset(root: str, split: str | None) -> bool:
    """Whether the folder is a dataset in Arrow files with a list of them."""
    return is_saved(root) or READERS["hf"].members(root, split) is not None


def has_format(name: str, kind: str, source: Source) -> bool:
    """Whether a file name has a suffix of the format."""
    lowered = name.lower()
    if READERS[kind].may_be_compressed:
        lowered = COMPRESSED.sub("", lowered)
    suffixes = source.text_suffixes if kind == "text" else READERS[kind].suffixes
    return lowered.endswith(tuple(s.lower() for s in suffixes))


def format_of(files: list[File], source: Source, title: str) -> str:
    """
    Raises:
        RecipeError: the suffixes of the files determine no format, or more than one.
    """
    kinds = [kind for kind in FORMATS if any(has_format(f.name, kind, source) for f in files)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise RecipeError(
            f"{title}: contains {' and '.join(kinds)} files; set the source's format to one of them, and "
            "name a source for each other format"
        )
    raise RecipeError(f"{title}: {no_files(files, None)}")


def no_files(files: list[File], kind: str | None) -> str:
    """The message for a source without files of its format."""
    listed = by_suffix([f.name for f in files if not is_folder_fault(f)]) or "none"
    problem = f"no {kind} files" if kind else "no files with a known suffix"
    formats = ", ".join(FORMATS)
    texts = "for texts of other suffixes, set format and text_suffixes"
    return f"{problem}; found {listed}; correct the path or set format to one of {formats}; {texts}"


def by_suffix(names: Sequence[str]) -> str:
    """The suffixes of file names and how many have each: ".md (2), no suffix (1)"."""
    suffixes = Counter(
        os.path.splitext(COMPRESSED.sub("", name))[1] or os.path.splitext(name)[1] or "no suffix" for name in names
    )
    most = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))[:5]
    rest = len(suffixes) - len(most)
    return ", ".join(f"{suffix} ({n:,})" for suffix, n in most) + (f" and {rest} more" if rest else "")


def notes_on(source: Source, candidates: Sequence[File], matching: Sequence[File]) -> list[str]:
    """A sentence on the files that are passed over, and one on those that are not packed as their names say."""
    names = {f.name for f in matching}
    passed = [f.name for f in without_duplicates(candidates) if f.name not in names]
    plain = [f.name for f in matching if is_plain_under_packed_name(f)]
    notes = []
    if passed:
        n = len(passed) + len(matching)
        remedy = "name them by a glob" if source.format else "name them by a glob and set format"
        remedy = "add their suffixes to text_suffixes" if source.format == "text" else remedy
        notes.append(
            f"source {source.name}: {len(passed):,} of {n:,} files passed over: {by_suffix(passed)}, such as "
            f"{passed[0]}; to read them, {remedy}"
        )
    if plain:
        notes.append(
            f"source {source.name}: {len(plain):,} file{'' if len(plain) == 1 else 's'} with the suffix of a compression "
            f"hold{'s' if len(plain) == 1 else ''} plain text and {'is' if len(plain) == 1 else 'are'} read as such, such as {plain[0]}"
        )
    return notes


# -- schemas


def check_schemas(source: Source, kind: str, files: list[File]) -> None:
    """
    Raises:
        RecipeError: no file has the columns that the recipe names.
    """
    mistake = None
    for file in files:
        if file.fault:
            continue
        try:
            with system_errors(file.path):
                error = schema_error(kind, file, source.fields)
        except OSError:  # raised again when the file is read
            continue
        if error is None:
            return
        if mistake is None and error.reason in RECIPE_MISTAKES:
            mistake = (file, error)
    if mistake:
        file, error = mistake
        raise RecipeError(f"sources.{source.name}: {file.name}: {error.detail}; {source.fields.remedy}")
