"""The files of a source, sorted by name. None of them is outside the source's folder."""
# ruff: noqa: PTH112, PTH113, PTH114, PTH116, PTH118, PTH119, PTH120, PTH122  # strings: Paths of a million files are slow

import errno
import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from pipelines.ingest.readers import READERS
from pipelines.ingest.readers.hub import parts
from pipelines.ingest.readers.record import File
from pipelines.ingest.readers.system import raise_lack, system_errors
from pipelines.ingest.source import FORMATS, Source
from schemas.errors import RecipeError

COMPRESSED = re.compile(r"\.(gz|zst|zstd)$", re.IGNORECASE)
MAKERS = {"corpus": "`longmix corpus`", "samples": "`longmix demonstration`"}  # folder of data/ -> what makes its files
RECIPE_MISTAKES = (
    "text_missing",
    "text_not_string",
    "sample_missing",
)  # reasons that are mistakes of the recipe if every file has them


def find_files(source: Source) -> tuple[str, list[File]]:
    """The source's format and its files, by name. A file that can't be read has a fault.

    Raises:
        RecipeError: the path does not exist, no file of it has the format, no file can be read, or the file names
            determine no format.
    """
    if source.hub is not None:
        return "hub", parts(source.hub, source.config, source.split or "train", source.revision)
    path = source.paths[0]
    place = f"sources.{source.name}: {path}"
    root, pattern, single = split_path(path, place)
    kind, any_suffix = source.format, False
    if kind is None and pattern is None and not single and is_saved(root):
        kind = "hf"
    members = READERS[kind].members(root, source.split) if kind and not pattern and not single else None
    if members is not None:
        files, any_suffix = [file_at(os.path.join(root, name), name, root) for name in members], True
    elif single:
        path = os.path.realpath(os.path.join(root, single))  # a link that the recipe names may lead anywhere
        files, any_suffix = [file_at(path, single, os.path.dirname(path))], kind is not None
    else:
        files = list(walk(root, "", (os.path.realpath(root),), os.path.realpath(root)))
    if pattern is not None:
        files = [f for f in files if is_folder_fault(f) or re.fullmatch(pattern, f.name)]
        any_suffix = kind is not None
    kind = kind or format_of(files, source, place)
    matching = [f for f in files if any_suffix or is_folder_fault(f) or has_format(f.name, kind, source)]
    if not matching:
        raise RecipeError(f"{place}: {no_files(files, kind)}")
    matching.sort(key=lambda f: f.name)
    if all(f.fault for f in matching):
        reason, detail = matching[0].fault or ("", "")
        problem = f"no file can be read; {matching[0].name}: {reason}: {detail}"
        raise RecipeError(f"{place}: {problem}; repair the file or correct the path")
    return kind, matching


def split_path(path: str, place: str) -> tuple[str, str | None, str | None]:
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
        first = next(i for i, name in enumerate(names) if glob.has_magic(name))
        root = "/".join(names[:first]) or ("/" if path.startswith("/") else ".")
        if os.path.isdir(root):
            return root, translate(names[first:]), None
    maker = MAKERS.get(os.path.basename(os.path.dirname(path)))
    hint = f"; {maker} makes the default one" if maker else ""
    raise RecipeError(
        f"{place}: no such file or folder; correct the path, which is relative to the recipe's folder{hint}"
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


def walk(folder: str, prefix: str, parents: tuple[str, ...], root: str) -> Iterator[File]:
    """All files under a folder, except hidden ones. Links inside the root are followed, loops are not.

    Args:
        parents: the real paths of the folder and of the folders above it, the folder last.
        root: the real path of the source's root.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise_lack(error, folder)
        yield File(prefix or ".", folder, fault=("unreadable_folder", error_code(error)))
        return
    for name in names:
        path, real = os.path.join(folder, name), os.path.join(parents[-1], name)
        file = file_at(path, prefix + name, root)
        if file.fault or not os.path.isdir(path):
            yield file
            continue
        if os.path.islink(path):
            real = os.path.realpath(path)
            if real in parents:
                yield replace(file, fault=("symlink_loop", "leads to a folder above it"))
                continue
        yield from walk(path, f"{prefix}{name}/", (*parents, real), root)


def file_at(path: str, name: str, root: str) -> File:
    """The file at a path; with a fault if it is a link to the outside or to nothing, or neither a file nor a folder."""
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
    if os.path.islink(path) and os.path.commonpath([real, top]) != top:
        return File(
            name, path, fault=("symlink_outside", "leads out of the source's folder; put the file itself there")
        )
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return File(name, path, fault=("not_a_file", "a pipe, a socket or a device"))
    return File(name, path, status.st_size)


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


# -- formats


def is_saved(root: str) -> bool:
    return any(os.path.isfile(os.path.join(root, name)) for name in ("state.json", "dataset_dict.json"))


def has_format(name: str, kind: str, source: Source) -> bool:
    """Whether a file name has a suffix of the format."""
    lowered = name.lower()
    if READERS[kind].may_be_compressed:
        lowered = COMPRESSED.sub("", lowered)
    suffixes = source.text_suffixes if kind == "text" else READERS[kind].suffixes
    return lowered.endswith(tuple(s.lower() for s in suffixes))


def format_of(files: list[File], source: Source, place: str) -> str:
    """
    Raises:
        RecipeError: the suffixes of the files determine no format, or more than one.
    """
    kinds = [kind for kind in FORMATS if kind != "hf" and any(has_format(f.name, kind, source) for f in files)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise RecipeError(f"{place}: contains {' and '.join(kinds)} files; set the source's format to one of them")
    raise RecipeError(f"{place}: {no_files(files, None)}")


def no_files(files: list[File], kind: str | None) -> str:
    """The message for a source without files of its format."""
    suffixes = Counter(os.path.splitext(f.name)[1] or "no suffix" for f in files if not is_folder_fault(f))
    listed = ", ".join(f"{suffix} ({n})" for suffix, n in sorted(suffixes.items())[:5]) or "none"
    problem = f"no {kind} files" if kind else "no files with a known suffix"
    return f"{problem}; found {listed}; correct the path or set format to one of {', '.join(FORMATS)}"


def is_folder_fault(file: File) -> bool:
    """Whether the fault is that of a folder, which is rejected whatever its name: its files can't be listed."""
    return file.fault is not None and (
        file.fault[0] in ("unreadable_folder", "symlink_loop") or os.path.isdir(file.path)
    )


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
                error = READERS[kind].schema_error(file, source.fields)
        except OSError:  # raised again when the file is read
            continue
        if error is None:
            return
        if mistake is None and error.reason in RECIPE_MISTAKES:
            mistake = (file, error)
    if mistake:
        file, error = mistake
        raise RecipeError(f"sources.{source.name}: {file.name}: {error.detail}; {source.fields.remedy}")
