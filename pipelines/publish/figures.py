"""Figures as the card and the report show them: the answer to a query, with headings and every cell as text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb

from pipelines.catalog import by_length
from schemas.lengths import BUCKETS

SHARES = "SELECT domain, tokens, corpus_share, drawn_tokens, mix_share FROM shares"
TARGETS = """
SELECT domain, kind, target_tokens, available_tokens, drawn_tokens, shortfall_tokens, rate, over_share_tokens,
    dropped_tokens, not_selected_tokens
FROM targets
"""
HEADINGS = {
    "attention_share": "attention", "group_number": "group", "padding_share": "padding", "documents_then": "documents then",
    "available_tokens": "available", "chosen_share": "share chosen", "chosen_tokens": "tokens chosen", "corpus_share": "share of the corpus", "domain_share": "share of its domain", "document_id": "document",
    "drawn_tokens": "tokens in the mix", "dropped_tokens": "dropped", "fell_back_shards": "shards that fell back", "high": "90 %", "inside_share": "part inside", "length_bucket": "length",
    "low": "10 %", "mix_share": "share of the mix", "n_bytes": "bytes", "n_tokens": "tokens", "not_selected_tokens": "not selected",
    "over_share_tokens": "over max. share", "refused_tokens": "tokens refused", "shortfall_tokens": "shortfall", "target_tokens": "target",
}  # fmt: skip
SMALL = 0.001  # below it three decimals would show nothing


@dataclass(frozen=True)
class Answer:
    """Headings, rows of text, and which columns are figures, to be aligned to the right."""

    headings: list[str]
    rows: list[list[str]]
    is_figure: list[bool]


def answer(con: duckdb.DuckDBPyConnection, query: str) -> Answer:
    result = con.execute(query)
    columns = [column[0] for column in result.description or []]
    rows = result.fetchall()
    is_figure = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    cells = [[shown(column, value) for column, value in zip(columns, row, strict=True)] for row in rows]
    return Answer([heading(column) for column in columns], cells, is_figure)


def of_rows(rows: Sequence[dict[str, object]]) -> Answer:
    """The same of rows at hand, at least one."""
    columns = list(rows[0])
    cells = [[shown(column, row[column]) for column in columns] for row in rows]
    return Answer([heading(c) for c in columns], cells, [isinstance(rows[0][c], int | float) for c in columns])


def heading(column: str) -> str:
    return HEADINGS.get(column, column.replace("_", " "))


def shown(column: str, value: object) -> str:
    """A cell as text: shares as percentages, other floats with three decimals or digits, - where there is no value."""
    if value is None:
        return "-"
    if isinstance(value, float):
        if column.endswith("_share"):
            return f"{value:.2%}"
        return f"{value:.3f}" if not value or abs(value) >= SMALL else f"{value:.2e}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def lengths(con: duckdb.DuckDBPyConnection, column: str) -> Answer:
    """A column of the view `lengths` by domain (rows) and length bucket (columns), with sums."""
    domains, figures = by_length(con, column)
    rows = [[*row, sum(row)] for row in (*figures.tolist(), figures.sum(axis=0).tolist())]
    cells = [[name, *texts(row)] for name, row in zip([*domains, "all"], rows, strict=True)]
    return Answer(["domain", *BUCKETS, "all"], cells, [False, *[True] * (len(BUCKETS) + 1)])


def texts(values: Iterable[int]) -> list[str]:
    return [f"{value:,}" for value in values]
