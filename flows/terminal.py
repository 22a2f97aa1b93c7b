"""What reaches a terminal: text as it is, except for characters that a terminal would obey."""

import os
import re
import shutil
import sys

import typer

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
BYTES_IN_NAMES = range(0xDC80, 0xDD00)  # as which Python reads bytes of a file's name that are not UTF-8


def run_in_utf_8() -> None:
    """Begin again in Python's UTF-8 mode where names of files are read in another encoding, as in the locale C.

    The names of files are in the tables: the same files must give the same version in any locale.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 this command itself


def printable(text: object) -> str:
    r"""A text on one line, with each control character as Python writes it: a line feed as \n, an escape as \x1b."""
    return CONTROL.sub(lambda match: escaped(match[0]), str(text))


def escaped(character: str) -> str:
    if ord(character) in BYTES_IN_NAMES:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()


def lines_of(text: object) -> str:
    """A text of several lines, each of them printable."""
    return "\n".join(map(printable, str(text).split("\n")))


def echo(text: object = "", *, err: bool = False) -> None:
    """Print text for people. Everything that longmix prints, and that may contain a name, goes through here."""
    typer.echo(lines_of(text), err=err)


def echo_data(text: str) -> None:
    """Print JSON or CSV: unchanged into a pipe or file, printable on a terminal."""
    typer.echo(lines_of(text) if sys.stdout.isatty() else text)


def complain(message: object) -> None:
    """Print an error on standard error. Further lines are indented: none can be taken for a line of longmix."""
    first, *others = lines_of(message).split("\n")
    typer.echo("\n".join([f"longmix: {first}", *(f"  {line}" for line in others if line.strip())]), err=True)


def terminal_width() -> int | None:
    """Columns for tables: those of COLUMNS, else of the terminal; None where output goes into a pipe or file."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def accept_all_characters() -> None:
    """Let standard output and error take characters that their encoding lacks, as escape codes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
