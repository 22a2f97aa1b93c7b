"""Bytes and markup -> plain text."""

import html
import re
import unicodedata

HIDDEN = re.compile(r"<(script|style|head|nav|footer)\b.*?</\1\s*>|<!--.*?-->|<\?.*?\?>", re.DOTALL | re.IGNORECASE)
BLOCK = re.compile(
    r"</?(?:p|div|section|article|h[1-6]|ul|ol|dl|dt|dd|table|tr|blockquote|pre|hr|br|title)\b[^>]*>", re.IGNORECASE
)
ITEM = re.compile(r"<li\b[^>]*>", re.IGNORECASE)
CELL = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
PREFORMATTED = re.compile(r"(<pre\b[^>]*>)(.*?)(</pre\s*>)", re.DOTALL | re.IGNORECASE)
TAG = re.compile(r"<[^>]+>")
SENTENCE_END = re.compile(r"[.!?][\"')\]]?$")


def decode(raw: bytes) -> str:
    """NFC text with Unix newlines. Invalid UTF-8 is read as Latin-1; NUL and the byte order mark are removed."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").lstrip("\ufeff")
    return unicodedata.normalize("NFC", text)


def squeeze(text: str) -> str:
    """At most one blank line in a row, no trailing spaces, one newline at the end."""
    text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def untagged(text: str) -> str:
    """The text without tags and with entities decoded. Block elements get no line breaks."""
    return html.unescape(TAG.sub("", text))


def html_text(page: str) -> str:
    """The visible text of an HTML or XML page, including menus. Indentation inside `<pre>` is preserved."""
    page = HIDDEN.sub(" ", page)
    parts = []
    last = 0
    for block in PREFORMATTED.finditer(page):
        parts += [flowing(page[last : block.start()]), "\n\n", untagged(block.group(2)), "\n\n"]
        last = block.end()
    return squeeze("".join([*parts, flowing(page[last:])]))


def flowing(fragment: str) -> str:
    """Text outside `<pre>`: runs of white space become a space, and only block elements break lines."""
    words = " ".join(f"|{fragment}|".split())[1:-1]  # the bars keep a space at either end
    text = untagged(CELL.sub("\t", ITEM.sub("\n- ", BLOCK.sub("\n\n", words)))).replace("\xa0", " ")
    return "\n".join(line.strip(" \t") for line in f"|{text}|".split("\n"))[1:-1]


def c4_text(page: str) -> str:
    """The text of an HTML page after the filters of the C4 corpus; empty where they drop the page.

    A line is kept if it has at least five words, ends like a sentence and does not contain "javascript". A page with a
    curly bracket in such a line, fewer than five such lines or fewer than three sentences is dropped.

    Source: Raffel et al. 2020, Exploring the limits of transfer learning, section 2.2; the rules for English pages.
    """
    kept = []
    for raw_line in html_text(page).split("\n"):
        line = raw_line.strip().removeprefix("- ")
        if len(line.split()) < 5 or not SENTENCE_END.search(line) or "javascript" in line.lower():
            continue
        if "{" in line:
            return ""
        kept.append(line)
    body = "\n".join(kept)
    n_sentences = len(re.findall(r"[.!?](?:\s|$)", body))
    return body + "\n" if len(kept) >= 5 and n_sentences >= 3 else ""
