"""Artifacts of a build come from the views of its version, and show values of users' data as they are."""

import logging
from types import SimpleNamespace

import pytest

from flows import artifacts as module
from flows.artifacts import MAX_ROWS, announce, cell, publish_table
from pipelines.catalog import write_catalog
from pipelines.versions import Version
from tests.schemas import sft_laws
from tests.schemas.test_laws import put, reading, refuse, sound


@pytest.fixture
def artifacts(monkeypatch, caplog):
    """key -> what was published under it; log lines are kept by caplog."""
    made = {}
    for kind in ("table", "markdown"):
        monkeypatch.setattr(module, f"create_{kind}_artifact", lambda body, key, description: made.update({key: (body, description)}))  # fmt: skip
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("test"))
    caplog.set_level(logging.INFO)
    return SimpleNamespace(made=made, log=caplog)


def version(tmp_path, *changes, is_new=True, notes=()):
    tables = sound()
    for change in changes:
        change(tables)
    write_catalog(reading(tables), tmp_path / "catalog.duckdb", {"mix": "m"})
    (tmp_path / "README.md").write_text("---\nfront: matter\n---\n# the card\n")
    return Version(tmp_path, "m", "abc", is_new=is_new, notes=notes)


def test_a_build_publishes_lengths_targets_and_its_card(artifacts, tmp_path):
    announce(version(tmp_path, put("TARGETS", 0, 1, target_tokens=15), put("TARGETS", 0, 0, rate=None)))
    rows, _ = artifacts.made["tokens-by-domain-and-length"]
    assert rows == [{"domain": name, "0-1K": "14", "all": "14"} for name in ("book", "all")]
    targets, description = artifacts.made["targets"]
    columns = ("domain", "kind", "target_tokens", "shortfall_tokens", "rate")
    assert [tuple(row[name] for name in columns) for row in targets] == [
        ("book", "short", "2", "0", "-"),
        ("book", "long", "15", "3", "1.000"),
        ("all", "", "17", "3", ""),
    ]
    sentence = "Shortfall: 3 of 17 tokens cannot be supplied and are not substituted."
    assert description == sentence
    assert sentence in artifacts.log.messages
    body, _ = artifacts.made["mix"]
    assert body == f"```\nfolder  {tmp_path}\nreport  file://{tmp_path}/report.html\n```\n\n# the card\n"


def test_a_set_of_samples_publishes_what_was_chosen(artifacts, tmp_path):
    con = reading(sft_laws.sound())
    write_catalog(con, tmp_path / "catalog.duckdb", {"mix": "m", "recipe": {"samples": {}}})
    (tmp_path / "README.md").write_text("---\nfront: matter\n---\n# the card\n")
    announce(Version(tmp_path, "m", "abc", is_new=True))
    assert artifacts.made.keys() == {"tokens-by-domain-and-length", "chosen-by-domain", "rejected", "mix"}
    rows, description = artifacts.made["chosen-by-domain"]
    assert {row["domain"]: row["chosen"] for row in rows} == {"tip": "1", "web": "2", "all": "3"}
    shortfall = "Shortfall: 1 of 3 samples that choose.top asks for cannot be supplied and are not substituted."
    assert shortfall in description
    assert shortfall in artifacts.log.messages


def test_what_was_rejected_and_refused_is_logged(artifacts, tmp_path):
    announce(version(tmp_path, refuse))
    assert "Rejected: 2 records (1 no_token, 1 not_json)" in artifacts.log.messages
    rows, _ = artifacts.made["rejected"]
    assert [tuple(row.values()) for row in rows] == [
        ("s", "encode", "no_token", "1"),
        ("s", "ingest", "not_json", "1"),
        ("all", "", "", "2"),
    ]
    assert "Refused by the tokenizer: 1 document (s: 1). The view rejected says why." in artifacts.log.messages


def test_a_version_that_was_published_before_says_so(artifacts, tmp_path):
    announce(version(tmp_path, is_new=False))
    assert artifacts.made["mix"][0].startswith("Published before, nothing was made.\n\n```\nfolder  ")


def test_notes_are_in_the_log_and_above_the_card_as_they_are(artifacts, tmp_path):
    note = "source a: 3 files passed over: .**md** (2), .``` (1); <b>set format</b>"
    announce(version(tmp_path, notes=(note,)))
    assert note in artifacts.log.messages
    assert f"Notes on the input:\n\n````\n{note}\n````\n\n# the card" in artifacts.made["mix"][0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567, "1,234,567"),
        (True, "true"),
        (None, "-"),
        (0.12345, "0.123"),
        ("", ""),
        ("book", "book"),
        ("**b** <i>", "`**b** <i>`"),
        ("a|b", "`a|b`"),  # no cell of a Markdown table: a backslash would be shown
        ("a\nb", "`a\\nb`"),
    ],
    ids=repr,
)
def test_a_cell_shows_a_value_as_it_is(value, shown):
    assert cell(value) == shown


def test_totals_are_of_all_rows_and_the_number_of_rows_is_bounded(artifacts):
    n = MAX_ROWS + 3
    rows = [{"domain": f"d{i}", "kind": "x", "tokens": i, "share": i / n} for i in range(n)]
    publish_table("key", rows, "words")
    shown, description = artifacts.made["key"]
    assert (len(shown), description) == (MAX_ROWS + 2, "words")
    assert shown[MAX_ROWS - 1]["domain"] == f"d{MAX_ROWS - 1}"
    rest = {"domain": "3 more", "kind": "", "tokens": f"{sum(range(MAX_ROWS, n)):,}", "share": ""}
    assert shown[MAX_ROWS:] == [rest, {"domain": "all", "kind": "", "tokens": f"{sum(range(n)):,}", "share": ""}]


def test_rows_of_two_things_have_a_total_each(artifacts):
    rows = [{"domain": d, "what": what, "tokens_in": n} for d, what, n in [("a", "corpus", 1), ("b", "corpus", 2), ("a", "mix", 4)]]  # fmt: skip
    publish_table("key", rows, "", by="what")
    assert [tuple(row.values()) for row in artifacts.made["key"][0][3:]] == [
        ("all", "corpus", "3"),
        ("all", "mix", "4"),
    ]


def test_a_table_without_rows_has_no_totals(artifacts):
    publish_table("key", [], "")
    assert artifacts.made["key"][0] == []
