r"""The kernels see the words that Python's `lower()` and `\w+` see, on any text, and hash them as plain Python does."""
# ruff: noqa: RUF001 letters that look alike are the matter here

import itertools
import random
import re
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dedup.shingles import BATCH_BYTES, DOTTED_I, SIGMA, batches, lower_words, shingles, sort_distinct

WORD = re.compile(r"\w+")
SEEDS = range(200)
N_WORDS = (5, 5, 1, 2, 9)
PINNED = [411343350387959196, 11006506009690534696, 2688123359520141899]

# Letters that change in number, form or kind when lowered; marks, digits and joints that are or aren't in a word;
# the ends of each width of UTF-8; what is skipped when a sigma looks for the end of its word.
CHARACTERS = [
    *"abcABC_019 \n.'-", SIGMA, "σ", "ς", DOTTED_I, "ı", "ß", "ẞ", "ﬁ", "ŉ", "é", "\u0301", "²", "½", "٣", "Ⅷ", "ª",
    "日", "本", "ひ", "한", "ไ", "์", "𝔘", "𐐀", "🐳", "\u00ad", "\u200d", "·", "\u0345", "\u0307", "\u00a0", "\u2028",
    "\x00", "\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff",
]  # fmt: skip


def slow_mix(h):
    h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCD % 2**64
    h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53 % 2**64
    return h ^ (h >> 33)


def slow_windows(text, n_words=5):
    words = WORD.findall(text.lower())
    return {tuple(words[i : i + n_words]) for i in range(max(1, len(words) - n_words + 1))} if words else set()


def slow_shingles(text, n_words=5):
    """Windows of words, then their hashes in Python's own integers."""
    found = set()
    for window in slow_windows(text, n_words):
        whole = 0
        for word in window:
            h = 0x243F6A8885A308D3
            for character in word:
                h = (h ^ ord(character)) * 0x9E3779B97F4A7C15 % 2**64
            whole = (whole * 0x9E3779B97F4A7C15 + slow_mix(h)) % 2**64
        found.add(slow_mix(whole))
    return sorted(found)


def fast(texts, n_words=5, kind=None):
    values, offsets = shingles(pa.array(texts, kind or pa.large_string()), n_words)
    return [values[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def random_texts(seed):
    rng = random.Random(seed)
    few = rng.sample(CHARACTERS, 6)
    texts = ["".join(rng.choices(rng.choice([few, CHARACTERS]), k=rng.choice([0, 1, 4, 30, 200]))) for _ in range(6)]
    return [*texts, " ".join(rng.choices(["a", "B", "Ὀδυσσεύς", "ΟΔΟΣ", "x_1"], k=rng.randrange(40)))]


def test_the_shingles_are_the_slow_ones():
    for seed in SEEDS:
        n_words = N_WORDS[seed % len(N_WORDS)]
        texts = random_texts(seed)
        assert fast(texts, n_words) == [slow_shingles(text, n_words) for text in texts], f"{seed=}"


@given(st.lists(st.text(st.one_of(st.sampled_from(CHARACTERS), st.characters(exclude_categories=["Cs"])))))
def test_on_any_text(texts):
    assert fast(texts) == [slow_shingles(text) for text in texts]


@given(st.text(st.sampled_from([SIGMA, DOTTED_I, "a", "Α", " ", ".", "'", "\u0307", "\u00ad", "日"]), max_size=40))
def test_on_the_letters_whose_small_form_is_not_one_letter(text):
    assert fast([text], 2) == [slow_shingles(text, 2)]


def test_every_character_there_is():
    """One by one in the table, then all in a row through the decoder."""
    table = lower_words()
    everything = [chr(p) for p in range(sys.maxunicode + 1) if not 0xD800 <= p < 0xE000]
    for character in everything:
        lowered = character.lower()
        expected = [ord(c) if WORD.match(c) else 0 for c in lowered]
        if character == DOTTED_I:
            assert expected == [ord("i"), 0]
        elif character != SIGMA:
            assert [table[ord(character)]] == expected, f"{character!r}"
        assert lowered.lower() == lowered, f"{character!r}: what was lowered before the kernel changes in it"
    text = "".join(c for c in everything if c != SIGMA)
    assert fast([text], 1) == [slow_shingles(text, 1)]


def test_the_hashes_never_change():
    """Signatures on disk were made of them."""
    assert fast(["a whale of a time", "two words", "日本語 Σ"]) == [PINNED[:1], PINNED[1:2], PINNED[2:]]


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    drawn = [(text, N_WORDS[seed % len(N_WORDS)]) for seed in SEEDS for text in random_texts(seed)]
    n_words = [(len(WORD.findall(text.lower())), n) for text, n in drawn]
    assert all(any((few, 5) == case for case in n_words) for few in range(5))
    assert any(len(slow_windows(text, n)) < found - n + 1 for (text, n), (found, _) in zip(drawn, n_words, strict=True))
    lowered = "".join(text.lower() for text, _ in drawn if SIGMA in text)
    assert "σ" in lowered
    assert "ς" in lowered
    assert any(len(text.lower()) > len(text) for text, _ in drawn)
    assert any(text.isascii() for text, _ in drawn)


@given(st.lists(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 9), st.integers(2**64 - 9, 2**64 - 1))))
def test_sorted_and_distinct(hashes):
    values = np.array(hashes, np.uint64)
    out, slots = np.empty(len(values), np.uint64), np.empty((2, len(values) + 2), np.int32)
    n = sort_distinct(values, len(values), slots[0], slots[1], out)
    assert out[:n].tolist() == sorted(set(hashes))


def test_a_text_that_repeats_itself_costs_no_more_than_another():
    for period in (1, 2, 7, 1_000):
        words = [f"w{i % period}" for i in range(300_000)]
        assert fast([" ".join(words)]) == [slow_shingles(" ".join(words[: period + 4]))]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_slice_is_shingled_like_a_copy(kind):
    texts = random_texts(3)
    whole = pa.array(["before Σ", *texts, "after"], kind)
    values, offsets = shingles(whole.slice(1, len(texts)), 5)
    again = shingles(pa.array(texts, kind), 5)
    assert values.tolist() == again.values.tolist()
    assert offsets.tolist() == again.offsets.tolist()


def test_batches_hold_every_text_once_in_order():
    for seed in SEEDS:
        texts = [text for s in range(seed, seed + 3) for text in random_texts(s)]
        column = pa.chunked_array([texts[:5], texts[5:], []], pa.large_string())
        cut = [batch.to_pylist() for batch in batches(column.slice(1), 150)]
        assert [text for batch in cut for text in batch] == texts[1:], f"{seed=}"
        assert all(len(batch) == 1 or sum(len(t.encode()) for t in batch) <= 150 for batch in cut), f"{seed=}"
    assert len(list(batches(pa.array(["x" * BATCH_BYTES, "y"], pa.string())))) == 2


def test_nothing_at_all():
    assert shingles(pa.array([], pa.large_string()), 5).offsets.tolist() == [0]
    assert fast(["", "", ""]) == [[], [], []]
