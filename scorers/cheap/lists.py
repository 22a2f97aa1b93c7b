"""Lists and tables: how much of a text stands in lines of the same shape as lines just before them.

The shape of a line is its indentation and its first SYMBOLS symbols: a run of words is one symbol, a number is one, and
each mark is one by itself: `  "abs", x = 0.5` and `  "a cos", y = 7` are 2 "a",a= both. A line of prose, which has PLAIN
words in a row without a mark or digit, is no row of a list, unless it is short and the lines before and after it are:
the description in an index, the value in a record.
"""

import numpy as np
from numba import njit

from scorers.cheap.words import FACTOR, KINDS, START

SYMBOLS = 6  # of a line; more, and the rows of a ragged table differ
BACK = 8  # lines: records of so many lines are still seen to come again
PLAIN = 5  # words: prose has as many in nearly each line, index entries and code hardly ever
MAX_LINE_BYTES = 80  # a longer line counts as so many: paragraphs of one line would else outweigh a list
MAX_VALUE_BYTES = 400  # a longer paragraph between two rows is prose with headings
MAX_LIST_SHARE = 0.60  # above lie API lists, indexes and tables, and little else than code that is made like a table

WORD, NUMBER = 1, 2  # symbols; a mark's is its bytes
NEWLINE, SPACE, DOT, ZERO, NINE, UPPER_A, UNDERSCORE = b"\n .09A_"


@njit(cache=True, nogil=True)
def list_share(text: np.ndarray) -> float:
    """The share of a text's bytes in rows of a list; lines without word or number aren't counted.

    text: UTF-8. NaN where fewer than two lines count: there is nothing to have the same shape.
    """
    shapes = np.zeros(BACK, np.uint64)
    n_lines, rows, counted = 0, 0, 0
    row_before, value = False, 0  # was the last line a row; its bytes if it is a value in case that this one is a row
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
            prose = n_plain >= PLAIN
            row = seen and not prose
            if row:
                rows += n_bytes + value
            value = n_bytes if prose and row_before and end - begin <= MAX_VALUE_BYTES else 0
            row_before = row
        begin = end + 1
    return rows / counted if n_lines > 1 else np.nan


@njit(cache=True, nogil=True)
def outline(line: np.ndarray) -> tuple[np.uint64, int, bool]:
    """The hash of a line's shape, its longest run of plain words, and whether it has anything but ASCII marks.

    A word begins with a letter or `_`, a number with a digit and may have dots in it. A plain word is of letters alone;
    in a run they are one space apart, so the columns of a table are none.
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
