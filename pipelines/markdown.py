"""Text of users' data in Markdown: shown as it is, whatever it contains.

A domain or a license may hold markup, HTML, links or line breaks. A value of letters, digits and harmless signs is written
plainly; any other is a code span, in which Markdown, HTML, links, mentions, emoji codes and formulas mean nothing.
"""

import re
import unicodedata
from collections.abc import Sequence

PLAIN = re.compile(r"[\w ,.%()/+='-]*")
MARKS = re.compile(r"(?<![^\W_])_|_(?![^\W_])|www\.|^[+-]+ |^ | $|^$", re.IGNORECASE)  # emphasis, links, lost spaces
WORD = re.compile(r"""([("']*)(.*?)([)"':;?!,.]*)""", re.DOTALL)  # what comes before and after it in a sentence
SHOWN_ROWS = 20  # of a table
SHOWN_CHARS = 120  # of a value
CONTROLS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # categories of characters that move, hide or reorder others


def visible(text: str) -> str:
    r"""A text in one line of at most SHOWN_CHARS characters; control characters as escapes, such as \n and \u202e."""
    cut = text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in CONTROLS else c for c in cut)


def inline(text: str) -> str:
    """A value inside a paragraph."""
    shown = visible(text)
    if PLAIN.fullmatch(shown) and not MARKS.search(shown):
        return shown
    return code(text)


def code(text: str) -> str:
    """A value as a code span, harmless or not."""
    shown = visible(text)
    ticks = "`" * (longest_run(shown) + 1)
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) or not shown else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def sentence(text: str) -> str:
    """A sentence with users' data in it, word by word: a word that is not harmless is a code span."""
    return " ".join(map(word, text.split(" ")))


def word(text: str) -> str:
    start, inner, end = WORD.fullmatch(text).groups()  # type: ignore[union-attr]  # any text matches
    return f"{start}{inline(inner) if inner else ''}{end}"


def cell(value: object) -> str:
    """A value inside a table: "-" for None."""
    return "-" if value is None else inline(str(value)).replace("|", "\\|")


def table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], is_figure: Sequence[bool], *, has_sum: bool = False
) -> str:
    """A table of the first SHOWN_ROWS rows, and a line with the number of the others.

    Args:
        is_figure: of each column; figures are aligned to the right.
        has_sum: the last row is the sum of the others, and always shown.
    """
    sums = list(rows[-1:]) if has_sum else []
    each = rows[: len(rows) - len(sums)]
    marks = ["---:" if right else "---" for right in is_figure]
    lines = [[cell(h) for h in headings], marks, *([cell(v) for v in row] for row in [*each[:SHOWN_ROWS], *sums])]
    more = f"\n\n{len(each) - SHOWN_ROWS:,} more rows." if len(each) > SHOWN_ROWS else ""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + more


def fence(text: str, language: str = "") -> str:
    """A block of code that nothing in the text closes."""
    ticks = "`" * max(3, longest_run(text) + 1)
    return f"{ticks}{language}\n{text}\n{ticks}"


def longest_run(text: str) -> int:
    """The length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
