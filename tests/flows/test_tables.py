"""Tables for people fit into 80 columns; compact figures keep three digits."""

import random
from fractions import Fraction

from flows.tables import WIDTH, aligned, compact, cut, printed


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


def test_answers_to_queries_are_printed_as_wide_as_they_are():
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
