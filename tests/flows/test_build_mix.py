"""Artifacts of a build come from the views of its version."""

import logging
from types import SimpleNamespace

import pytest

from flows import build_mix
from flows.build_mix import announce
from pipelines.catalog import write_catalog
from pipelines.versions import Version
from tests.schemas import sft_laws
from tests.schemas.test_laws import opened, put, refuse, sound


@pytest.fixture
def artifacts(monkeypatch, caplog):
    """key -> what was published under it; log lines are kept by caplog."""
    made = {}
    for kind in ("table", "markdown"):
        monkeypatch.setattr(build_mix, f"create_{kind}_artifact", lambda body, key, description: made.update({key: (body, description)}))  # fmt: skip
    monkeypatch.setattr(build_mix, "get_run_logger", lambda: logging.getLogger("test"))
    caplog.set_level(logging.INFO)
    return SimpleNamespace(made=made, log=caplog)


def version(tmp_path, *changes, is_new=True):
    tables = sound()
    for change in changes:
        change(tables)
    with opened(tables, tmp_path) as con:
        write_catalog(con, tmp_path / "catalog.duckdb", {"mix": "m"})
    (tmp_path / "README.md").write_text("---\nfront: matter\n---\n# the card\n")
    return Version(tmp_path, "m", "abc", is_new=is_new)


def test_a_build_publishes_lengths_targets_and_its_card(artifacts, tmp_path):
    announce(version(tmp_path, put("TARGETS", 0, 1, target_tokens=15), put("TARGETS", 0, 0, rate=None)))
    (row,), _ = artifacts.made["tokens-by-domain-and-length"]
    assert (row["domain"], row["0-1K"], row["1-2K"]) == ("book", 14, 0)
    targets, description = artifacts.made["targets"]
    assert [(row["kind"], row["shortfall_tokens"], row["rate"]) for row in targets] == [
        ("short", 0, "-"),
        ("long", 3, "1.000"),
    ]
    sentence = "Shortfall: 3 of 17 tokens cannot be supplied and are not substituted."
    assert description == sentence
    assert sentence in artifacts.log.messages
    body, _ = artifacts.made["mix"]
    assert body == f"**{tmp_path}**\n\n# the card\n"


def test_a_set_of_samples_publishes_what_was_chosen(artifacts, tmp_path):
    with opened(sft_laws.sound(), tmp_path) as con:
        write_catalog(con, tmp_path / "catalog.duckdb", {"mix": "m", "recipe": {"samples": {}}})
    (tmp_path / "README.md").write_text("---\nfront: matter\n---\n# the card\n")
    announce(Version(tmp_path, "m", "abc", is_new=True))
    assert artifacts.made.keys() == {"tokens-by-domain-and-length", "chosen-by-domain", "mix"}
    rows, description = artifacts.made["chosen-by-domain"]
    assert {row["domain"]: row["chosen"] for row in rows} == {"tip": 1, "web": 2}
    shortfall = "Shortfall: 1 of 3 samples that choose.top asks for cannot be supplied and are not substituted."
    assert shortfall in description
    assert shortfall in artifacts.log.messages


def test_what_was_rejected_and_refused_is_logged(artifacts, tmp_path):
    announce(version(tmp_path, refuse))
    assert "Rejected: 2 records (1 no_token, 1 not_json)" in artifacts.log.messages
    assert "Refused by the tokenizer: 1 document (s: 1). The view rejected says why." in artifacts.log.messages


def test_a_version_that_was_published_before_says_so(artifacts, tmp_path):
    announce(version(tmp_path, is_new=False))
    assert artifacts.made["mix"][0].startswith(f"**{tmp_path}**: published before, nothing was made.")
