"""Prefect's artifacts of a version: tables with totals, what was rejected, notes on the input, and the card.

Prefect's pages render cells, descriptions and texts as Markdown with HTML, so that values of users' data are escaped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.summary import catalog, is_of_samples
from pipelines import chosen, findings
from pipelines.catalog import by_length, rows_of
from pipelines.markdown import fence, inline
from pipelines.supply import sentences
from pipelines.versions import Version
from schemas.lengths import BUCKETS

Rows = Sequence[Mapping[str, Any]]

MAX_ROWS = 100  # of a table; the others are summed in one row


def announce(version: Version) -> None:
    """Tokens by domain and length, what was drawn or chosen, rejections and the card as artifacts; findings in the log."""
    name = f"{inline(version.mix)} {version.version}"
    log = get_run_logger()
    with catalog(version) as con:
        lengths = tokens_by_length(con)
        rejections, encoding = rows_of(con, "FROM rejections"), rows_of(con, "FROM encoding")
        publish_table("tokens-by-domain-and-length", lengths, f"Tokens in {name}")
        lines = announce_choice(con) if is_of_samples(con) else announce_targets(con)
    if rejections:
        rows = [{key: row[key] for key in ("source", "stage", "reason", "records")} for row in rejections]
        publish_table("rejected", rows, f'Records that {name} lacks. `longmix query ROOT "FROM rejected"` lists them.')
        lines.append(f"Rejected: {findings.rejected(rejections)}")
    card = (version.folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    create_markdown_artifact(f"{places(version)}{card}", key="mix", description=f"The card of {name}")
    for line in (*lines, *findings.encoding(encoding), *version.notes):
        log.info("%s", line)
    log.info("%s %s: %s", version.mix, version.version, version.folder)


def tokens_by_length(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """A row for each domain: its drawn tokens by length bucket, without the buckets that no domain has, and their sum."""
    domains, tokens = by_length(con, "drawn_tokens")
    used = np.flatnonzero(tokens.any(axis=0)).tolist()
    names = [BUCKETS[bucket] for bucket in used]
    return [
        {"domain": domain, **dict(zip(names, row, strict=True)), "all": sum(row)}
        for domain, row in zip(domains, tokens[:, used].tolist(), strict=True)
    ]


def places(version: Version) -> str:
    """Where the version and its report are, and notes on the input, as Markdown that shows each line as it is.

    The report's address is a text: a browser follows no link from a page of a server to a file.
    """
    state = "" if version.is_new else "Published before, nothing was made.\n\n"
    lines = f"folder  {version.folder}\nreport  {(version.folder / 'report.html').absolute().as_uri()}"
    notes = "Notes on the input:\n\n" + fence("\n".join(version.notes)) + "\n\n" if version.notes else ""
    return f"{state}{fence(lines)}\n\n{notes}"


def announce_targets(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The plan's targets of a mix as an artifact. Returns sentences on them."""
    targets = rows_of(con, "FROM targets")
    lines = sentences(targets)
    publish_table("targets", targets, "\n\n".join(lines))
    return lines


def announce_choice(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The chosen samples of each domain as an artifact. Returns sentences on what could not be chosen."""
    lines = findings.choice(rows_of(con, chosen.QUOTAS), rows_of(con, chosen.NOT_CHOSEN))
    publish_table("chosen-by-domain", rows_of(con, chosen.BY_DOMAIN), "\n\n".join(lines) or "Samples by domain")
    return lines


def publish_table(key: str, rows: Rows, description: str, by: str | None = None) -> None:
    """A table artifact with rows of totals.

    by: the column by whose values rows are summed, such as "what" where rows of the corpus and of the mix would add up to
        nothing; by default all are.
    """
    shown = [*rows[:MAX_ROWS]]
    if more := rows[MAX_ROWS:]:
        shown += totals(more, f"{len(more):,} more", by)
    shown += totals(rows, "all", by)
    create_table_artifact([{k: cell(v) for k, v in row.items()} for row in shown], key=key, description=description)


def publish_lines(key: str, lines: str) -> None:
    """A Markdown artifact that shows a text as it is."""
    create_markdown_artifact(fence(lines), key=key)


def totals(rows: Rows, label: str, by: str | None) -> list[dict[str, Any]]:
    """A row with the sums of the integer columns, for each value of the column `by`; other columns are empty."""
    sums = []
    for value in dict.fromkeys(row[by] if by else None for row in rows):
        group = [row for row in rows if by is None or row[by] == value]
        first, *others = group[0]
        figures = {name: sum(row[name] for row in group) for name in others if is_count(row[name] for row in group)}
        sums.append({first: label, **{name: value if name == by else figures.get(name, "") for name in others}})
    return sums


def is_count(values: Any) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def cell(value: object) -> str:
    """A value in a cell: counts with thousands separators, "-" for None, texts as they are."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}"
    return inline(str(value)) if value != "" else ""
