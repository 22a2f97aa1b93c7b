"""`longmix query` and `longmix show` on the small mix."""

import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer

from flows.opened import Query, opened
from flows.query import MOST_ROWS, ask, ends, sequence_row, show_sequence
from flows.tables import WIDTH, printed
from pipelines.catalog import rows_of
from pipelines.recipe import load
from schemas.errors import RecipeError
from tests.conftest import TINY
from tests.schemas.test_laws import opened as of_tables
from tests.schemas.test_laws import sound


@pytest.fixture(scope="module")
def root(tiny):
    return tiny.folder.parents[2]


def test_an_answer_in_three_forms(root):
    sql = "SELECT verdict, count(*) AS n, NULL AS nothing FROM documents GROUP BY ALL ORDER BY n DESC LIMIT 1"
    (row,) = [json.loads(line) for line in ask(root, Query(sql), "json").splitlines()]
    assert row == {"verdict": "kept", "n": row["n"], "nothing": None}
    assert ask(root, Query(sql), "csv") == f"verdict,n,nothing\nkept,{row['n']},"
    assert f"{row['n']:,}" in ask(root, Query(sql), "table")


def test_a_long_answer_is_cut_only_as_a_table(root):
    sql = f"SELECT range AS n FROM range({MOST_ROWS + 5})"
    assert ask(root, Query(sql), "table").endswith(f"the first {MOST_ROWS:,} rows; --format csv prints all")
    assert len(ask(root, Query(sql), "json").splitlines()) == MOST_ROWS + 5
    assert len(ask(root, Query(sql), "csv").splitlines()) == MOST_ROWS + 6


def test_a_query_that_duckdb_refuses(root):
    with pytest.raises(RecipeError, match=r"query: .*nothing_here"):
        ask(root, Query("FROM nothing_here"), "table")


@pytest.mark.parametrize("sql", ["", " ; ", "-- nothing"])
def test_an_empty_query_is_refused(root, sql):
    with pytest.raises(RecipeError, match=r"^query: it is empty; for example: FROM lengths$"):
        ask(root, Query(sql), "table")


def test_json_has_no_nan(root):
    sql = "SELECT 'nan'::DOUBLE AS a, ['-inf'::DOUBLE, 1.5] AS b, {'c': 'inf'::DOUBLE} AS d, true AS e"
    assert json.loads(ask(root, Query(sql), "json"), parse_constant=pytest.fail) == {
        "a": "NaN", "b": ["-Infinity", 1.5], "d": {"c": "Infinity"}, "e": True,
    }  # fmt: skip


READS = ["FROM lengths", "EXPLAIN ANALYZE FROM lengths", "DESCRIBE documents", "SHOW TABLES", "SUMMARIZE lengths",
         "WITH x AS (FROM totals) FROM x", "SELECT count(*) FROM tables.documents WHERE len(text) > 0",
         "CREATE TEMP TABLE t AS FROM lengths; FROM t", "PIVOT lengths ON domain USING sum(tokens)"]  # fmt: skip


@pytest.mark.parametrize("sql", READS)
def test_a_query_reads_the_tables_of_its_version(root, sql):
    assert ask(root, Query(sql), "csv")


@pytest.mark.parametrize(
    "attack",
    [
        "COPY (SELECT 1) TO '{card}'",
        "COPY (SELECT 1 AS a) TO '{shard}' (FORMAT parquet, USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{shard}' (FORMAT parquet, USE_TMP_FILE false)",
        "explain analyze copy (SELECT 1 AS a) TO '{shard}' (FORMAT parquet, USE_TMP_FILE false)",
        "SELECT 1; COPY (SELECT 1 AS a) TO '{shard}' (FORMAT parquet, USE_TMP_FILE false)",
        "EXPORT DATABASE '{folder}/out'",
        "SELECT * FROM read_text('{card}')",
        "FROM '{card}'",
        "SELECT * FROM glob('/*')",
        "ATTACH '{folder}/catalog.duckdb' AS c",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true; FROM lengths",
        "SET lock_configuration = false; FROM lengths",
        "RESET allowed_paths; FROM lengths",
    ],
)
def test_a_query_reads_and_writes_nothing_else(root, tiny, attack, tmp_path):
    root = shutil.copytree(root, tmp_path / "root", symlinks=True)
    folder = root / "datasets" / "tiny" / tiny.version
    shard = min((root / "shards").rglob("*.parquet"))
    before = {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    with pytest.raises(RecipeError, match=r"^query: "):
        ask(root, Query(attack.format(card=folder / "README.md", shard=shard, folder=folder)), "csv")
    assert {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()} == before


def test_an_unrestricted_query_may_write(root, tmp_path):
    path = tmp_path / "lengths.csv"
    ask(root, Query(f"COPY (FROM lengths) TO '{path}'", is_unrestricted=True), "table")
    assert path.read_text().startswith("domain,length_bucket")


def test_the_views_of_a_query_are_those_of_the_build(root, tiny):
    """The variables come from the manifest: sequence_tokens among them."""
    with opened(root, None, "latest") as (con, manifest, folder):
        assert folder == tiny.folder.resolve()
        (totals,) = rows_of(con, "FROM totals")
    assert totals["sequence_tokens"] == manifest.recipe["pack"]["sequence_tokens"]
    assert totals["tokens"] == 400_000
    assert 0.9 < totals["fill_share"] <= 1


def tokens_of(con, row):
    """The tokens of a segment, from those of its document."""
    query = (
        "SELECT t.input_ids FROM documents d JOIN tables.tokens t USING (shard, row) "
        "WHERE d.document_id = ? AND d.verdict = 'kept'"
    )
    ((input_ids,),) = con.execute(query, [row["document_id"]]).fetchall()
    return input_ids[row["document_start"] : row["document_stop"]]


def test_a_sequence_is_shown_segment_by_segment(root):
    """Each with its own first and last tokens as text, also a piece from the middle of its document."""
    tokenizer = load(TINY).encode.tokenizer
    own = Tokenizer.from_file(tokenizer.path)
    n_pieces = n_short = 0
    for sequence in (0, 3, 24):
        with opened(root, None, "latest") as (con, _, _):
            rows = rows_of(con, f"SELECT * FROM segments WHERE sequence_id = {sequence} ORDER BY place")
            text = show_sequence(root, str(sequence), None, "latest", 50)
            lines = text.splitlines()
            assert [line for line in lines if len(line) > WIDTH] == []
            starts = [k for k, line in enumerate(lines) if line.startswith("  [")]
            assert [lines[k].split(")")[0] for k in starts] == [
                f"  [{row['sequence_start']:,}, {row['sequence_stop']:,}" for row in rows
            ]
            for row, start, stop in zip(rows, starts, [*starts[1:], len(lines)], strict=True):
                assert f"document {row['document_id']}" in lines[start + 1]
                text_lines = range(start + 4, stop)
                first = next(k for k in text_lines if lines[k].strip().startswith(("text ", "begins ")))
                shown = "".join("".join(lines[first:stop]).split())
                assert " ".join(line.strip() for line in lines[start + 4 : first]).startswith(
                    ("place", "goes on", "a ")
                )
                complete = own.decode(tokens_of(con, row), skip_special_tokens=False)
                whole = f"text{complete!r}"
                if len(complete) > 100:
                    whole = f"begins{complete[:50]!r}ends{complete[-50:]!r}"
                assert shown == "".join(whole.split()), f"{sequence=} {row['place']}"
                n_pieces += row["document_start"] > 0
                n_short += len(complete) <= 100
    assert n_pieces >= 1
    assert "'" not in show_sequence(root, "3", None, "latest", 0)


def test_only_the_ends_of_a_long_segment_are_decoded():
    own = Tokenizer.from_file(load(TINY).encode.tokenizer.path)
    words = [f"word{k}" for k in range(400)]
    input_ids = np.array(own.encode(" ".join(words)).ids)
    text = own.decode(input_ids.tolist())
    decoded = []

    class Spy:
        decoder = own.decoder

        def decode(self, ids, **options):
            decoded.append(len(ids))
            return own.decode(ids, **options)

    assert ends(Spy(), input_ids, 30) == [text[:30], text[-30:]]
    assert max(decoded) == 4 * 30
    for n in range(40):  # around the limit at which all is shown
        cut = input_ids[:n]
        whole = own.decode(cut.tolist())
        assert ends(own, cut, 10) == ([whole] if len(whole) <= 20 else [whole[:10], whole[-10:]]), n
        assert len(whole) % 2 or ends(own, cut, len(whole) // 2) == [whole], n


def test_a_character_of_four_tokens_is_shown_complete():
    own = Tokenizer.from_file(load(TINY).encode.tokenizer.path)
    character = next(c for c in map(chr, range(0x10000, 0x20000)) if len(own.encode(c).ids) == 4)
    for last in ("", "a"):
        text = character * 100 + last
        assert ends(own, np.array(own.encode(text).ids), 8) == [text[:8], text[-8:]]


def test_a_version_without_its_tokenizer_is_shown_without_text(tiny, tmp_path):
    shutil.copytree(tiny.folder.parents[2], tmp_path / "root", symlinks=True)
    next((tmp_path / "root").glob("datasets/tiny/*/tokenizer.json")).unlink()
    with pytest.raises(RecipeError, match=r"tokenizer.json: can't be read"):
        show_sequence(tmp_path / "root", "3", None, "latest", 10)
    assert "document" in show_sequence(tmp_path / "root", "3", None, "latest", 0)


def test_a_sequence_is_named_by_its_place_or_by_file_and_row(root):
    assert show_sequence(root, "0:3", None, "latest", 0).replace("0:3", "3") == show_sequence(
        root, "3", None, "latest", 0
    )


@pytest.mark.parametrize(
    ("sequence", "said"),
    [
        ("26", r"no sequence 26; choose one from 0 to 25$"),
        ("0:26", r"no row 26 in file 0; choose one from 0 to 25$"),
        ("1:0", r"no file 1; choose one from 0 to 0$"),
        ("-1", r"^'-1' is no sequence; name a place in the training order, as 3, or FILE:ROW, as 2:17$"),
        ("0:1:2", r"^'0:1:2' is no sequence"),
        (":1", r"^':1' is no sequence"),
    ],
)
def test_a_sequence_that_does_not_exist(root, sequence, said):
    with pytest.raises(RecipeError, match=said):
        show_sequence(root, sequence, None, "latest", 0)


def test_places_count_over_all_files(tmp_path):
    """The third sequence in the training order is the first of the second file."""
    with of_tables(sound(), tmp_path) as con:
        ids = [sequence_row(con, name, tmp_path)["sequence_id"] for name in ("0", "1", "2", "0:1", "1:0")]
        assert ids == [0, 1, 1 << 32, 1, 1 << 32]
        with pytest.raises(RecipeError, match=r"no row 1 in file 1; choose one from 0 to 0$"):
            sequence_row(con, "1:1", tmp_path)


def test_what_was_rejected_why_and_where_is_readable_in_80_columns(tmp_path):
    columns = ("stage", "source", "reason", "file", "record", "detail")
    values = ("ingest", "web", "text_not_string", "web-001.jsonl", 1_234, "'text' is an integer, not a string")
    with of_tables(sound(), tmp_path) as con:
        (row,) = rows_of(con, "FROM rejected")
    row |= {**dict(zip(columns, values, strict=True)), "record_hash": "0" * 32, "head": "h" * 60}
    head, _, first, *_ = printed(list(row), [[*row.values()]] * 2, width=WIDTH).splitlines()
    assert head.split() == [*columns[:3], "…", *columns[3:]]
    assert "text_not_string  …  web-001.jsonl   1,234  'text' is an int" in first


def test_the_scores_of_each_length_are_readable_in_80_columns(tmp_path):
    with of_tables(sound(), tmp_path) as con:
        (row,) = rows_of(con, "FROM scores_by_length")
    row |= {
        "domain": "stackexchange",
        "pairs": 1_000,
        **dict.fromkeys(("error", "near", "low", "median", "high"), 0.0123),
    }
    head = printed(list(row), [[*row.values()]] * 2, width=WIDTH).splitlines()[0].split()
    assert (head[:4], head[-3:]) == (["domain", "length_bucket", "documents", "scored"], ["low", "median", "high"])
