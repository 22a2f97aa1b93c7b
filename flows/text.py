"""The wording of the command line and the flows: summaries, differences, the help of a query. Imports nothing slow."""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.tables import WIDTH, aligned, compact
from pipelines import findings
from pipelines.supply import selection, sentences, short_cells
from schemas.lengths import BUCKETS

if TYPE_CHECKING:
    from pipelines.actions import Reused
    from pipelines.check import Checked
    from pipelines.versions import Version

Rows = Sequence[Mapping[str, Any]]

BROWSER = "python3 -m webbrowser"  # on every system
UNITS = "k = 1,000 tokens; in lengths K = 1,024"


def filled(text: str, indent: int = 0) -> list[str]:
    return wrap(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False)


# -- tables and sentences of forecasts and summaries


def length_table(domains: Sequence[str], tokens: np.ndarray) -> list[str]:
    """[d, 9] tokens by domain and length bucket, without the buckets that no domain has."""
    used = np.flatnonzero(tokens.any(axis=0)).tolist()
    rows = [*zip(domains, tokens, strict=True), ("all", tokens.sum(axis=0))]
    head = ["domain", *(BUCKETS[b] for b in used), "all"]
    return aligned(head, [[name, *(compact(int(row[b])) for b in used), compact(int(row.sum()))] for name, row in rows])


def supply(targets: Rows, *, is_estimate: bool = False) -> list[str]:
    """What the corpus cannot supply and what the plan leaves out; a table of the cells that fall short."""
    budget, *left_out = [filled(sentence) for sentence in sentences(targets, is_estimate=is_estimate)] or [[]]
    short = [[f"{v:,}" if isinstance(v, int) else v for v in row.values()] for row in short_cells(targets)]
    table = aligned(["domain", "kind", "target", "available", "shortfall"], short, n_text=2) if short else []
    return [*budget, *table, *(line for lines in left_out for line in lines)]


def left_out(rows: Rows) -> list[str]:
    """Rows of the view `left_out`."""
    return [line for sentence in selection(rows) for line in filled(sentence)]


# -- a build


def headline(version: "Version", totals: Mapping[str, Any], rejections: Rows, seconds: float) -> list[str]:
    state = f"made in {seconds:,.0f} s" if version.is_new else f"nothing to make ({seconds:,.0f} s)"
    rejected = filled(f"rejected: {findings.rejected(rejections)}", indent=2) if rejections else []
    repaired = [f"  damaged files that were made again: {len(version.mended):,}"] if version.mended else []
    rows = f"{totals['sequences']:,} sequences of {totals['sequence_tokens']:,}"
    return [
        f"{version.mix} {version.version}: {state}",
        f"  {version.folder}",
        *repaired,
        *reused(version.reused),
        f"  {totals['tokens']:,} tokens in {rows}, {totals['fill_share'] or 0:.2%} filled",
        f"  {findings.counted(totals['documents'], 'document')} read, {totals['kept']:,} kept",
        *rejected,
    ]


def encoding(rows: Rows) -> list[str]:
    """Rows of the view `encoding`."""
    return [line for sentence in findings.encoding(rows) for line in filled(sentence)]


def path(groups: Rows, packing: Rows, chunks: Rows) -> list[str]:
    """Rows of the views `path_quality`, `packing` and `extension`."""
    sentences = [*findings.path(groups, packing), *findings.extension(chunks)]
    return [line for sentence in sentences for line in filled(sentence)]


def reused(by_stage: "Mapping[str, Reused]") -> list[str]:
    """Documents of the shards made whose rows were copied, by stage."""
    counts = [f"{name} {n.n_reused:,} of {n.n_documents:,}" for name, n in by_stage.items() if n.n_reused]
    return filled(f"rows of unchanged documents reused: {', '.join(counts)}", indent=2) if counts else []


def shares(rows: Rows) -> list[str]:
    cells = []
    for row in rows:
        corpus = [compact(row["tokens"]), f"{row['corpus_share']:.2%}"]
        mix = [compact(row["drawn_tokens"]), f"{row['mix_share']:.2%}"]
        cells.append([row["domain"], *corpus, *mix])
    return aligned(["domain", "corpus", "share", "mix", "share"], cells)


def gains(rows: Rows) -> list[str]:
    """Rows of scores_by_length."""
    if not rows:
        return ["  no document has a score"]
    head = ["domain", "length", "documents", "scored", "10 %", "median", "90 %", "error", "near"]
    cells = []
    for row in rows:
        values = (row[name] for name in ("low", "median", "high", "error", "near"))
        figures = ["-" if value is None else f"{value:.3f}" for value in values]
        cells.append(
            [row["domain"], str(row["length_bucket"]), f"{row['documents']:,}", f"{row['scored']:,}", *figures]
        )
    return aligned(head, cells, n_text=2)


def reasons(rows: Rows) -> list[str]:
    """Rows of not_scored_reasons."""
    cells = [[row["reason"], f"{row['documents']:,}", f"{row['tokens']:,}"] for row in rows]
    return aligned(["reason", "documents", "tokens"], cells)


def next_steps(command: str, root: str, mix: str, report: str) -> list[str]:
    return [
        "Next, for example:",
        f"  {command} show {root} 0{mix}",
        f'  {command} query {root} "FROM totals"{mix}',
        f"  {opener()} {report}",
    ]


def opener() -> str:
    """The command that opens a file in a browser, by the system."""
    return {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open" if shutil.which("xdg-open") else BROWSER)


# -- two versions


def difference(rows: Rows, before: str, after: str) -> str:
    """Rows of pipelines.diff."""
    columns = ("documents_in", "documents_out", "tokens_in", "tokens_out")
    cells = [[row["domain"], row["what"], *(f"{row[name]:,}" for name in columns)] for row in rows]
    head = ["domain", "", *(name.replace("_", " ") for name in columns)]
    n = sum(row["renamed"] for row in rows if row["what"] == "corpus")
    line = f"Renamed: {findings.counted(n, 'document')} of the corpus with the same text under another file name or id."
    return "\n".join([f"From {before} to {after}", *aligned(head, cells, n_text=2), *(filled(line) if n else [])])


def first_version() -> str:
    return "no earlier version exists: this is the first"


def unchanged(base: str) -> str:
    return f"Nothing changed since {base}: no version was written."


def location(version: "Version") -> str:
    return f"**{version.folder}**" + ("" if version.is_new else ": published before, nothing was made.")


# -- the help of a query


def views_help(comments: Mapping[str, str], tables: Iterable[str]) -> str:
    """What a row of each view is, from its comment, and the names of the tables."""
    width = max(map(len, comments)) + 4
    lines = ["Views. A row is:"]
    for view, comment in comments.items():
        first = comment.removeprefix("A row is ").partition(". ")[0].rstrip(".")
        lines += wrap(first, WIDTH, initial_indent=f"  {view:<{width - 2}}", subsequent_indent=" " * width)
    names = ", ".join(f"tables.{name}" for name in tables)
    lines += ["", *filled(f"Tables, each with shard and row before its columns: {names}.")]
    return "\n".join([*lines, "", 'The columns of a view: longmix query ROOT "DESCRIBE lengths"'])


# -- a check


def check_report(results: "list[Checked]", root: Path) -> str:
    """What `longmix check` found: one line a fault, and a line with the totals."""
    faults = [result.fault for result in results if result.fault]
    lines = [f"{fault.path}: {fault.finding}; repair: {fault.remedy}" for fault in faults]
    n_bytes = sum(result.n_bytes for result in results)
    verdict = f"{len(faults):,} damaged or missing" if faults else "all undamaged"
    return "\n".join([*lines, f"{root}: {len(results):,} files, {n_bytes / 1e6:,.1f} MB read, {verdict}"])
