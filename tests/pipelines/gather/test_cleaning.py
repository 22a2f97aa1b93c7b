"""Markup becomes the text that a reader sees, and a page stays or goes by C4's rules."""

import pytest

from pipelines.gather.cleaning import c4_text, decode, html_text, squeeze, untagged


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),  # not UTF-8: Latin-1
        (b"cafe\xcc\x81", "café"),  # NFC
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        (b"\xef\xbb\xbfa\0b", "ab"),
        (b"", ""),
    ],
)
def test_bytes_are_read_as_text(raw, text):
    assert decode(raw) == text


@pytest.mark.parametrize(
    ("text", "squeezed"),
    [("\n\na \t\nb\n\n\n\nc\n\n", "a\nb\n\nc\n"), ("a\n\nb", "a\n\nb\n"), ("  a", "a\n"), ("", "\n")],
)
def test_blank_lines_and_trailing_blanks_go(text, squeezed):
    assert squeeze(text) == squeezed


def test_tags_go_and_entities_become_characters():
    assert untagged("<b>a &lt; b</b> &amp;amp; <br/>c") == "a < b &amp; c"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<head><title>T</title></head><p>one\n two</p><p>three", "one two\n\nthree\n"),
        ("<script>x < y</script>a<!-- <p> -->b<style>p{}</style>", "a b\n"),
        ("<nav>menu</nav><footer>end</footer>body", "body\n"),
        ("<ul><li>one<li class=x>two</ul>", "- one\n- two\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>", "a\tb\n\nc\n"),
        ("say:<pre>if x:\n    <b>y</b> &gt; 1\n</pre>end", "say:\n\nif x:\n    y > 1\n\nend\n"),
        ("a <i>b</i> c<br>d&nbsp;e", "a b c\n\nd e\n"),
        ("<P>a</P  >b", "a\n\nb\n"),
    ],
)
def test_a_page_as_a_reader_sees_it(page, text):
    assert html_text(page) == text


GOOD = "This line has more than five words."


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([GOOD] * 5, [GOOD] * 5),
        ([GOOD] * 4, []),  # fewer than five lines
        ([GOOD] * 5 + ["Too short here."], [GOOD] * 5),
        ([GOOD] * 5 + ["Five words are just enough."], [GOOD] * 5 + ["Five words are just enough."]),
        ([GOOD] * 5 + ["This line has no end of a sentence"], [GOOD] * 5),
        ([GOOD] * 5 + ['It ends "like a sentence in quotes."'], [GOOD] * 5 + ['It ends "like a sentence in quotes."']),
        ([GOOD] * 5 + ["Please turn on your JavaScript to see it."], [GOOD] * 5),
        ([GOOD] * 5 + ["It has one { and so is code."], []),
        ([GOOD] * 5 + ["One { in a short line."], []),
        ([GOOD] * 5 + ["one { without an end of a sentence"], [GOOD] * 5),  # the line is dropped before it counts
        (['Five of these end in a quote."'] * 5, []),  # no sentence ends before white space
    ],
)
def test_c4_keeps_lines_that_are_sentences_and_pages_that_are_text(lines, kept):
    page = "".join(f"<p>{line}</p>" for line in lines)
    assert c4_text(page) == ("\n".join(kept) + "\n" if kept else "")
