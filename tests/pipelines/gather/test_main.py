"""`python -m pipelines.gather`: its arguments, and how it ends."""

import sys
from pathlib import Path

import pytest

from pipelines.gather import DEFAULT_LOCK, __main__
from pipelines.gather.catalogue import DOMAINS, FREE
from pipelines.gather.fetching import CorpusError
from schemas.errors import BusyError


@pytest.fixture
def gathered(monkeypatch):
    """What gather is called with; or what it raises, where a test puts an error there."""
    calls = []

    def gather(out, cache, *arguments, report, **named):
        if calls and isinstance(calls[0], BaseException):
            raise calls[0]
        report("a line")
        calls.append((out, cache, arguments, named))

    monkeypatch.setattr(__main__, "gather", gather)
    return calls


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["gather", *words])
    return __main__.main()


def test_without_options_all_that_is_free_is_gathered(gathered, monkeypatch, capsys):
    assert run(monkeypatch, "corpus") == 0
    ((out, cache, arguments, named),) = gathered
    assert (out, cache) == (Path("corpus"), Path("corpus/.packages"))
    text = repr((arguments, named))
    for value in (DOMAINS[0], DOMAINS[-1], FREE[0], str(DEFAULT_LOCK)):
        assert value in text
    assert "contested" not in text
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a line\n")


def test_options_are_handed_on(gathered, monkeypatch, tmp_path):
    words = [
        "--cache",
        "c",
        "--domains",
        "book,c4",
        "--allow",
        "pd",
        "--max-mb",
        "2.5",
        "--min-chars",
        "9",
        "--seed",
        "4",
    ]
    assert run(monkeypatch, "o", *words, "--lock", str(tmp_path / "l.json"), "--update-lock") == 0
    ((_, cache, arguments, named),) = gathered
    assert cache == Path("c")
    text = repr((arguments, named))
    for value in ("book", "c4", "pd", "2.5", "9", "4", "l.json", "True"):
        assert value in text, value
    assert "permissive" not in text
    run(monkeypatch, "o", "--no-lock")
    assert "lock.json" not in repr(gathered[-1])


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CorpusError("domains: none is named"), 2, "python -m pipelines.gather: domains: none is named"),
        (BusyError("c: locked"), 2, "python -m pipelines.gather: c: locked"),
        (KeyboardInterrupt(), 130, "python -m pipelines.gather: interrupted; run the same command to resume"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_refused_is_one_line(gathered, monkeypatch, capsys, error, status, line):
    gathered.append(error)
    assert run(monkeypatch, "o") == status
    captured = capsys.readouterr()
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1


def test_an_unknown_option_is_refused(gathered, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "o", "--sede", "4")
    assert "--sede" in capsys.readouterr().err
    assert gathered == []
