"""The small mix, looked at as its users will: by datasets, DuckDB, the command line; and the traps in its corpus."""

import json
import re

import datasets
import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer
from typer.testing import CliRunner

from flows.cli import app
from flows.opened import Query, opened
from flows.query import ask
from pipelines.recipe import load
from pipelines.versions import damaged_files
from schemas.errors import RecipeError
from schemas.manifest import Manifest
from schemas.tables import SEQUENCES, holds
from tests.conftest import TINY

TOKENIZER = TINY.parents[1] / "examples" / "tokenizer" / "tokenizer.json"


@pytest.fixture(scope="module")
def con(tiny):
    with opened(tiny.folder, None, "latest") as (con, _, _):
        yield con


def one(con, query, *values):
    return con.execute(query, values).fetchall()


def test_datasets_and_duckdb_read_the_same(tiny, tmp_path):
    files = sorted(str(p) for p in tiny.folder.glob("sequences-*.parquet"))
    rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    found = duckdb.sql(f"SELECT count(*), sum(len(input_ids)) FROM read_parquet({files})").fetchall()[0]
    assert found == (len(rows), sum(len(row["input_ids"]) for row in rows))
    assert holds(pq.read_schema(files[0])) == holds(SEQUENCES)


def test_every_segment_is_the_documents_own_tokens_and_they_decode_to_its_text(con):
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    query = """
        SELECT v.document_id, t.input_ids, d.text FROM documents v
        JOIN tables.tokens t USING (shard, row) JOIN tables.documents d USING (shard, row) WHERE v.verdict = 'kept'
    """
    whole = {}
    for name, ids, text in one(con, query):
        assert tokenizer.decode(ids[:-1], skip_special_tokens=False) == text
        assert ids[-1] == tokenizer.token_to_id("<|endoftext|>")
        whole[name] = np.array(ids)
    n = 0
    for ids, cuts, segments in one(con, "SELECT input_ids, cu_seqlens, segments FROM tables.sequences"):
        for segment, start, stop in zip(segments, cuts, cuts[1:], strict=False):
            mine = whole[segment["document_id"]][segment["document_start"] : segment["document_stop"]]
            assert np.array_equal(np.array(ids[start:stop]), mine)
            n += 1
    assert n > 100


def test_shares_are_those_of_the_corpus_without_what_is_dropped(con):
    dropped = dict(one(con, "SELECT domain, sum(tokens)::BIGINT FROM left_out GROUP BY domain"))
    assert dropped
    rest = {domain: tokens - dropped.get(domain, 0) for domain, tokens, *_ in one(con, "FROM shares")}
    for domain, _, _, _, after in one(con, "FROM shares"):
        assert abs(rest[domain] / sum(rest.values()) - after) <= 0.0005, domain


def test_no_document_that_the_cheap_tier_refuses_as_a_repeat_or_a_list_is_drawn(con):
    assert one(con, "FROM draws JOIN scores USING (document_id) WHERE refused IN ('repeats', 'list')") == []
    reasons = one(con, "SELECT DISTINCT refused FROM scores WHERE refused IS NOT NULL ORDER BY refused")
    assert reasons == [("list",), ("repeats",)]


def test_the_budget_is_met_to_the_token(con):
    assert one(con, "SELECT sum(drawn_tokens) FROM draws") == [(load(TINY).plan.budget_tokens,)]


def test_long_documents_are_drawn_more_often(con):
    """Of those that are not dropped."""
    drawn = "sum(drawn_tokens) FILTER (is_long = {0}) / sum(n_tokens) FILTER (is_long = {0})"
    query = f"""
        SELECT domain, {drawn.format("true")} AS long, {drawn.format("false")} AS short
        FROM (
            SELECT d.domain, d.n_tokens, d.length_bucket >= '4-8K'::length_bucket AS is_long, w.drawn_tokens
            FROM documents d JOIN scores s USING (document_id)
            LEFT JOIN (SELECT document_id, sum(drawn_tokens) AS drawn_tokens FROM draws GROUP BY ALL) w USING (document_id)
            WHERE d.token_status = 'encoded' AND s.refused IS NULL
        ) GROUP BY domain HAVING long IS NOT NULL AND short IS NOT NULL
    """
    found = one(con, query)
    assert len(found) >= 4
    for domain, long, short in found:
        assert short == pytest.approx(0.1 * long, rel=0.01), domain


# -- the traps


def of_text(con, start):
    query = """
        SELECT v.document_id, v.verdict, v.kept_id, v.similarity, v.domain, v.n_tokens
        FROM documents v JOIN tables.documents d USING (shard, row) WHERE starts_with(d.text, ?)
    """
    return one(con, query, start)


def test_exact_copies_name_the_one_that_stays(con):
    found = one(con, "SELECT d.domain, k.verdict, d.content_hash = k.content_hash, d.similarity FROM documents d JOIN documents k ON k.document_id = d.kept_id WHERE d.verdict = 'exact'")  # fmt: skip
    assert len(found) >= 5
    assert {row[1:] for row in found} == {("kept", True, 1.0)}


def test_two_translations_of_one_book_both_stay(con):
    for start in ("The Book of Ruth", "The Book of\n\nRuth", "Jonah", "The Book of\n\nJonah"):
        found = [row for row in of_text(con, start) if row[4] == "book"]
        assert found, start
        assert {row[1] for row in found} == {"kept"}, start


def test_one_text_as_text_and_as_latex_in_two_domains_both_stay(con):
    """Alike by 0.44, as the two in the corpus are: seen as candidates or not, neither is dropped."""
    latex = of_text(con, "\\documentclass{article}\n\\usepackage[utf8]{inputenc}")
    text = of_text(con, "\nSTATE OF THE UNION ADDRESS") or one(con, "SELECT document_id, verdict, kept_id, similarity, domain, n_tokens FROM documents WHERE file LIKE '%1827-john-quincy%'")  # fmt: skip
    assert [(row[1], row[4]) for row in (*latex, *text)] == [("kept", "arxiv"), ("kept", "book")]


def test_a_site_in_one_file_is_reported_and_not_dropped(con, tiny):
    found = one(
        con, "SELECT inside_id, count(*), min(containment) FROM contained GROUP BY inside_id ORDER BY 2 DESC LIMIT 1"
    )
    (whole, n, least), *_ = found
    assert n >= 6
    assert least >= 0.9
    texts = one(con, "SELECT d.text FROM documents v JOIN tables.documents d USING (shard, row) WHERE v.document_id IN (SELECT document_id FROM contained WHERE inside_id = ?)", whole)  # fmt: skip
    ((site,),) = one(
        con, "SELECT d.text FROM documents v JOIN tables.documents d USING (shard, row) WHERE v.document_id = ?", whole
    )
    assert all(text.strip() in site for (text,) in texts)
    assert {
        verdict
        for (verdict,) in one(
            con, "SELECT verdict FROM documents WHERE document_id IN (SELECT document_id FROM contained)"
        )
    } == {"kept"}
    assert whole in (tiny.folder / "report.html").read_text()


def test_a_page_of_another_release_is_a_near_copy(con):
    near = one(con, "SELECT domain, similarity FROM documents WHERE verdict = 'near' AND domain = 'commoncrawl'")
    assert any(0.7 <= similarity < 1 for _, similarity in near)


def test_the_generated_file_is_an_eighth_of_its_domain_and_the_report_says_so(con, tiny):
    (share,) = one(
        con, "SELECT max(n_tokens) / sum(n_tokens) FROM documents WHERE verdict = 'kept' AND domain = 'github'"
    )[0]
    assert share > 1 / 8
    assert f"{share:.2%}" in (tiny.folder / "report.html").read_text()


# -- what users touch


def test_the_folder_holds_what_the_readme_says(tiny):
    names = sorted(p.name for p in tiny.folder.iterdir())
    pages = ["README.md", "catalog.duckdb", "manifest.json", "report.html"]
    assert names == [*pages, "sequences-00000-of-00001.parquet", "tokenizer.json"]
    assert tiny.folder.with_name("latest").resolve() == tiny.folder.resolve()
    assert damaged_files(tiny.folder, verify=True) == []


def test_nothing_published_names_this_machine(tiny):
    for path in tiny.folder.iterdir():
        if path.name != "catalog.duckdb":
            text = path.read_bytes()
            if path.name == "README.md":  # the one line that works from anywhere
                text = re.sub(rb'load_dataset\("[^"]*"', b"", text, count=1)
            assert str(tiny.folder.parents[2]).encode() not in text, path
    with duckdb.connect(str(tiny.folder / "catalog.duckdb"), read_only=True) as con:
        for (table,) in con.execute("SHOW TABLES").fetchall():
            assert str(tiny.folder.parents[2]) not in repr(con.execute(f"FROM {table}").fetchall())


def test_the_manifest_leads_back_to_the_raw_files(tiny):
    manifest = Manifest.of(tiny.folder)
    assert len(manifest.version) == 12
    assert {s.came_from is not None for s in manifest.tables["DOCUMENTS"]} == {True}


def test_query_in_three_forms(tiny):
    root = tiny.folder.parents[2]
    sql = "SELECT verdict, count(*) AS n FROM documents GROUP BY ALL ORDER BY n DESC LIMIT 1"
    (row,) = [json.loads(line) for line in ask(root, Query(sql), "json").splitlines()]
    assert row["verdict"] == "kept"
    assert ask(root, Query(sql), "csv") == f"verdict,n\nkept,{row['n']}"
    assert "kept" in ask(root, Query(sql), "table")
    with pytest.raises(RecipeError, match=r"query: .*nothing_here"):
        ask(root, Query("FROM nothing_here"), "table")


def test_show_names_file_and_record(tiny):
    found = CliRunner().invoke(app, ["show", str(tiny.folder.parents[2]), "0"])
    assert found.exit_code == 0
    assert "record " in found.output
    assert "of the shard at byte" in found.output


@pytest.mark.parametrize(
    "words", [["--help"], *([c, "--help"] for c in ("build", "refresh", "plan", "query", "show", "corpus", "gc"))]
)
def test_help_helps(words):
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0
    assert len(found.output.splitlines()) > 5
