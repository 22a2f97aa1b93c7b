"""Unexpected errors: a user reads one line with a remedy, and the file that it names has the traceback."""

import errno
import os
import re
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

MOST_LOGS = 20  # of a root; the oldest are removed

RESUMES = "run the same command, which resumes"
REMEDIES = {  # of errors of the operating system that a user can mend
    errno.ENOSPC: f"free space on the disk and {RESUMES}",
    errno.EDQUOT: f"free space in the quota and {RESUMES}",
    errno.ENOMEM: f"use fewer workers or a machine with more memory and {RESUMES}",
    errno.EMFILE: f"raise the limit of open files (ulimit -n) and {RESUMES}",
    errno.EIO: f"check the disk and {RESUMES}",
    errno.EACCES: "correct the permissions or choose another path",
    errno.EPERM: "correct the permissions or choose another path",
    errno.EROFS: "choose a path that can be written",
    errno.ENOTDIR: "correct the path",
    errno.EISDIR: "correct the path",
    errno.ENOENT: "correct the path",
    errno.ENAMETOOLONG: "shorten the path",
    errno.EEXIST: "move or remove the file or link that is in its place",
    errno.ELOOP: "correct the link",
    errno.EBUSY: f"end what uses it and {RESUMES}",
    errno.EFBIG: f"raise the limit of file sizes (ulimit -f) or choose another disk and {RESUMES}",
    errno.ESTALE: f"mount the file system again and {RESUMES}",
}
IN_WORDS = {  # of libraries that keep no number
    **{os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)},
    "database or disk is full": errno.ENOSPC,  # SQLite
}
NUMBER = re.compile(r"\[Errno (\d+)\]")


def remedy_of(name: str, message: str) -> str | None:
    """What a user can do about an error of the machine; None for a defect of longmix.

    Args:
        name: of the error's class.
        message: as Python writes it; that of an OSError begins with its number.
    """
    if name == "MemoryError":
        return REMEDIES[errno.ENOMEM]
    if number := NUMBER.match(message):
        return REMEDIES.get(int(number[1]))
    number_in_words = next((number for words, number in IN_WORDS.items() if words in message), None)
    return REMEDIES.get(number_in_words) if number_in_words else None


def write_traceback(root: Path | None, place: str, error: BaseException) -> Path | None:
    """The file of an error's traceback: in ROOT/logs, or a temporary one where there is no root or it is read-only.

    None where no file can be written, as on a full disk.

    Args:
        root: of a build; None where the command has none.
        place: the stage or command that failed, for the file's name.
    """
    text = "".join(traceback.format_exception(error))
    try:
        return write(root.absolute() / "logs", place, text) if root and root.is_dir() else write_elsewhere(text)
    except OSError:
        return write_elsewhere(text)


def write(folder: Path, place: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    older = sorted(folder.glob("*.log"))
    for path in older[: max(0, len(older) + 1 - MOST_LOGS)]:
        path.unlink(missing_ok=True)
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    path = folder / f"{time}-{re.sub(r'[^A-Za-z0-9_.-]', '_', place)}.log"
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def write_elsewhere(text: str) -> Path | None:
    try:
        descriptor, name = tempfile.mkstemp(prefix="longmix-", suffix=".log")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError:
        return None
    return Path(name)


def pointer(log: Path | None) -> str:
    """The clause of a message that names a log."""
    return f"the traceback is in {log}" if log else "the traceback could not be written to a file"
