"""Tables for people fit into 80 columns; compact figures keep three digits."""

import random
from fractions import Fraction

import pytest
from rich.cells import cell_len

from flows.tables import WIDTH, aligned, compact, cut, printed


@pytest.fixture(autouse=True)
def piped(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def test_compact_figures_keep_three_digits():
    shown = {
        0: "-", 1: "1", 999: "999", 1_000: "1.00k", 1_234: "1.23k", 9_994: "9.99k", 9_995: "10.0k", 12_345: "12.3k",
        99_949: "99.9k", 99_950: "100k", 999_499: "999k", 999_500: "1.00M", 20_000_000: "20.0M", 10**9: "1.00B",
        3 * 10**12: "3.00T",
    }  # fmt: skip
    assert {n: compact(n) for n in shown} == shown


def test_compact_figures_are_near_and_short():
    rng = random.Random(0)
    for _ in range(2_000):
        n = int(10 ** rng.uniform(0, 14.9))
        text = compact(n)
        assert len(text) <= 5, n
        size = {"k": 3, "M": 6, "B": 9, "T": 12}.get(text[-1], 0)
        value = Fraction(text.rstrip("kMBT")) * 10**size
        assert abs(value - n) <= Fraction(n, 200), n


def test_columns_are_aligned_two_spaces_apart():
    assert aligned(["domain", "n"], [["a", "1"], ["book", "1,000"]]) == [
        "  domain      n", "  a           1", "  book    1,000",
    ]  # fmt: skip
    assert aligned(["a", "b", "n"], [["x", "yy", "1"]], n_text=2, indent=0) == ["a  b   n", "x  yy  1"]


def test_wide_tables_move_together_and_then_cut_the_first_column():
    def widest(name, n_columns):
        return max(map(len, aligned(["domain", *"123456789"[:n_columns]], [[name, *["123.4"] * n_columns]])))

    assert widest("a" * 22, 8) == 2 + 22 + 8 * 7 == WIDTH
    assert widest("a" * 23, 8) == 2 + 23 + 8 * 6  # one space between columns
    assert widest("a" * 60, 9) == WIDTH
    (_, row) = aligned(["domain", "n"], [["a" * 100, "1"]])
    assert row == "  " + "a" * 74 + "…  1" or row == "  " + "a" * 75 + "… 1"


def test_cut():
    assert (cut("abcd", 4), cut("abcde", 4)) == ("abcd", "abc…")


def test_an_answer_into_a_pipe_is_as_wide_as_it_is():
    text = printed(["name", "n", "share"], [("x" * 300, 1_000, 0.123456789), (None, None, None)])
    assert "x" * 300 in text
    assert "1,000" in text
    assert "0.123457" in text
    assert printed(["name"], []).strip().startswith("name")


def test_a_cell_is_printed_as_it_is():
    """Not as markup, emoji codes, or what a terminal obeys."""
    cells = ["chat [/INST]", "[red]x", ":smile:", "a\x1b[31mb", "a\nb\tc", "a\u202eb", "ä 中"]
    lines = [line.strip() for line in printed(["name [b]"], [(c,) for c in cells]).splitlines()]
    assert lines[0] == "name [b]"
    shown = ["chat [/INST]", "[red]x", ":smile:", r"a\x1b[31mb", r"a\nb\tc", r"a\u202eb", "ä 中"]
    assert lines[2:] == shown


def test_a_boolean_is_no_number():
    assert printed(["is"], [(True,), (False,), (None,)]).split() == ["is", "─────", "true", "false"]


def widest(text):
    return max(map(cell_len, text.splitlines()))


def test_an_answer_fits_the_terminal(monkeypatch):
    """Long cells are cut first; then columns in the middle are left out; figures and the outer columns stay."""
    row = ("x" * 300, 123_456_789, "y" * 30, 0.5)
    for columns in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = printed(["name", "n", "other", "share"], [row])
        assert widest(text) <= columns
        assert "123,456,789" in text
        assert text.endswith("(long cells are cut; --format csv or json prints all)")
    assert widest(text) == 200  # all of the width is used
    assert "y" * 30 in text
    assert "cut" not in printed(["name"], [("x" * 200,)])


def test_columns_in_the_middle_are_left_out_where_cut_cells_are_not_enough():
    names = [f"column_{i:02d}" for i in range(20)]
    rows = [range(20), range(20)]
    text = printed(names, rows, width=80)
    head = text.splitlines()[0].split()
    assert widest(text) <= 80
    assert head == [*names[:4], "…", *names[-3:]]
    assert text.splitlines()[2].split() == ["0", "1", "2", "3", "…", "17", "18", "19"]
    assert text.endswith("(20 columns, 7 shown; --format csv or json prints all)")
    complete = printed(names, rows, width=20 * 11 - 2)
    assert complete.splitlines()[0].split() == names
    assert "shown" not in complete
    assert len(printed(names, rows, width=20 * 11 - 3).splitlines()[0].split()) == 20  # one is "…"


def test_columns_are_three_apart_where_that_fits_and_else_two():
    rows = [("a" * 9, "b" * 9), ("a", "b")]
    wide = "\n".join([f"x{' ' * 11}y", "─" * 21, f"{'a' * 9}   {'b' * 9}", f"a{' ' * 11}b"])
    assert [printed(["x", "y"], rows, width=n) for n in (21, 22)] == [wide, wide]
    assert printed(["x", "y"], rows, width=20).splitlines() == [
        f"x{' ' * 10}y",
        "─" * 20,
        f"{'a' * 9}  {'b' * 9}",
        f"a{' ' * 10}b",
    ]


def test_texts_are_cut_to_what_can_be_read_before_columns_are_left_out():
    rows = [["w" * 40] * 4] * 2
    assert printed(list("abcd"), rows, width=4 * 16 + 3 * 2).splitlines()[2].split() == ["w" * 15 + "…"] * 4
    assert printed(list("abcd"), rows, width=4 * 16 + 3 * 2 - 1).splitlines()[0].split() == ["a", "b", "…", "d"]


def test_a_row_that_does_not_fit_is_printed_upright():
    names = [f"column_{i:02d}" for i in range(20)]
    lines = printed(names, [[*range(19), "中" * 40]], width=80).splitlines()
    assert lines[:2] == ["column_00   0", "column_01   1"]
    assert lines[19] == f"column_19   {'中' * 33} …"
    assert lines[20:] == ["(long cells are cut; --format csv or json prints all)"]
    assert printed(names, [[None] * 20], width=80).splitlines() == names
    assert printed(names, [range(20)]).splitlines()[0].split() == names, "a pipe has no width"


def test_two_columns_are_cut_however_narrow_the_terminal_is():
    assert widest(printed(["a" * 60, "b" * 60], [("c" * 60, "d" * 60)], width=40).splitlines()[0]) <= 40


def test_a_wide_character_takes_two_columns():
    assert [cell_len(line) for line in aligned(["d", "n"], [["中文", "1"], ["ab", "22"]])] == [10, 10, 10]
    assert cut("中文中", 5) == "中文…"
    assert aligned(["d", "n"], [["a\x1b[2Jb", "1"]])[1] == r"  a\x1b[2Jb  1"
