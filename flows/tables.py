"""Tables of plain text: within 80 columns for people, or as wide as they are for the answer to a query."""

import io
import re
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 80
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SHORTEST = 8  # characters of a first column that is cut to fit


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], n_text: int = 1, indent: int = 2) -> list[str]:
    """Columns side by side: the first `n_text` to the left, figures to the right, within WIDTH where that is possible.

    Two spaces between columns, else one; where that is too wide the first column is cut.
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    gap = 2 if indent + sum(widths) + 2 * (len(widths) - 1) <= WIDTH else 1
    over = indent + sum(widths) + gap * (len(widths) - 1) - WIDTH
    widths[0] = min(widths[0], max(SHORTEST, widths[0] - over))
    lines = []
    for row in (head, *rows):
        cells = [cut(row[0], widths[0]), *row[1:]]
        sides = [f"{c:<{w}}" if i < n_text else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        lines.append((" " * indent + (" " * gap).join(sides)).rstrip())
    return lines


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def compact(n: int) -> str:
    """Three digits and a unit, of 1,000: 950, 1.23k, 45.6k, 789k, 1.20M. Nothing is a dash."""
    if n < 1_000:
        return str(n) if n else "-"
    for unit, size in (("k", 10**3), ("M", 10**6), ("B", 10**9), ("T", 10**12)):
        value = n / size
        for digits, limit in ((2, 9.995), (1, 99.95), (0, 999.5)):
            if value < limit:
                return f"{value:.{digits}f}{unit}"
    return f"{n:.3g}"


def printed(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as wide as its cells are, figures to the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, name in enumerate(columns):
        is_figure = bool(rows) and all(is_number(row[place]) for row in rows)
        table.add_column(Text(printable(name)), justify="right" if is_figure else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell(value))) for value in row))
    out = io.StringIO()
    Console(file=out, width=2_000 if rows else WIDTH, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def printable(text: str) -> str:
    """A text without control characters, which a terminal would obey: each is shown as Python writes it."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
