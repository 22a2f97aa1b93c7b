"""Which files a source names: sorted, and none outside the folder that it names."""
# ruff: noqa: PTH112, PTH113, PTH114, PTH116, PTH118, PTH119, PTH120, PTH122  # a million names are strings, not Paths

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
from pipelines.ingest.source import FORMATS, Source
from schemas.errors import RecipeError

PACKED = re.compile(r"\.(gz|zst|zstd)$", re.IGNORECASE)
MISTAKES = ("text_missing", "text_not_string")  # of the recipe, where every file has them


def find_files(source: Source) -> tuple[str, list[File]]:
    """The source's format and its files, by name. A file that can't be read carries its fault.

    Raises:
        RecipeError: nothing is there, nothing of the format, or nothing that can be read; or its format can't be told.
    """
    if source.hub is not None:
        return "hub", parts(source.hub, source.config, source.split or "train", source.revision)
    where = f"sources.{source.name}: {source.path}"
    root, pattern, single = split_path(source.path or "", where)
    kind, named = source.format, False
    if kind is None and pattern is None and not single and is_saved(root):
        kind = "hf"
    members = READERS[kind].members(root, source.split) if kind and not pattern and not single else None
    if members is not None:
        found, named = [look(os.path.join(root, name), name, root) for name in members], True
    elif single:
        path = os.path.realpath(os.path.join(root, single))  # the recipe names the link itself
        found, named = [look(path, single, os.path.dirname(path))], kind is not None
    else:
        found = list(walk(root, "", (os.path.realpath(root),), os.path.realpath(root)))
    if pattern is not None:
        found, named = [f for f in found if is_folder_fault(f) or re.fullmatch(pattern, f.name)], kind is not None
    kind = kind or format_of(found, source, where)
    files = sorted(
        (f for f in found if named or is_folder_fault(f) or fits(f.name, kind, source)), key=lambda f: f.name
    )
    if not files:
        raise RecipeError(f"{where}: {nothing(found, kind)}")
    if all(f.fault for f in files):
        reason, detail = files[0].fault or ("", "")
        raise RecipeError(f"{where}: nothing in it can be read; {files[0].name}: {reason}: {detail}; mend it")
    return kind, files


def split_path(path: str, where: str) -> tuple[str, str | None, str | None]:
    """The source's root; a regular expression for the names under it; its only file's name.

    Raises:
        RecipeError: there is no such file or folder.
    """
    if os.path.isdir(path):
        return path, None, None
    if os.path.lexists(path):
        return os.path.dirname(path) or ".", None, os.path.basename(path)
    if glob.has_magic(path):
        parts_ = path.split("/")
        first = next(i for i, part in enumerate(parts_) if glob.has_magic(part))
        root = "/".join(parts_[:first]) or ("/" if path.startswith("/") else ".")
        if os.path.isdir(root):
            return root, translate(parts_[first:]), None
    raise RecipeError(f"{where}: no such file or folder; mend the path, which is relative to the recipe's folder")


def translate(names: list[str]) -> str:
    """A glob as a regular expression: ** is any folders, * and ? and [...] stay inside a name."""
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


def walk(folder: str, prefix: str, above: tuple[str, ...], root: str) -> Iterator[File]:
    """Every file under a folder that is not hidden. Links inside the root are followed, no loop is.

    Args:
        above: the real paths of the folder and of all above it.
        root: the real path of the source's root.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        yield File(prefix or ".", folder, fault=("unreadable_folder", code_of(error)))
        return
    for name in names:
        path, real = os.path.join(folder, name), os.path.join(above[-1], name)
        file = look(path, prefix + name, root)
        if file.fault or not os.path.isdir(path):
            yield file
            continue
        if os.path.islink(path):
            real = os.path.realpath(path)
            if real in above:
                yield replace(file, fault=("symlink_loop", "leads to a folder above it"))
                continue
        yield from walk(path, f"{prefix}{name}/", (*above, real), root)


def look(path: str, name: str, root: str) -> File:
    """The file as it lies; with its fault where it leads outside, to nothing, or is no file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        return File(shown, path, fault=("bad_file_name", "its name is not UTF-8; name it again"))
    try:
        real = os.path.realpath(path, strict=True)
        found = os.stat(path)
    except OSError as error:
        return File(name, path, fault=refused(error, os.path.islink(path)))
    top = os.path.realpath(root)
    if os.path.islink(path) and os.path.commonpath([real, top]) != top:
        return File(
            name, path, fault=("symlink_outside", "leads out of the source's folder; put the file itself there")
        )
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        return File(name, path, fault=("not_a_file", "a pipe, a socket or a device"))
    return File(name, path, found.st_size)


def refused(error: OSError, is_link: bool = False) -> tuple[str, str]:
    """The reason and detail of a file that the system does not give."""
    if error.errno == errno.ELOOP:
        return "symlink_loop", "leads back to itself"
    if error.errno == errno.ENOENT:
        return ("symlink_broken", "leads to nothing") if is_link else ("vanished_file", "listed, and then gone")
    return "unreadable_file", code_of(error)


def code_of(error: OSError) -> str:
    """The error's name, which is the same in every language: EACCES."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


# -- formats


def is_saved(root: str) -> bool:
    return any(os.path.isfile(os.path.join(root, name)) for name in ("state.json", "dataset_dict.json"))


def fits(name: str, kind: str, source: Source) -> bool:
    """Whether a file's name is one of the format's."""
    plain = name.lower()
    if kind in ("jsonl", "text"):
        plain = PACKED.sub("", plain)
    suffixes = source.text_suffixes if kind == "text" else READERS[kind].suffixes
    return plain.endswith(tuple(s.lower() for s in suffixes))


def format_of(files: list[File], source: Source, where: str) -> str:
    """
    Raises:
        RecipeError: the files' names tell no format, or more than one.
    """
    told = [kind for kind in FORMATS if kind != "hf" and any(fits(f.name, kind, source) for f in files)]
    if len(told) == 1:
        return told[0]
    if told:
        raise RecipeError(f"{where}: holds {' and '.join(told)}; set the source's format to one of them")
    raise RecipeError(f"{where}: {nothing(files, None)}")


def nothing(files: list[File], kind: str | None) -> str:
    """Why there is no file to read, and what there is instead."""
    endings = Counter(os.path.splitext(f.name)[1] or "no suffix" for f in files if not is_folder_fault(f))
    there = ", ".join(f"{suffix} ({n})" for suffix, n in sorted(endings.items())[:5]) or "no file"
    wanted = f"no {kind} file" if kind else "no file whose name tells its format"
    return f"{wanted}; there is {there}; mend the path or set format to one of {', '.join(FORMATS)}"


def is_folder_fault(file: File) -> bool:
    """Whether the fault is a folder's, whose files nobody saw: it stays whatever its name."""
    return file.fault is not None and (
        file.fault[0] in ("unreadable_folder", "symlink_loop") or os.path.isdir(file.path)
    )


# -- what the files hold


def check(source: Source, kind: str, files: list[File]) -> None:
    """
    Raises:
        RecipeError: no file has the columns that the recipe names.
    """
    first = None
    for file in files:
        if file.fault:
            continue
        try:
            why = READERS[kind].misfit(file, source.wanted)
        except OSError:
            continue
        if why is None:
            return
        if first is None and why.reason in MISTAKES:
            first = (file, why)
    if first:
        file, why = first
        raise RecipeError(f"sources.{source.name}: {file.name}: {why.detail}; set the source's text")
