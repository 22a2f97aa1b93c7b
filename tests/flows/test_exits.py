"""Every end of a command has an exit status and at most one line; tracebacks go into a file that the line names."""

import errno
import os
import re
import sys
from pathlib import Path

import pytest

from flows import cli, exits
from schemas.errors import BusyError, DamagedError, RecipeError, SchemaError, StageError


@pytest.fixture
def ended(monkeypatch, capsys):
    """The exit status and the output of `longmix WORDS`."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["longmix", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out = capsys.readouterr()
        assert "Traceback" not in out.out + out.err
        return end.value.code, out.out, out.err

    return run


def failing(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("pipelines.garbage.collect", fail)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RecipeError("a: b; c"), 1), (SchemaError("a: b; c"), 1), (StageError("a: b; c"), 1), (DamagedError("a: b; c"), 1),
        (BusyError("a: b; c"), 75),
    ],
)  # fmt: skip
def test_what_is_refused_is_one_line(error, status, ended, monkeypatch):
    failing(monkeypatch, error)
    assert ended("gc") == (status, "", "longmix: a: b; c\n")


def test_other_ends(ended, monkeypatch):
    assert ended("--version")[0] == 0
    code, _, err = ended("biuld")
    assert (code, err.splitlines()[-1]) == (2, "Error: No such command 'biuld'. Did you mean 'build'?")
    assert ended("gc", "--rooot", "x")[0] == 2
    failing(monkeypatch, KeyboardInterrupt())
    assert ended("gc")[::2] == (130, "longmix: stopped; the same command resumes where this one stopped\n")


def test_an_unexpected_error_is_one_line_and_its_traceback_is_in_a_file(ended, monkeypatch, tmp_path):
    failing(monkeypatch, ValueError("two\nlines"))
    code, _, err = ended("gc", "--root", tmp_path)
    line = re.fullmatch(
        r"longmix: internal error: ValueError: two lines; the traceback is in (.*); please report it\n", err
    )
    assert code == 70
    assert Path(line[1]).parent == tmp_path / "logs"
    assert "in fail" in Path(line[1]).read_text()


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "gc: No space left on device; free space on the disk"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/y"),
            "/x/y: Permission denied; correct the permissions",
        ),
        (MemoryError(), "gc: out of memory; use fewer workers"),
    ],
)
def test_what_the_machine_lacks_is_no_internal_error(error, begins, ended, monkeypatch, tmp_path):
    failing(monkeypatch, error)
    code, _, err = ended("gc", "--root", tmp_path)
    assert code == 1
    assert err.startswith(f"longmix: {begins}")
    assert err.count("\n") == 1


def test_names_in_errors_are_printed_as_they_are(ended, monkeypatch):
    failing(monkeypatch, RecipeError("chat [/INST] :smile: \x1b[2J: no"))
    assert ended("gc")[2] == "longmix: chat [/INST] :smile: \\x1b[2J: no\n"


def test_the_help_names_every_status(ended):
    _, out, _ = ended("--help")
    words = " ".join(out.split())
    for name in ("DONE", "REFUSED", "USAGE", "INTERNAL", "BUSY", "INTERRUPTED"):
        assert re.search(rf"[:;] {getattr(exits, name)} \w", words), name


def test_help_keeps_words_in_brackets_and_fits_80_columns(ended, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = ended("build", "--help")
    assert "in place of the recipe's [run]" in " ".join(out.split())
    _, out, _ = ended("--help")
    assert max(map(len, out.splitlines())) <= 80
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("number", "place"), [(errno.EFBIG, "copy"), (errno.ENOSPC, "copy"), (errno.EACCES, "from"), (errno.ENOENT, "from")]
)
def test_an_error_of_a_copy_names_the_path_that_it_is_about(number, place, ended, monkeypatch, tmp_path):
    failing(monkeypatch, OSError(number, os.strerror(number), "from", None, "copy"))
    assert ended("gc", "--root", tmp_path)[2].startswith(f"longmix: {place}: {os.strerror(number)}; ")
