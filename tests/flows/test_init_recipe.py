"""A recipe of `longmix init` builds as it is."""

import tomllib
from pathlib import Path

import pytest

from flows import init_recipe
from flows.init_recipe import EXAMPLE_TOKENIZER, eos_of, quoted, relative
from pipelines.build import build
from pipelines.catalog import rows_of
from pipelines.recipe import load
from schemas.errors import RecipeError
from tests.conftest import TINY
from tests.flows.test_cli import invoked
from tests.pipelines.test_survey import jsonl

CORPUS = TINY.parents[1] / "examples" / "corpus"


def test_the_recipe_of_the_example_corpus_builds(tmp_path):
    from flows.summary import catalog

    out = tmp_path / "my recipe.toml"
    result = invoked("init", str(CORPUS), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "stackexchange  parquet  text" in result.output
    assert "The tokenizer is the example's" in result.output
    recipe = load(out)
    assert {source.name: source.format for source in recipe.sources} == {
        "arxiv": "jsonl", "book": "text", "c4": "jsonl", "commoncrawl": "jsonl", "github": "jsonl",
        "stackexchange": "parquet", "wikipedia": "jsonl",
    }  # fmt: skip
    with catalog(build(recipe, tmp_path / "root")) as con:
        (totals,) = rows_of(con, "FROM totals")
        domains = con.execute("SELECT count(DISTINCT domain) FROM draws").fetchone()
    assert totals["tokens"] == recipe.plan.budget_tokens  # the budget is met
    assert domains == (7,)


def test_odd_names_build(tmp_path):
    folder = tmp_path / "a [b] \"c'"
    for i in range(3):
        jsonl(folder / f"x [1]-{i}.jsonl", *({"my text": f"{i} {j} " + "words " * 50} for j in range(20)))
    jsonl(folder / "sub ü" / "y.jsonl", {"my text": "other words " * 50})
    out = tmp_path / "r.toml"
    assert invoked("init", str(folder), "-o", str(out)).exit_code == 0
    recipe = load(out)
    assert sorted((source.name, source.text) for source in recipe.sources) == [("sub", "my text"), ("x-1", "my text")]
    version = build(recipe, tmp_path / "root")
    assert version.folder.parent.name == "a-b-c"
    assert sorted(source.domain for source in recipe.sources) == ["sub ü", "x-1"]


def test_what_a_recipe_cannot_use_is_named(tmp_path):
    folder = tmp_path / "data"
    jsonl(folder / "chat.jsonl", {"messages": [{"role": "user", "content": "q"}]})
    (folder / "x.pdf").write_text("x")
    result = invoked("init", str(folder), "-o", str(tmp_path / "r.toml"))
    assert isinstance(result.exception, RecipeError)
    assert "no source has a field of text" in str(result.exception)
    assert str(result.exception).endswith("see mixes/sft-64k.toml and docs/samples.md")
    assert "Left out, as files of other formats: .pdf (1). text_suffixes of a source" in result.output
    assert "instruction samples (see docs/samples.md): chat." in " ".join(result.output.split())
    assert not (tmp_path / "r.toml").exists()


def test_no_file_is_written_over(tmp_path):
    jsonl(tmp_path / "data" / "a.jsonl", {"text": "a"})
    (tmp_path / "r.toml").write_text("mine")
    result = invoked("init", str(tmp_path / "data"), "-o", str(tmp_path / "r.toml"))
    assert "exists; choose another --out" in str(result.exception)
    assert (tmp_path / "r.toml").read_text() == "mine"
    result = invoked("init", str(tmp_path / "data"), "-o", str(tmp_path / "none" / "r.toml"))
    assert "its folder does not exist" in str(result.exception)


def test_a_string_of_toml():
    for text in ('a"b\\c', "tab\tnew\nline", "ü 中 \x7f\x01"):
        assert tomllib.loads(f"x = {quoted(text)}")["x"] == text


def test_a_near_path_is_relative():
    assert relative(Path("/a/b/c"), Path("/a/b/r.toml")) == "c"
    assert relative(Path("/a/c"), Path("/a/b/r.toml")) == "../c"
    assert relative(Path("/c"), Path("/a/b/r.toml")) == "/c"
    assert relative(Path("/d/../c"), Path("/a/b/r.toml")) == "/c"


def test_the_token_that_ends_a_document(tmp_path):
    assert eos_of(str(EXAMPLE_TOKENIZER), tmp_path / "r.toml") == "<|endoftext|>"
    path = tmp_path / "tokenizer.json"
    for tokens, eos in (([("<s>", True), ("</s>", True)], "</s>"), ([("<x>", True), ("</s>", False)], "<x>")):
        listed = [{"content": content, "special": special} for content, special in tokens]
        path.write_text(init_recipe.json.dumps({"added_tokens": listed}))
        assert eos_of("tokenizer.json", tmp_path / "r.toml") == eos
    path.write_text("{}")
    with pytest.raises(RecipeError, match=r"not a tokenizer\.json"):
        eos_of("tokenizer.json", tmp_path / "r.toml")


def test_code_builds_and_the_next_commands_can_be_copied(tmp_path):
    from flows.summary import catalog

    folder = tmp_path / "my code"
    for i in range(3):
        (folder / f"{i}").mkdir(parents=True)
        (folder / f"{i}" / "a.py").write_text(f"n = {i}\n" + "print('words')\n" * 200)
        (folder / f"{i}" / "b.txt").write_text(f"{i} " + "some text " * 200)
    out = tmp_path / "my recipe.toml"
    result = invoked("init", str(tmp_path), "--out", str(out))
    assert f"  longmix plan '{out}'\n  longmix build '{out}'\n" in result.output
    (source,) = load(out).sources
    assert (source.name, source.text_suffixes) == ("my-code", (".py", ".txt"))
    with catalog(build(load(out), tmp_path / "root")) as con:
        (row,) = rows_of(con, "SELECT count(*) AS n FROM documents")
    assert row["n"] == 6
