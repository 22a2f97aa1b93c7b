"""The share is what `re` finds line by line; lists found by looking are flagged, prose and code are not."""

import random
import re

import numpy as np
import pytest

from scorers.cheap.lists import BACK, MAX_LINE_BYTES, MAX_LIST_SHARE, MAX_VALUE_BYTES, PLAIN, SYMBOLS, list_share
from tests.scorers.cheap.test_words import as_bytes, real_documents, real_texts

SEEDS = range(400)
LETTERS = r"A-Za-z_\u00c0-\u1fff"
SYMBOL = re.compile(rf"([{LETTERS}][0-9{LETTERS}]*)|([0-9][0-9.{LETTERS}]*)|([!-~\u0080-\U0010ffff])")
BLANK = re.compile(r"[\x00-\x20\x7f]*")


def slow_shape(line: str) -> tuple:
    symbols: list[str] = []
    last = ""
    for word, number, mark in SYMBOL.findall(line):
        symbol = "word" if word else "number" if number else mark
        if not symbol == last == "word":
            symbols.append(symbol)
        last = symbol
    return len(BLANK.match(line)[0]), tuple(symbols[:SYMBOLS])


def longest_run(line: str) -> int:
    """Plain words that are one space apart."""
    longest = run = 0
    end = None
    for match in SYMBOL.finditer(line):
        if match[1] and not re.search(r"[0-9_]", match[1]):
            run = run + 1 if end is not None and line[end : match.start()] == " " else 1
            longest, end = max(longest, run), match.end()
    return longest


def slow_share(text: str) -> float | None:
    """All lines first, rows next, values between them last."""
    lines = [line for line in text.split("\n") if any(w or n or ord(m) > 0x7E for w, n, m in SYMBOL.findall(line))]
    if len(lines) < 2:
        return None
    shapes = [slow_shape(line) for line in lines]
    prose = [longest_run(line) >= PLAIN for line in lines]
    rows = [shapes[i] in shapes[max(0, i - BACK) : i] and not prose[i] for i in range(len(lines))]
    values = [
        prose[i]
        and len(lines[i].encode()) <= MAX_VALUE_BYTES
        and 0 < i < len(lines) - 1
        and rows[i - 1]
        and rows[i + 1]
        for i in range(len(lines))
    ]
    weights = [min(len(line.encode()), MAX_LINE_BYTES) for line in lines]
    return sum(w for w, *of in zip(weights, rows, values, strict=True) if any(of)) / sum(weights)


def random_text(seed: int) -> str:
    """Lines of a few patterns, some changed."""
    rng = random.Random(seed)
    words = [
        "a",
        "bc",
        "é9",
        "x_1",
        "12",
        "0.5",
        "7th",
        ",",
        "=",
        "(",
        "日",
        "»",
        "\u00a0",
        "\u2014",
        "\t",
        "one two three four five",
    ]
    kinds = [
        rng.choice(["", " ", "\t ", "\x0b"]) + rng.choice([" ", "", "  "]).join(rng.choices(words, k=rng.randrange(9)))
        for _ in range(5)
    ]
    kinds += ["two words here and there are prose", "word " * rng.choice([15, 16, 17, 79, 80, 81])]
    lines = []
    for _ in range(rng.choice([0, 1, 2, 5, 30])):
        line = rng.choice(kinds[: rng.choice([2, 7])])
        if rng.random() < 0.4:
            line = line.replace(*rng.choice([("a", "other"), ("12", "3"), (" ", "  "), ("x_1", "plain"), (",", ";")]))
        lines.append(line)
    return "\n".join(lines) + rng.choice(["", "\n", "\r\n"])


def fast_share(text: str) -> float | None:
    share = list_share(as_bytes(text))
    return None if np.isnan(share) else share


def test_the_share_is_the_slow_one():
    for seed in SEEDS:
        assert fast_share(random_text(seed)) == slow_share(random_text(seed)), f"{seed=}"


def test_on_real_texts():
    for text in real_texts()[::3]:
        assert fast_share(text) == slow_share(text)


LISTS = {
    "an API": "\n".join(f"pkg net/http, method (*C{i}) Do{i}(string) error" for i in range(30)),
    "an index": "\n".join(f"{name}\nThe {name} module.\n" for name in ["abs", "acos", "bind", "cat", "dup", "exec", "fork", "glob"] * 4),
    "a table": "\n".join(f"| {i} | {i * i} | row {i} |" for i in range(30)),
    "values": "\n".join(f"  0x{i:04x}, 0x{i * 7:04x}, 0x{i * 3:04x}," for i in range(30)),
    "names": "\n".join(f'    "{name}",' for name in ["alpha", "beta", "gamma", "delta", "eps", "zeta", "eta", "theta"] * 4),
    "requirements": "\n\n".join(f"R-{i:05}-{i * 7:05}\n\nThe rank of the column within the index is given." for i in range(30)),
    "records": "\n".join(f"name: N{i}\narea: {i} km\nnote: none\n\n" for i in range(20)),
}  # fmt: skip


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_lists_are_flagged(text):
    assert list_share(as_bytes(text)) > MAX_LIST_SHARE


def test_prose_and_most_code_are_not():
    """Of the code six are lists of an API or of constants, and two say the same in line after line."""
    for domain, most in {"book": 0, "c4": 0, "github": 8}.items():
        flagged = [text for text in real_documents()[domain] if list_share(as_bytes(text)) > MAX_LIST_SHARE]
        assert len(flagged) <= most, domain


@pytest.mark.parametrize(("text", "share"), [("", None), ("one line", None), ("---\n***\nx", None), ("a\nb", 0.5)])
def test_edges(text, share):
    assert fast_share(text) == share


def test_a_value_is_short_and_between_rows():
    prose = "this is a line of prose"
    assert fast_share(f"a=1\na=2\n{prose}\na=3") == (3 + len(prose) + 3) / (9 + len(prose))
    assert fast_share(f"a=1\na=2\n{prose}") == 3 / (6 + len(prose))
    assert fast_share(f"a=1\na=2\n{prose}\n{prose}\na=3") == 6 / (9 + 2 * len(prose))
    for n in (MAX_VALUE_BYTES, MAX_VALUE_BYTES + 1):
        long = (prose + " ") * 30
        counted = MAX_LINE_BYTES * (n == MAX_VALUE_BYTES)
        assert fast_share(f"a=1\na=2\n{long[:n]}\na=3") == (6 + counted) / (9 + MAX_LINE_BYTES)


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    texts = [random_text(seed) for seed in SEEDS]
    shares = [slow_share(text) for text in texts]
    assert None in shares
    assert 0 in shares
    assert sum(0 < share < 1 for share in shares if share is not None) > 100
    lines = [line for text in texts for line in text.split("\n")]
    assert {PLAIN - 1, PLAIN, PLAIN + 1} <= {longest_run(line) for line in lines}
    assert any(len(line.encode()) > MAX_LINE_BYTES for line in lines)
    assert any(len(slow_shape(line)[1]) == SYMBOLS for line in lines)
