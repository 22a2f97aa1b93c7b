"""Documents that changed are named by their file and id, within 80 columns."""

from types import SimpleNamespace

from flows.diff_text import documents_text
from flows.tables import WIDTH


def row(change, **more):
    named = {"source": "web", "file": "a.jsonl", "record": 3, "record_id": "r-1", "document_id": "f" * 32}
    return SimpleNamespace(**{**named, "change": change, "n_tokens": 1_234, "earlier_file": None, **more})


def test_the_first_documents_of_each_change_are_named():
    lines = documents_text([row("in"), row("in", record_id=None), row("out")], {"in": 5, "out": 1, "renamed": 0}).split(
        "\n"
    )
    assert lines[:2] == ["", "Documents in: 5, the first 2"]
    assert lines[2].split() == ["file", "id", "source", "record", "tokens"]
    assert lines[3].split() == ["a.jsonl", "r-1", "web", "3", "1,234"]
    assert lines[4].split()[1] == "f" * 12  # without an id of its own
    assert lines[5:7] == ["", "Documents out: 1"]
    assert not any("renamed" in line for line in lines)


def test_a_renamed_document_has_both_names():
    lines = documents_text([row("renamed", earlier_file="b.jsonl")], {"in": 0, "out": 0, "renamed": 1}).split("\n")
    assert "b.jsonl -> a.jsonl" in lines[3]


def test_names_are_printable_and_fit():
    text = documents_text([row("in", file="x\x1b" * 60)], {"in": 1})
    assert "\x1b" not in text
    assert max(map(len, text.split("\n"))) <= WIDTH
    assert documents_text([], {"in": 0, "out": 0, "renamed": 0}) == ""
