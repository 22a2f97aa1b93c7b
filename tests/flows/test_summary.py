"""The summary of a build is read from its catalog and fits into 80 columns."""

from pathlib import Path

import duckdb
import pytest

from flows.summary import catalog, longmix, scores, summary
from pipelines.catalog import rows_of, write_catalog
from pipelines.versions import Version
from tests.schemas.test_laws import put, reading, refuse, sound, with_chunks


def version(tmp_path, *changes) -> Version:
    tables = sound()
    for change in changes:
        change(tables)
    tmp_path.mkdir(exist_ok=True)
    write_catalog(reading(tables), tmp_path / "catalog.duckdb", {"mix": "m"})
    return Version(tmp_path, "m", "abc", is_new=True)


SCORES_OF_A_MODEL = ("SCORES_CHUNK_GAIN", "SCORES_PROLONG", "SCORES_INFOGAIN", "SCORES_LONGATTN")


def no_model(tables):
    for name in [name for name in tables if name == "BUDGET" or name in SCORES_OF_A_MODEL]:
        del tables[name]


def test_a_summary_says_where_the_dataset_is_and_what_is_in_it(tmp_path):
    text = summary(version(tmp_path), Path("root"), 12.3)
    lines = text.splitlines()
    assert "m abc: made in 12 s" in lines
    assert f"  {tmp_path}" in lines
    assert "  14 tokens in 3 sequences of 8, 58.33% filled" in lines
    assert "  4 documents read, 2 kept" in lines
    assert "  rejected: 1 record (1 not_json)" in lines
    assert "tokenizer" not in text
    assert "The budget can be met: the corpus supplies all 14 tokens." in lines
    assert "  book      14   14" in lines
    assert any(line.endswith("show root 0") for line in lines)
    assert lines[-1].endswith("report.html"), "a script reads the last line"
    assert not text.endswith("\n")


def test_the_next_steps_name_the_mix_where_the_root_has_others(tmp_path):
    made = version(tmp_path)
    for mix, marks in (("m", ""), ("other", " --mix m")):
        folder = tmp_path / "root" / "datasets" / mix / "v"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        steps = summary(made, tmp_path / "root", 1).splitlines()[-3:-1]
        assert [step.partition(" root ")[2] or step.partition("/root ")[2] for step in steps] == [
            f"0{marks}",
            f'"FROM totals"{marks}',
        ]


def test_a_summary_says_what_the_tokenizer_refused_or_lost(tmp_path):
    changes = put("TOKENS", 0, 0, decodes=False, fell_back="hostile"), put("TOKENS", 1, 1, decodes=True)
    text = summary(version(tmp_path, refuse, *changes), Path("root"), 1)
    lines = text.splitlines()
    assert "  rejected: 2 records (1 no_token, 1 not_json)" in lines
    assert "Refused by the tokenizer: 1 document (s: 1). The view rejected says why." in lines
    assert "Lossy tokenizer: 1 of 2 sampled documents cannot be decoded to the same text (s:" in lines
    assert "Encoded by tokenizers, since fastokens gave other ids: 1 shard (s: 1). The ids" in lines
    assert max(map(len, lines[: lines.index("Next, for example:")][3:])) <= 80


@pytest.mark.parametrize("is_new", [True, False])
def test_a_version_that_was_published_before_says_so(tmp_path, is_new):
    version(tmp_path)
    text = summary(Version(tmp_path, "m", "abc", is_new=is_new), Path("root"), 3)
    assert ("m abc: made in 3 s" in text, "m abc: nothing to make (3 s)" in text) == (is_new, not is_new)


def test_a_shortfall_is_in_the_summary_with_its_cells(tmp_path):
    text = summary(
        version(tmp_path, put("TARGETS", 0, 1, target_tokens=1_012, over_share_documents=1, over_share_tokens=5)),
        Path("root"),
        1,
    )
    assert "Shortfall: 1,000 of 1,014 tokens cannot be supplied and are not substituted." in text
    assert "  book    long   1,012         12      1,000" in text
    assert "Left out by plan.max_document_share: 1 document, 5 tokens." in text


def test_what_the_plan_leaves_out_is_in_the_summary_by_reason_and_domain(tmp_path):
    leave_out = put("SCORES_CHEAP", 1, 1, refused="list"), put("TARGETS", 0, 0, dropped_documents=1, dropped_tokens=3)
    lines = summary(version(tmp_path, *leave_out), Path("root"), 1).splitlines()
    assert "Left out by plan.select.drop: 1 document, 3 tokens." in lines
    assert "Left out by reason: list 1 document (3 tokens)." in lines
    assert "Share of a domain's tokens that is left out: book 33.3%." in lines
    assert "Left out" not in summary(version(tmp_path / "all"), Path("root"), 1)


def catalog_of(made):
    return duckdb.connect(str(made.folder / "catalog.duckdb"))


def test_a_path_and_its_chunks_are_in_the_summary(tmp_path):
    made = version(tmp_path, with_chunks)
    text = " ".join(summary(made, Path("root"), 1).split())
    assert "0.500, of at most 0.500. Adjacent in a sequence: 1 of 1 consecutive pairs." in text
    assert "Chunks: 4 chunks, 0 of them after a chunk that they are a neighbour of. 1 document in more" in text
    with catalog_of(made) as con:  # as an earlier release wrote it
        con.execute("DROP TABLE extension")
        con.execute("ALTER TABLE path_quality DROP largest_near_set")
        con.execute("UPDATE path_quality SET near_copies = 1")
    older = " ".join(summary(made, Path("root"), 1).split())
    assert "No sequence has two documents of a near set. The budget" in older
    assert "Chunks" not in older
    other = summary(version(tmp_path / "other"), Path("root"), 1)
    assert "Path" not in other
    assert "Chunks" not in other


def test_reasons_are_given_where_no_document_has_a_score(tmp_path):
    unscored = dict.fromkeys(("score", "error", "near"))
    made = version(tmp_path, put("SCORES_CHUNK_GAIN", 0, 0, status="not_scored", reason="budget", **unscored))
    with catalog(made) as con:
        gains, reasons = scores(con, rows_of(con, "FROM totals")[0])
    assert gains[1:] == ["  no document has a score"]
    assert reasons[1:] == ["  reason  documents  tokens", "  budget          1       6", "  short           1       3"]


def test_scores_are_given_where_a_model_was_run(tmp_path):
    with catalog(version(tmp_path)) as con:
        gains, _ = scores(con, rows_of(con, "FROM totals")[0])
    assert gains[-1].split() == ["book", "0-1K", "2", "1", *["0.500"] * 5]


def test_a_recipe_without_a_model_has_no_scores(tmp_path):
    made = version(tmp_path, no_model)
    with catalog(made) as con:
        assert scores(con, rows_of(con, "FROM totals")[0]) == []
    assert "chunk_gain" not in summary(made, Path("root"), 1)


def test_the_command_is_named_as_it_can_be_typed(monkeypatch):
    monkeypatch.setattr("flows.summary.shutil.which", lambda _: "/usr/bin/longmix")
    assert longmix() == "longmix"
    monkeypatch.setattr("flows.summary.shutil.which", lambda _: None)
    monkeypatch.setattr("flows.summary.sys.argv", ["my env/bin/longmix"])
    assert longmix() == "'my env/bin/longmix'"
