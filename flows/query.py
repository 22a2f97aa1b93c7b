"""`longmix query` and `longmix show`: a published version in SQL, or row by row."""

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from flows.opened import Query, opened, tables_of
from flows.tables import printed
from pipelines.catalog import literal, rows_of
from pipelines.versions import tokenizer_of
from schemas.errors import RecipeError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MOST_ROWS = 10_000  # of a table; JSON and CSV have all rows
WRITES = re.compile(r"COPY|EXPORT")  # types of statements that write files, those that the views read among them
MOST_TOKENS_A_CHAR = 4  # a token is at least a byte, and a character at most four


def ask(root: Path, query: Query, form: str) -> str:
    """The answer to a query, as a table for people, JSON lines or CSV.

    Raises:
        RecipeError: DuckDB refuses the query, or it is empty; with the reason.
        DamagedError: it cannot read a file of the version; the message names it.
    """
    with tables_of(root, query) as con:
        try:
            if not con.extract_statements(query.sql):
                raise RecipeError("query: it is empty; for example: FROM lengths")
            if not query.is_unrestricted:
                restrict(con, query.sql)
            answer = con.execute(query.sql)
            columns = [column[0] for column in answer.description or []]
            if form == "csv":
                return csv_text(columns, answer)
            if form == "json":
                return json_text(columns, answer)
            rows = answer.fetchmany(MOST_ROWS)
        except duckdb.PermissionException as error:
            raise RecipeError(
                f"query: reads the version's tables alone ({line_of(error)}); --unrestricted allows it"
            ) from error
        more = f"\nthe first {MOST_ROWS:,} rows; --format csv prints all" if len(rows) == MOST_ROWS else ""
        return printed(columns, rows) + more


def restrict(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Let a query read the shards of the version and nothing else, and write nothing.

    Raises:
        RecipeError: it has a statement that writes a file.
    """
    inner = re.sub(r"^\s*EXPLAIN\s+(ANALYZE\s+)?", "", sql, flags=re.IGNORECASE)
    for statement in con.extract_statements(inner):
        if WRITES.search(statement.type.name):
            raise RecipeError(
                f"query: {statement.type.name} writes files; --unrestricted allows it, --format csv prints the answer"
            )
    paths = [path for (path,) in con.execute("SELECT path FROM shards").fetchall()]
    con.execute(f"SET allowed_paths = {literal(paths)}")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def line_of(error: Exception) -> str:
    return " ".join(str(error).split())


def json_text(columns: list[str], answer: duckdb.DuckDBPyConnection) -> str:
    """A line of JSON for each row. A float that JSON lacks is a text: "NaN", "Infinity"."""
    lines = []
    while rows := answer.fetchmany(MOST_ROWS):
        for row in rows:
            line = dict(zip(columns, map(sound, row), strict=True))
            lines.append(json.dumps(line, ensure_ascii=False, default=str, allow_nan=False))
    return "\n".join(lines)


def sound(value: Any) -> Any:
    """A value without floats that JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [sound(item) for item in value]
    return {key: sound(item) for key, item in value.items()} if isinstance(value, dict) else value


def csv_text(columns: list[str], answer: duckdb.DuckDBPyConnection) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    while rows := answer.fetchmany(MOST_ROWS):
        writer.writerows(rows)
    return out.getvalue().rstrip("\n")


PLACES = """
SELECT s.place, s.sequence_start, s.sequence_stop, s.document_id, s.domain, s.document_start, s.document_stop, s.epoch, s.n_pad,
    d.n_tokens, d.source, d.origin, d.license, d.file, d.record, h.first_byte, d.shard, d.row, s.path_position,
    s.similarity_to_previous, p.restarts, p.near_set, p.document_id IS NOT NULL AS is_ordered,
    c.document_id IS NOT NULL AS is_chunk, c.after_document_id, c.after_start, c.similarity AS chunk_similarity
FROM segments s
JOIN documents d ON d.document_id = s.document_id AND d.verdict = 'kept'
JOIN shards h ON h.name = 'DOCUMENTS' AND h.shard = d.shard
LEFT JOIN paths p ON p.document_id = s.document_id
LEFT JOIN chunks c ON c.sequence_id = s.sequence_id AND c.place = s.place AND c.document_start = s.document_start
WHERE s.sequence_id = {sequence} ORDER BY s.place
"""

INPUT_IDS = """
SELECT input_ids FROM tables.sequences WHERE sequence_id = {sequence}
UNION ALL SELECT input_ids FROM tables.sft_sequences WHERE sequence_id = {sequence}
"""


def show_sequence(root: Path, sequence: str, mix: str | None, version: str, chars: int) -> str:
    """A sequence, segment by segment: where each came from, and how its tokens begin and end.

    Args:
        sequence: its place in the training order, from 0, or FILE:ROW.
        chars: of each end of a segment to show; 0 for none.

    Raises:
        RecipeError: the version has no such sequence, or no tokenizer.
        DamagedError: a file of the version cannot be read; the message names it.
    """
    from flows import sequence_text

    with opened(root, mix, version) as (con, manifest, folder):
        found = sequence_row(con, sequence, folder)
        lines = [sequence_text.sequence_head(sequence, f"{manifest.mix} {manifest.version}", found)]
        segments = rows_of(con, PLACES.format(sequence=found["sequence_id"]))
        shown: list[list[str]] = [[]] * len(segments)
        if chars:
            from pipelines.encode import load

            tokenizer = load(tokenizer_of(folder, manifest))
            ((input_ids,),) = con.execute(INPUT_IDS.format(sequence=found["sequence_id"])).fetchall()
            ids = np.array(input_ids)
            shown = [ends(tokenizer, ids[row["sequence_start"] : row["sequence_stop"]], chars) for row in segments]
        for i, (row, texts) in enumerate(zip(segments, shown, strict=True)):
            lines += sequence_text.segment(row, texts, segments[:i])
        return "\n".join(lines)


def sequence_row(con: duckdb.DuckDBPyConnection, sequence: str, folder: Path) -> dict[str, Any]:
    """The row of the view `sequences` that a user names: 3 is the fourth in the training order, 2:17 is row 17 of file 2.

    Raises:
        RecipeError: there is none; the message says which there are.
    """
    numbers = sequence.split(":")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise RecipeError(
            f"{sequence!r} is no sequence; name a place in the training order, as 3, or FILE:ROW, as 2:17"
        )
    *file, place = map(int, numbers)
    where = f"sequence_id >> 32 = {file[0]}" if file else "true"
    rows = rows_of(con, f"SELECT * FROM sequences WHERE {where} ORDER BY sequence_id LIMIT 1 OFFSET {place}")
    if rows:
        return rows[0]
    query = f"SELECT count(*) AS n, (SELECT max(sequence_id >> 32) FROM sequences) AS last FROM sequences WHERE {where}"
    (there,) = rows_of(con, query)
    if file and there["n"]:
        raise RecipeError(f"{folder}: no row {place} in file {file[0]}; choose one from 0 to {there['n'] - 1:,}")
    if file:
        raise RecipeError(f"{folder}: no file {file[0]}; choose one from 0 to {there['last'] or 0:,}")
    raise RecipeError(f"{folder}: no sequence {sequence}; choose one from 0 to {there['n'] - 1:,}")


def ends(tokenizer: "Tokenizer", input_ids: np.ndarray, chars: int) -> list[str]:
    """The text of a segment if it has at most 2 * chars characters, else its first and its last characters.

    Only the ends of a long segment are decoded.
    """
    from pipelines.encode import decode

    n = MOST_TOKENS_A_CHAR * chars
    if len(input_ids) <= 2 * n:
        complete = decode(tokenizer, input_ids)
        return [complete] if len(complete) <= 2 * chars else [complete[:chars], complete[-chars:]]
    return [decode(tokenizer, input_ids[:n])[:chars], decode(tokenizer, input_ids[-n:])[-chars:]]
