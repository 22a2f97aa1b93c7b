"""The summary of a build: where the dataset is, what is in it, and what to try next."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import duckdb

from flows import text
from pipelines.catalog import by_length, rows_of
from pipelines.versions import Version


def summary(version: Version, root: Path, seconds: float) -> str:
    with catalog(version) as con:
        (totals,) = rows_of(con, "FROM totals")
        parts = [
            text.headline(version, totals, rows_of(con, "FROM rejections"), seconds),
            text.encoding(rows_of(con, "FROM encoding")),
            text.path(rows_of(con, "FROM path_quality")),
            text.supply(rows_of(con, "FROM targets")),
            text.left_out(rows_of(con, "FROM left_out")),
            [
                "Tokens in the mix, by domain and length of the document",
                *text.length_table(*by_length(con, "drawn_tokens")),
                f"  {text.UNITS}",
            ],
            ["Shares of the corpus and of the mix", *text.shares(rows_of(con, "FROM shares"))],
            *scores(con, totals),
        ]
    steps = text.next_steps(longmix(), quoted(root), quoted(version.folder / "report.html"))
    return "\n" + "\n\n".join("\n".join(part) for part in [*parts, steps] if part) + "\n"


def scores(con: duckdb.DuckDBPyConnection, totals: dict[str, Any]) -> list[list[str]]:
    """Scores of the model by domain and length, and why documents have none; nothing where the recipe has no model."""
    if totals["scored"] is None:
        return []
    rows = rows_of(con, "SELECT * FROM scores_by_length WHERE scored > 0")
    return [
        ["Long dependencies: chunk_gain of documents, in nats per token", *text.gains(rows)],
        ["Documents without a chunk_gain score", *text.reasons(rows_of(con, "FROM not_scored_reasons"))],
    ]


def catalog(version: Version) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(version.folder / "catalog.duckdb"), read_only=True)


def longmix() -> str:
    """How to type the command: by its name where that is on the path, else as it was typed."""
    return "longmix" if shutil.which("longmix") else quoted(Path(os.path.relpath(sys.argv[0])))


def quoted(path: Path) -> str:
    return shlex.quote(str(path))
