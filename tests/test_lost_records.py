"""A source that loses records: what a build says, what can be asked afterwards, and what of it is published."""

import json

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.opened import Query
from flows.query import ask
from flows.summary import summary
from pipelines.build import build
from pipelines.check import check
from pipelines.forecast import forecast
from pipelines.garbage import collect
from pipelines.ingested import last_ingest
from pipelines.recipe import load
from schemas.errors import RecipeError
from schemas.manifest import Manifest
from tests import micro


def lossy(folder, **changes):
    """The small mix with a source of three records without a text."""
    path = micro.write(folder)
    (folder / "corpus" / "forum.jsonl").write_text('{"body": "x"}\n' * 3)
    keys = {"name": '"forum"', "domain": '"forum"', "path": '"corpus/forum.jsonl"', **changes}
    path.write_text(path.read_text() + "\n[[sources]]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()))
    return load(path)


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failed")
    with pytest.raises(RecipeError, match=r"^sources\.forum: all 3 records rejected, most as text_missing"):
        build(lossy(folder), folder / "root")
    return folder / "root"


@pytest.fixture(scope="module")
def allowed(tmp_path_factory):
    """The root and the version of the same mix with a limit of 1."""
    folder = tmp_path_factory.mktemp("allowed")
    recipe = lossy(folder, max_rejected_share="1")
    return recipe, folder / "root", build(recipe, folder / "root")


def rows(root, sql, **query):
    return [json.loads(line) for line in ask(root, Query(sql, **query), "json").splitlines()]


def test_what_was_rejected_can_be_asked_after_a_build_that_failed(failed, capsys):
    (row, *_) = three = rows(failed, "FROM rejected")
    assert len(three) == 3
    assert (row["source"], row["reason"], row["head"]) == ("forum", "text_missing", '{"body": "x"}')
    assert "micro: the documents and rejected records of its last ingest" in capsys.readouterr().err
    assert rows(failed, "FROM rejections")[0]["records"] == 3
    assert len(rows(failed, "FROM documents", version="ingested")) == micro.N_DOCUMENTS
    assert len(rows(failed, "FROM tables.documents WHERE len(text) > 0", mix="micro")) == micro.N_DOCUMENTS
    only = r"^query: Catalog Error: Table with name totals does not exist! Without a version there are documents, rejected and"
    with pytest.raises(RecipeError, match=only):
        rows(failed, "FROM totals")
    with pytest.raises(RecipeError, match="holds no dataset"):
        rows(failed, "FROM rejected", mix="other")
    with pytest.raises(RecipeError, match="no ingest of other; there are micro"):
        rows(failed, "FROM rejected", mix="other", version="ingested")


def test_check_and_gc_know_the_last_ingest(failed, allowed):
    assert [result.fault for result in check(failed) if result.fault] == []
    _, root, _ = allowed
    path = root / "ingested" / "micro.json"
    collect(root, dry_run=False)
    assert path.exists()  # a version lists its shards
    record = json.loads(path.read_text())
    record["shards"][0]["content_hash"] = "0" * 32
    path.write_text(json.dumps(record))
    assert collect(root, dry_run=False)[0] == 1
    assert not path.exists()
    path.write_text("{")
    assert [result.fault.path for result in check(root) if result.fault] == ["ingested/micro.json"]
    with pytest.raises(RecipeError, match=r"micro.json: not a readable list of shards"):
        last_ingest(root, None)
    path.unlink()
    with pytest.raises(RecipeError, match="nothing was ingested; build a mix first"):
        last_ingest(root, None)


def test_a_limit_of_1_builds_and_says_so_everywhere(allowed):
    recipe, root, version = allowed
    (note,) = version.notes
    assert note.startswith("source forum: all 3 records rejected, most as text_missing: ")
    assert Manifest.of(version.folder).notes == version.notes
    for page in (version.folder / "README.md", version.folder / "report.html"):
        assert "source forum: all 3 records rejected" in page.read_text()
    assert "source forum: all 3 records rejected" in summary(version, root, 1)
    assert "rejected: 3 records (3 text_missing)" in summary(version, root, 1)
    again = build(recipe, root)
    assert (again.version, again.is_new, again.notes) == (version.version, False, version.notes)
    assert forecast(recipe, root).notes == version.notes


def test_the_limit_and_the_notes_do_not_name_a_version(allowed):
    recipe, _, _ = allowed
    other = recipe.sources[-1].model_copy(update={"max_rejected_share": 0.5})
    assert recipe.model_copy(update={"sources": (*recipe.sources[:-1], other)}).identity() == recipe.identity()


def test_a_plan_says_that_a_build_stops(tmp_path):
    lossy(tmp_path)
    answer = CliRunner().invoke(app, ["plan", str(tmp_path / "micro.toml"), "--root", str(tmp_path / "root")])
    assert answer.exit_code == 0
    lines = " ".join(answer.output.split())
    assert "source forum: all 3 records rejected, most as text_missing: " in lines
    assert (
        "source forum: a build stops here; set the source's text to its text column, or set max_rejected_share = 1"
        in lines
    )
