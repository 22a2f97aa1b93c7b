"""`longmix query` and `longmix show`: a published version in SQL, or row by row."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
from tokenizers import Tokenizer

from flows import text
from flows.tables import printed
from pipelines.catalog import connect, rows_of, variables_of
from pipelines.encode.marks import decode
from pipelines.encode.tokenizer import load
from pipelines.store import Store
from pipelines.versions import find_version, shards_of, tokenizer_of
from schemas.errors import RecipeError
from schemas.manifest import Manifest

MOST_ROWS = 10_000  # of a table or of JSON on a terminal; csv has all rows
MOST_TOKENS_A_CHAR = 4  # a token is at least a byte, and a character at most four


@contextmanager
def opened(root: Path, mix: str | None, version: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, Manifest, Path]]:
    """A connection with the version's views, its manifest and its folder."""
    folder = find_version(root.absolute(), mix, version)
    manifest = Manifest.of(folder)
    store = Store(folder.parents[2], run=None)
    tables, names = shards_of(manifest), list(manifest.files)
    variables = variables_of(manifest.recipe, manifest.marks)
    with (
        TemporaryDirectory(prefix="longmix-query-") as spill,
        connect(store, tables, names, Path(spill), variables) as con,
    ):
        yield con, manifest, folder


def ask(root: Path, sql: str, form: str, mix: str | None, version: str) -> str:
    """The answer to a query, as a table for people, JSON lines or CSV.

    Raises:
        RecipeError: DuckDB refuses the query; with its reason.
    """
    with opened(root, mix, version) as (con, _, _):
        try:
            answer = con.execute(sql)
            columns = [column[0] for column in answer.description or []]
            if form == "csv":
                return csv_text(columns, answer)
            rows = answer.fetchmany(MOST_ROWS)
        except duckdb.Error as error:
            raise RecipeError(f"query: {str(error).strip()}") from error
        if form == "json":
            return "\n".join(
                json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, default=str) for row in rows
            )
        more = f"\nthe first {MOST_ROWS:,} rows; --format csv prints all" if len(rows) == MOST_ROWS else ""
        return printed(columns, rows) + more


def csv_text(columns: list[str], answer: duckdb.DuckDBPyConnection) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    while rows := answer.fetchmany(MOST_ROWS):
        writer.writerows(rows)
    return out.getvalue().rstrip("\n")


PLACES = """
SELECT s.place, s.sequence_start, s.sequence_stop, s.document_id, s.domain, s.document_start, s.document_stop, s.epoch,
    d.n_tokens, d.source, d.origin, d.license, d.file, d.record, h.first_byte, d.shard, d.row
FROM segments s
JOIN documents d ON d.document_id = s.document_id AND d.verdict = 'kept'
JOIN shards h ON h.name = 'DOCUMENTS' AND h.shard = d.shard
WHERE s.sequence_id = {sequence} ORDER BY s.place
"""


def show_sequence(root: Path, sequence: int, mix: str | None, version: str, chars: int) -> str:
    """A sequence, segment by segment: where each came from, and how its tokens begin and end.

    Args:
        chars: of each end of a segment to show; 0 for none.

    Raises:
        RecipeError: the version has no such sequence, or no tokenizer.
    """
    with opened(root, mix, version) as (con, manifest, folder):
        rows = rows_of(con, f"SELECT * FROM sequences WHERE sequence_id = {int(sequence)}")
        if not rows:
            (totals,) = rows_of(con, "SELECT count(*) AS sequences FROM sequences")
            last = totals["sequences"] - 1
            raise RecipeError(f"{folder}: no sequence {sequence}; choose one from 0 to {last:,}")
        lines = [text.sequence_head(sequence, f"{manifest.mix} {manifest.version}", rows[0])]
        segments = rows_of(con, PLACES.format(sequence=int(sequence)))
        shown: list[list[str]] = [[]] * len(segments)
        if chars:
            tokenizer = load(tokenizer_of(folder, manifest))
            query = f"SELECT input_ids FROM tables.sequences WHERE sequence_id = {int(sequence)}"
            ((input_ids,),) = con.execute(query).fetchall()
            ids = np.array(input_ids)
            shown = [ends(tokenizer, ids[row["sequence_start"] : row["sequence_stop"]], chars) for row in segments]
        for row, texts in zip(segments, shown, strict=True):
            lines += text.segment(row, texts)
        return "\n".join(lines)


def ends(tokenizer: Tokenizer, input_ids: np.ndarray, chars: int) -> list[str]:
    """The text of a segment if it has at most 2 * chars characters, else its first and its last characters.

    Only the ends of a long segment are decoded.
    """
    n = MOST_TOKENS_A_CHAR * chars
    if len(input_ids) <= 2 * n:
        complete = decode(tokenizer, input_ids)
        return [complete] if len(complete) <= 2 * chars else [complete[:chars], complete[-chars:]]
    return [decode(tokenizer, input_ids[:n])[:chars], decode(tokenizer, input_ids[-n:])[-chars:]]
