"""Values in Markdown: what a reader of CommonMark sees is the value."""

import re

import pytest

from pipelines.markdown import SHOWN_CHARS, cell, fence, inline, sentence, table, visible

PLAIN = ["web", "CC-BY-4.0", "long_tokens", "1,234", "12.30%", "-0.120", "-", "école", "16-32K", "top/short (b)"]
HOSTILE = [
    "<script>alert(1)</script>", "[a](http://b.c)", "![x](y.png)", "**b**", "_b_", "a _b_", "www.b.c", "http://b.c",
    "a@b.c", ":smile:", "a|b", "`", "``a`", "$x$", "~~a~~", "&lt;", "a\nb", "\x1b[31m", "\u202eabc", "# a", " a ", "\\|", "",
]  # fmt: skip


def shown(markdown: str) -> str:
    """What a code span shows, by CommonMark, section 6.1; else the text itself."""
    span = re.fullmatch(r"(`+)([^`].*?[^`]|[^`])\1", markdown, re.DOTALL)
    if not span:
        return markdown
    content = span[2]
    return content[1:-1] if content[0] == content[-1] == " " and content.strip(" ") else content


def cells(line: str) -> list[str]:
    """The cells of a row of a table, by the tables of GitHub Flavored Markdown: \\| is a | inside a cell."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [part.strip().replace("\\|", "|") for part in re.split(r"(?<!\\)\|", line[1:-1])]


@pytest.mark.parametrize("value", PLAIN)
def test_a_harmless_value_is_written_as_it_is(value):
    assert inline(value) == cell(value) == value


@pytest.mark.parametrize("value", HOSTILE)
def test_any_other_value_is_one_code_span(value):
    assert inline(value).startswith("`")
    assert "\n" not in inline(value)
    assert "\x1b" not in inline(value)
    assert shown(inline(value)).strip() == visible(value).strip()


def test_control_characters_are_visible():
    assert visible("a\nb\x1b\u202e") == "a\\nb\\x1b\\u202e"


def test_a_long_value_is_cut():
    assert len(visible("x" * 1000)) == SHOWN_CHARS
    assert visible("x" * SHOWN_CHARS) == "x" * SHOWN_CHARS


def test_a_table_has_the_cells_that_it_was_given():
    rows = [["a|b", 1], ["``x|", None]]
    lines = table(["a", "n"], rows, [False, True]).splitlines()
    assert lines[:2] == ["| a | n |", "| --- | ---: |"]
    assert [[shown(c) for c in cells(line)] for line in lines[2:]] == [["a|b", "1"], ["``x|", "-"]]


def test_a_table_is_bounded():
    rows = [[i] for i in range(23)]
    assert table(["n"], rows[:20], [True]).splitlines()[-1] == "| 19 |"
    assert table(["n"], rows, [True]).splitlines()[-3:] == ["| 19 |", "", "3 more rows."]


def test_the_sum_of_a_bounded_table_is_shown():
    rows = [[i] for i in range(23)]
    assert table(["n"], rows, [True], has_sum=True).splitlines()[-4:] == ["| 19 |", "| 22 |", "", "2 more rows."]
    assert table(["n"], rows[:21], [True], has_sum=True).splitlines()[-2:] == ["| 19 |", "| 20 |"]
    assert len(table(["n"], [], [True], has_sum=True).splitlines()) == 2


@pytest.mark.parametrize("text", ["{}", "```\n# a", "a ````` b"])
def test_nothing_closes_a_fence_but_its_end(text):
    first, *inside, last = fence(text, "json").splitlines()
    assert first == last + "json"
    assert all(last not in line for line in inside)


def test_a_sentence_keeps_its_harmless_words():
    plain = "source web: 3 of 4 files passed over: .md (2); set format, or max_rejected_share = 1. (Why? 'text' is not there!)"
    assert sentence(plain) == plain
    assert sentence("in <b>my domain</b> 3.0%, and *x* too") == "in `<b>my` `domain</b>` 3.0%, and `*x*` too"
    assert sentence("a\nb  c") == "`a\\nb`  c"
    assert sentence(":smile: [a](http://b.c),") == "`:smile`: `[a](http://b.c`),"
