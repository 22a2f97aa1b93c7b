"""The summary of a build: where the dataset is, what is in it, and what to try next."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from flows import sample_text, text
from flows.tables import printable
from pipelines import chosen, findings
from pipelines.catalog import by_length, rows_of
from pipelines.versions import Version, published


def summary(version: Version, root: Path, seconds: float) -> str:
    """What was built, from the catalog: a mix, or a set of instruction samples."""
    with catalog(version) as con:
        (totals,) = rows_of(con, "FROM totals")
        parts_of = parts_of_samples if is_of_samples(con) else parts_of_mix
        head, *rest = parts_of(con, version, totals, seconds)
        parts = [head, notes(version.notes), *rest, next_steps(con, version, root)]
    return "\n" + "\n\n".join("\n".join(part) for part in parts if part)


def notes(sentences: Sequence[str]) -> list[str]:
    """Notes on the input, one after the other."""
    return [line for sentence in sentences for line in text.filled(printable(sentence))]


def is_of_samples(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether a catalog is of instruction samples: its recipe has [samples]."""
    recipes = con.execute("SELECT value FROM build WHERE key = 'recipe'").fetchall()
    return any("samples" in json.loads(recipe) for (recipe,) in recipes)


def parts_of_mix(
    con: duckdb.DuckDBPyConnection, version: Version, totals: dict[str, Any], seconds: float
) -> list[list[str]]:
    return [
        text.headline(version, totals, rows_of(con, "FROM rejections"), seconds),
        text.encoding(rows_of(con, "FROM encoding")),
        text.path(*(rows_of_view(con, view) for view in ("path_quality", "packing", "extension"))),
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


def rows_of_view(con: duckdb.DuckDBPyConnection, view: str) -> list[dict[str, Any]]:
    """Rows of a view; none in the catalog of an earlier release that lacks it: a published version keeps its catalog."""
    names = con.execute("SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views()").fetchall()
    return rows_of(con, f"FROM {view}") if (view,) in names else []


def parts_of_samples(
    con: duckdb.DuckDBPyConnection, version: Version, totals: dict[str, Any], seconds: float
) -> list[list[str]]:
    (samples,), left = rows_of(con, chosen.TOTALS), rows_of(con, chosen.NOT_CHOSEN)
    sentences = findings.choice(rows_of(con, chosen.QUOTAS), left)
    return [
        sample_text.samples_headline(version, {**totals, **samples}, rows_of(con, "FROM rejections"), seconds),
        text.encoding(rows_of(con, "FROM encoding")),
        [line for sentence in sentences for line in text.filled(sentence)],
        sample_text.chosen(rows_of(con, chosen.BY_DOMAIN)),
        sample_text.not_chosen(left),
        [
            "Tokens in the set, by domain and length of the sample",
            *text.length_table(*by_length(con, "drawn_tokens")),
            f"  {text.UNITS}",
        ],
    ]


def next_steps(con: duckdb.DuckDBPyConnection, version: Version, root: Path) -> list[str]:
    steps = sample_text.next_steps if is_of_samples(con) else text.next_steps
    has_others = any(folder.parent.name != version.mix for folder in published(root))
    mix = f" --mix {shlex.quote(version.mix)}" if has_others else ""  # without which the commands would be refused
    return steps(longmix(), quoted(root), mix, quoted(version.folder / "report.html"))


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
