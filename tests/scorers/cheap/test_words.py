"""The kernels see the words that Python's `re` sees, and number and divide them as plain Python does."""

import json
import random
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from scorers.cheap.words import BLOCK, PATTERN, blocks, buffers, cut, number

CORPUS = Path(__file__).parents[3] / "examples" / "corpus"
WORD = re.compile(PATTERN)
SEEDS = range(150)
# Each kind of byte and its neighbours: the ends of the alphabets and of each width of UTF-8, and what is between words.
CHARACTERS = [
    *"abzAZ_019 \n\t\r.,'-(){}|~!/:@[^`", "\x00", "\x1f", "\x7f", "\x80", "\xa0", "\xab", "\xbf", "\xc0", "\xe9", "\xff",
    "\u0301", "\u07ff", "\u0800", "\u0e44", "\u1fff", "\u2000", "\u2019", "\u2014", "\u3042", "\u65e5", "\uac00", "\uffff",
    "\U00010000", "\U0001f433", "\U0010ffff",
]  # fmt: skip
PINNED = [8856164630518371805, 9094986047248824048]


@cache
def real_documents() -> dict[str, list[str]]:
    """Of three domains, each text of at least 5 KB; no more than the beginning of a novel."""
    with zstandard.open(CORPUS / "github.jsonl.zst", "rt") as stream:
        found = {"github": [json.loads(line)["text"] for line in stream]}
    found["c4"] = [json.loads(line)["text"] for line in (CORPUS / "c4.jsonl").read_text().splitlines()]
    found["book"] = [path.read_text()[:200_000] for path in sorted((CORPUS / "book").iterdir())]
    return {domain: [text for text in texts if len(text) >= 5_000] for domain, texts in found.items()}


def real_texts() -> list[str]:
    return [text for texts in real_documents().values() for text in texts]


def as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def slow_hash(word: str) -> int:
    h = 0x243F6A8885A308D3
    for byte in word.encode():
        h = (h ^ byte) * 0x9E3779B97F4A7C15 % 2**64
    h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCD % 2**64
    h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53 % 2**64
    return h ^ (h >> 33)


def slow_cut(text: str) -> list[tuple[int, int]]:
    """(hash, first byte) of each word."""
    return [(slow_hash(m[0]), len(text[: m.start()].encode())) for m in WORD.finditer(text)]


def fast_cut(text: str) -> list[tuple[int, int]]:
    hashes, begins = cut(as_bytes(text))
    return list(zip(hashes.tolist(), begins.tolist(), strict=True))


def random_text(seed: int) -> str:
    rng = random.Random(seed)
    few = rng.sample(CHARACTERS, 5)
    return "".join(rng.choices(rng.choice([few, CHARACTERS]), k=rng.choice([0, 1, 2, 9, 60])))


def random_numbers(seed: int) -> np.ndarray:
    """Words as `number` gives them, around multiples of a block."""
    rng = np.random.default_rng(seed)
    n = max(0, BLOCK * int(rng.integers(0, 5)) + int(rng.integers(-2, 3)))
    return number(rng.integers(0, rng.choice([1, 2, 50, 1000]), n).astype(np.uint64))[0]


def test_words_are_those_of_the_pattern():
    for seed in SEEDS:
        assert fast_cut(random_text(seed)) == slow_cut(random_text(seed)), f"{seed=}"


@given(st.text(st.one_of(st.sampled_from(CHARACTERS), st.characters(exclude_categories=["Cs"]))))
def test_on_any_text(text):
    assert fast_cut(text) == slow_cut(text)


def test_every_character_there_is():
    everything = [chr(p) for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    hashes, _ = cut(as_bytes("".join(everything)))
    assert hashes.tolist() == [slow_hash(word) for word in WORD.findall("".join(everything))]


def test_on_real_texts():
    for text in real_texts()[::10]:
        words, ascii_only = fast_cut(text), text.isascii()
        assert [h for h, _ in words] == [slow_hash(word) for word in WORD.findall(text)]
        if ascii_only:
            assert [begin for _, begin in words] == [m.start() for m in WORD.finditer(text)]


def test_the_hashes_never_change():
    """A background on disk was made of them."""
    assert [h for h, _ in fast_cut("whale \u65e5")] == PINNED


@pytest.mark.parametrize(
    ("text", "n"), [("", 0), (" \n\t\x00", 0), ("a", 1), ("a_1 b", 2), ("\u65e5\u672c", 2), ("x\u2019s", 3)]
)
def test_edges(text, n):
    assert len(cut(as_bytes(text))[0]) == n


def test_numbers_are_by_first_occurrence():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        hashes = rng.integers(0, rng.choice([1, 3, 2**63]), rng.integers(0, 200), dtype=np.uint64)
        if seed % 3 == 0:
            hashes <<= np.uint64(40)  # all begin at one slot
        numbers, distinct = number(hashes)
        order = list(dict.fromkeys(hashes.tolist()))
        assert distinct.tolist() == order
        assert numbers.tolist() == [order.index(h) for h in hashes.tolist()]


def test_blocks_hold_their_distinct_words():
    for seed in SEEDS:
        numbers = random_numbers(seed)
        members, starts = blocks(numbers)
        found = [members[a:b].tolist() for a, b in pairwise(starts)]
        whole = [numbers[i : i + BLOCK].tolist() for i in range(0, len(numbers) - BLOCK + 1, BLOCK)]
        assert found == [list(dict.fromkeys(words)) for words in whole], f"{seed=}"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_buffers_of_a_slice(kind):
    texts = ["before", "", "\u65e5\u672c", "x"]
    data, starts = buffers(pa.array([*texts, "after"], kind).slice(1, 3))
    assert [bytes(data[a:b]).decode() for a, b in pairwise(starts)] == texts[1:]
    assert buffers(pa.array([], kind))[1].tolist() == [0]
    assert buffers(pa.array(["", ""], kind))[1].tolist() == [0, 0, 0]


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    texts = [random_text(seed) for seed in SEEDS]
    found = [word for text in texts for word in WORD.findall(text)]
    assert {len(word.encode()) for word in found if len(word) == 1} == {1, 2, 3, 4}
    assert any(len(word) > 1 and not word.isascii() for word in found)
    assert any(text and not WORD.search(text) for text in texts)
    assert {len(random_numbers(seed)) % BLOCK for seed in SEEDS} == {0, 1, 2, BLOCK - 1, BLOCK - 2}
    assert len(real_texts()) > 30
