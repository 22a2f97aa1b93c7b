"""A terminal gets text as it is, without characters that it would obey."""

import os

import pytest

from flows import terminal
from flows.terminal import complain, echo, echo_data, lines_of, printable, terminal_width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("chat [/INST] :smile: ä 中", "chat [/INST] :smile: ä 中"),
        ("a\x1b[31mb\x07", r"a\x1b[31mb\x07"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("a\x9b2Jb\x7f", r"a\x9b2Jb\x7f"),
        ("a\u202eb\u2066\u2028", r"a\u202eb\u2066\u2028"),
        (os.fsdecode(b"caf\xe9.jsonl"), r"caf\xe9.jsonl"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_shown(text, shown):
    assert printable(text) == shown
    assert lines_of(f"{text}\nb") == (shown.replace(r"\n", "\n") + "\nb")
    shown.encode()


def test_lines_stay_lines(capsys):
    echo("a\x1b\nb")
    assert capsys.readouterr().out == "a\\x1b\nb\n"
    echo("a", err=True)
    assert capsys.readouterr().err == "a\n"


def test_an_error_cannot_print_a_line_of_its_own(capsys):
    complain("a: b\nlongmix: done\n \x1b[2J")
    assert capsys.readouterr().err == "longmix: a: b\n  longmix: done\n   \\x1b[2J\n"


@pytest.mark.parametrize(("is_terminal", "printed"), [(True, "a\\x1b\n"), (False, "a\x1b\n")])
def test_data_is_changed_on_a_terminal_alone(is_terminal, printed, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    echo_data("a\x1b")
    assert capsys.readouterr().out == printed


def test_the_width_is_that_of_the_environment_or_of_the_terminal(monkeypatch):
    monkeypatch.setattr(terminal.sys.stdout, "isatty", lambda: False, raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal_width() is None
    monkeypatch.setenv("COLUMNS", "91")
    assert terminal_width() == 91
    monkeypatch.setenv("COLUMNS", "")
    monkeypatch.setattr(terminal.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(terminal.shutil, "get_terminal_size", lambda: os.terminal_size((77, 9)))
    assert terminal_width() == 77
