"""How a command ends: its exit status, and the one line that says why."""

import errno
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from pipelines.failures import pointer, remedy_of, write_traceback
from schemas.errors import BusyError, LongmixError

DONE, REFUSED, USAGE, INTERNAL, BUSY, INTERRUPTED = (
    0,
    1,
    2,
    70,
    75,
    130,
)  # 70, 75: EX_SOFTWARE, EX_TEMPFAIL (sysexits.h)
OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

EXIT_STATUS = (
    f"Exit status: {DONE} done; {REFUSED} refused: a recipe, data or a state of the root, or `check` found damage; "
    f"{USAGE} wrong command line; {INTERNAL} internal error; {BUSY} another process holds the root: try again later; "
    f"{INTERRUPTED} interrupted."
)


class InternalError(LongmixError):
    """An error that longmix does not expect: a defect of longmix."""


class Command(TyperCommand):
    """A command whose unexpected errors are one line too; the traceback goes to a file under its root."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if is_expected(error):
                raise
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            raise explained(error, ctx.params.get("root"), ctx.info_name or "longmix") from error


def is_interrupt(error: Exception) -> bool:
    """Whether an error is what DuckDB makes of Ctrl-C."""
    return isinstance(error, RuntimeError) and str(error) == "Query interrupted"


def is_expected(error: Exception) -> bool:
    """Whether an error has one line of its own already, or is the command line's."""
    is_of_command_line = type(error).__module__.partition(".")[0] in ("typer", "click")
    return isinstance(error, LongmixError | BrokenPipeError) or is_of_command_line


def explained(error: Exception, root: Path | None, command: str) -> LongmixError:
    """An unexpected error as one line that names the file of its traceback."""
    log = pointer(write_traceback(root, command, error))
    name, message = type(error).__name__, " ".join(str(error).split())
    if remedy := remedy_of(name, message):
        finding = (isinstance(error, OSError) and error.strerror) or message or "out of memory"
        return LongmixError(f"{path_of(error) or command}: {finding}; {remedy} ({log})")
    return InternalError(f"internal error: {name}: {message}; {log}; please report it")


def path_of(error: Exception) -> str | None:
    """The path that an error of the operating system is about: of a copy that can't be written, where it was to be."""
    if not isinstance(error, OSError):
        return None
    return error.filename2 if error.filename2 and error.errno in OF_WRITING else error.filename


def status_of(error: LongmixError) -> int:
    if isinstance(error, BusyError):
        return BUSY
    return INTERNAL if isinstance(error, InternalError) else REFUSED
