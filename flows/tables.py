"""Tables of plain text: within 80 columns, or as wide as the terminal for the answer to a query."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from flows.terminal import printable, terminal_width

WIDTH = 80
SHORTEST = 8  # columns of a cell that is cut to fit
READABLE = 16  # columns of a text of an answer: before a text is cut to less, a column in the middle is left out
GAPS = (3, 2)  # columns between the cells of an answer: the second where the first is too wide


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], n_text: int = 1, indent: int = 2) -> list[str]:
    """Columns side by side: the first `n_text` to the left, figures to the right, within WIDTH where that is possible.

    Two spaces between columns, else one; where that is too wide the first column is cut.
    """
    table = [[printable(text) for text in row] for row in (head, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    gap = 2 if indent + sum(widths) + 2 * (len(widths) - 1) <= WIDTH else 1
    over = indent + sum(widths) + gap * (len(widths) - 1) - WIDTH
    widths[0] = min(widths[0], max(SHORTEST, widths[0] - over))
    lines = []
    for row in table:
        cells = [cut(row[0], widths[0]), *row[1:]]
        padding = [" " * (width - cell_len(text)) for text, width in zip(cells, widths, strict=True)]
        sides = [c + p if i < n_text else p + c for i, (c, p) in enumerate(zip(cells, padding, strict=True))]
        lines.append((" " * indent + (" " * gap).join(sides)).rstrip())
    return lines


def cut(text: str, width: int) -> str:
    """A text within a number of terminal columns, of which a wide character takes two."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


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


def printed(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int | None = None) -> str:
    """A table of an answer, figures to the right, within the terminal: long cells are cut, columns in the middle left out.

    One row whose columns do not fit is printed upright: a line for each column.

    width: in columns; None: of the terminal, and without a limit where output goes into a pipe or file.
    """
    width = width or terminal_width()
    cells = [[printable(cell(value)) for value in row] for row in rows]
    are_figures = [bool(rows) and all(is_number(row[place]) for row in rows) for place in range(len(columns))]
    names = [printable(name) for name in columns]
    places, widths, gap = fitted(names, cells, are_figures, width)
    if width and len(cells) == 1 and None in places:
        return upright(names, cells[0], width)
    figures = [place is not None and are_figures[place] for place in places]
    lines = []
    for row in (names, *cells):
        texts = [cut("…" if place is None else row[place], most) for place, most in zip(places, widths, strict=True)]
        padding = [" " * (most - cell_len(text)) for text, most in zip(texts, widths, strict=True)]
        sides = [p + t if figure else t + p for t, p, figure in zip(texts, padding, figures, strict=True)]
        lines.append((" " * gap).join(sides).rstrip())
    rule = "─" * (sum(widths) + gap * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1:], *left_out(places, widths, names, cells)])


def upright(names: Sequence[str], row: Sequence[str], width: int) -> str:
    """A row as lines of two cells, the name of a column and its value."""
    indent = max(map(cell_len, names)) + GAPS[0]
    most = max(SHORTEST, width - indent)
    lines = [f"{name}{' ' * (indent - cell_len(name))}{cut(text, most)}" for name, text in zip(names, row, strict=True)]
    notes = left_out([0], [most], ["value"], [[text] for text in row])
    return "\n".join([*(line.rstrip() for line in lines), *notes])


Places = list[int | None]  # of the columns shown; None in place of those left out


def fitted(
    names: Sequence[str], cells: Sequence[Sequence[str]], are_figures: Sequence[bool], width: int | None
) -> tuple[Places, list[int], int]:
    """Which columns are shown, in how many columns of the terminal each, and how many are between them.

    Figures and names of columns are not cut.
    """
    table = [names, *cells]
    natural = [max(cell_len(row[place]) for row in table) for place in range(len(names))]
    least = [
        most if is_figure else min(most, max(READABLE, cell_len(name)))
        for most, is_figure, name in zip(natural, are_figures, names, strict=True)
    ]
    places: Places = list(range(len(names)))
    gap = next((gap for gap in GAPS if not width or taken(natural, places, gap) <= width), GAPS[-1])
    middle = len(names) // 2
    first, last = middle, middle
    while width and len(places) > 2 and taken(least, places, gap) > width and (first > 1 or last < len(names)):
        first, last = (first - 1, last) if first > len(names) - last or last == len(names) else (first, last + 1)
        places = [*range(max(1, first)), None, *range(last, len(names))]
    widths = [1 if place is None else natural[place] for place in places]
    floors = [1 if place is None else least[place] for place in places]
    while width and sum(widths) + gap * (len(widths) - 1) > width:
        widest = max(range(len(widths)), key=lambda i: (widths[i] > floors[i], widths[i]))
        if widths[widest] <= min(floors[widest], SHORTEST):
            break
        if widths[widest] <= floors[widest]:
            floors[widest] = SHORTEST  # one or two columns alone are too wide
        widths[widest] -= 1
    return places, widths, gap


def taken(least: Sequence[int], places: Places, gap: int) -> int:
    return sum(1 if place is None else least[place] for place in places) + gap * (len(places) - 1)


def left_out(places: Places, widths: Sequence[int], names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """A note on the columns that are not shown and the cells that are cut."""
    shown = [place for place in places if place is not None]
    notes = [f"{len(names)} columns, {len(shown)} shown"] if len(shown) < len(names) else []
    most = {place: width for place, width in zip(places, widths, strict=True) if place is not None}
    if any(cell_len(row[place]) > most[place] for row in cells for place in shown):
        notes.append("long cells are cut")
    return [f"({'; '.join(notes)}; --format csv or json prints all)"] if notes else []


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
