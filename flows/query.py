"""`longmix query` and `longmix show`: a published version, asked in SQL or looked at row by row."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from rich import box
from rich.console import Console
from rich.table import Table

from pipelines.catalog import connect, variables_of
from pipelines.store import Store
from pipelines.versions import find_version, shards_of
from schemas.errors import RecipeError
from schemas.manifest import Manifest

MOST_ROWS = 10_000  # of a table or of JSON on a terminal; csv is streamed whole


@contextmanager
def opened(root: Path, mix: str | None, version: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, Manifest, Path]]:
    """A connection with the version's views, its manifest and its folder."""
    folder = find_version(root.absolute(), mix, version)
    manifest = Manifest.of(folder)
    store = Store(folder.parents[2], run=None)
    tables, names = shards_of(manifest), list(manifest.files)
    variables = variables_of(manifest.recipe)
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
        return printed(columns, rows)


def csv_text(columns: list[str], answer: duckdb.DuckDBPyConnection) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    while rows := answer.fetchmany(MOST_ROWS):
        writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def printed(columns: list[str], rows: list[tuple]) -> str:
    """A table as wide as it needs to be, figures to the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, name in enumerate(columns):
        numeric = all(isinstance(row[place], int | float | None) for row in rows) and bool(rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            *(
                ""
                if cell is None
                else f"{cell:,}"
                if isinstance(cell, int)
                else f"{cell:.6g}"
                if isinstance(cell, float)
                else str(cell)
                for cell in row
            )
        )
    out = io.StringIO()
    console = Console(file=out, width=max(80, 2_000 if rows else 80), highlight=False)
    console.print(table)
    text = out.getvalue()
    note = f"\nthe first {MOST_ROWS:,} rows; --format csv prints all" if len(rows) == MOST_ROWS else ""
    return "\n".join(line.rstrip() for line in text.splitlines()) + note


PLACES = """
SELECT s.place, s.sequence_start, s.sequence_stop, s.document_id, s.domain, s.document_start, s.document_stop, s.epoch,
    d.n_tokens, d.source, d.origin, d.license, d.file, d.record, h.first_byte, d.shard, d.row
FROM segments s
JOIN documents d ON d.document_id = s.document_id AND d.verdict = 'kept'
JOIN shards h ON h.name = 'DOCUMENTS' AND h.shard = d.shard
WHERE s.sequence_id = ? ORDER BY s.place
"""


def show_sequence(root: Path, sequence: int, mix: str | None, version: str, chars: int) -> str:
    """A sequence, segment by segment: where each came from, and how it begins.

    Raises:
        RecipeError: there is no such sequence.
    """
    with opened(root, mix, version) as (con, manifest, folder):
        found = con.execute(
            "SELECT n_tokens, n_segments, file FROM sequences WHERE sequence_id = ?", [sequence]
        ).fetchone()
        if found is None:
            (n,) = con.execute("SELECT count(*) FROM sequences").fetchall()[0]
            raise RecipeError(f"{folder}: no sequence {sequence}; it has {n:,}, from 0")
        n_tokens, n_segments, file = found
        lines = [
            f"sequence {sequence} of {manifest.mix} {manifest.version}: {n_tokens:,} tokens, {n_segments:,} segments, in {file}"
        ]
        for row in con.execute(PLACES, [sequence]).fetchall():
            lines += describe(row)
            if chars:
                lines.append(f"    {opening(con, row[-2], row[-1], chars)!r}")
        return "\n".join(lines)


def describe(row: tuple) -> list[str]:
    _, start, stop, document, domain, first, last, epoch, whole, source, origin, license_, file, record, at, *_ = row
    part = "whole document" if (first, last) == (0, whole) else f"tokens {first:,} to {last:,} of {whole:,}"
    again = f", copy {epoch + 1}" if epoch else ""
    return [
        f"  [{start:>7,}, {stop:>7,})  {domain}, {part}{again}",
        f"    {document} from {source}: {file}, record {record:,} of the shard at byte {at or 0:,}; origin {origin or '-'}, license {license_ or '-'}",
    ]


def opening(con: duckdb.DuckDBPyConnection, shard: int, row: int, chars: int) -> str:
    """The first characters of a document's text."""
    query = "SELECT left(text, ?) FROM tables.documents WHERE shard = ? AND row = ?"
    return con.execute(query, [chars, shard, row]).fetchall()[0][0]
