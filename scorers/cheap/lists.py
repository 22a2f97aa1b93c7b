"""Lists and tables: the share of a text in lines of the same shape as one of the lines just before them.

The shape of a line is its indentation and its first SYMBOLS symbols. A run of words is one symbol, a number is one, and
each mark is one: `  "abs", x = 0.5` and `  "a cos", y = 7` both have the shape 2 "a",a=. A line with PLAIN words in
a row without a mark or digit is prose and not a row, unless it is short and between two rows, such as the description
in an index or the value in a record.
"""

import numpy as np

from schemas.kernels import kernel
from scorers.cheap.words import FACTOR, KINDS, START

SYMBOLS = 6  # per line; with more, the rows of a ragged table would differ
BACK = 8  # lines to compare with: the longest record that is recognised
PLAIN = 5  # words: nearly every line of prose has as many in a row, index entries and code hardly ever
MAX_LINE_BYTES = 80  # longer lines count as this many, or paragraphs on one line would outweigh a list
MAX_VALUE_BYTES = 400  # a longer paragraph between two rows is prose with headings
MAX_LIST_SHARE = 0.60  # above it are API lists, indexes, tables, and little else but code written like a table

WORD, NUMBER = 1, 2  # symbols; the symbol of a mark is its bytes
NEWLINE, SPACE, DOT, ZERO, NINE, UPPER_A, UNDERSCORE = b"\n .09A_"


@kernel
def list_share(text: np.ndarray) -> float:
    """The share of a text's bytes in rows of a list; NaN where fewer than two lines count.

    Lines of ASCII marks alone do not count.

    text: UTF-8.
    """
    shapes = np.zeros(BACK, np.uint64)
    n_lines, rows, counted = 0, 0, 0
    row_before, value = False, 0  # whether the last line was a row; its bytes, counted as a value if this line is a row
    begin = 0
    while begin < len(text):
        end = begin
        while end < len(text) and text[end] != NEWLINE:
            end += 1
        shape, n_plain, counts = outline(text[begin:end])
        if counts:
            seen = False
            for k in range(min(BACK, n_lines)):
                seen |= shapes[k] == shape
            shapes[n_lines % BACK] = shape
            n_lines += 1
            n_bytes = min(end - begin, MAX_LINE_BYTES)
            counted += n_bytes
            is_prose = n_plain >= PLAIN
            is_row = seen and not is_prose
            if is_row:
                rows += n_bytes + value
            value = n_bytes if is_prose and row_before and end - begin <= MAX_VALUE_BYTES else 0
            row_before = is_row
        begin = end + 1
    return rows / counted if n_lines > 1 else np.nan


@kernel
def outline(line: np.ndarray) -> tuple[np.uint64, int, bool]:
    """The hash of a line's shape, its longest run of plain words, and whether it has anything but ASCII marks.

    A word starts with a letter or `_`; a number starts with a digit and may contain dots. A plain word consists of
    letters. Words in a run are one space apart, so the columns of a table are not a run.
    """
    i = 0
    while i < len(line) and KINDS[line[i]] == 0:
        i += 1
    shape, n_symbols, last = (START ^ np.uint64(i)) * FACTOR, 0, 0
    longest, run, plain_end, counts = 0, 0, -2, False
    while i < len(line):
        kind = KINDS[line[i]]
        if kind == 0:
            i += 1
            continue
        begin = i
        number = ZERO <= line[i] <= NINE
        if kind == 1:
            plain = True
            while i < len(line) and (KINDS[line[i]] == 1 or (number and line[i] == DOT)):
                plain &= line[i] >= UPPER_A and line[i] != UNDERSCORE
                i += 1
            symbol = NUMBER if number else WORD
            if plain:
                run = run + 1 if begin == plain_end + 1 and line[plain_end] == SPACE else 1
                longest, plain_end = max(longest, run), i
        else:
            symbol = 0
            while i < begin + kind - 1:
                symbol = symbol << 8 | int(line[i])
                i += 1
        counts |= kind != 2
        if n_symbols < SYMBOLS and not (symbol == WORD and last == WORD):
            shape = (shape ^ np.uint64(symbol)) * FACTOR
            n_symbols += 1
        last = symbol
    return shape, longest, counts
