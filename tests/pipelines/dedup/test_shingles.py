r"""The kernels see the words that plain Python sees, on any text in any script, and hash them as plain Python does."""
# ruff: noqa: RUF001 letters that look alike are the matter here

import itertools
import random
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.batches import BATCH_BYTES, batches
from pipelines.dedup.characters import DOTTED_I, SIGMA
from pipelines.dedup.shingles import Window, in_parts, shingles
from tests.pipelines.dedup.slow import windows, words_of

SEEDS = range(200)
WINDOWS = (Window(5), Window(5), Window(1), Window(2), Window(9), Window(4, "characters"), Window(25, "characters"))
PINNED = [411343350387959196, 11006506009690534696, 4359636279789038450]

# Letters that change in number, form or kind when lowered; marks, digits and joints that are or aren't in a word;
# the ends of each width of UTF-8; what is skipped when a sigma looks for the end of its word.
CHARACTERS = [
    *"abcABC_019 \n.'-", SIGMA, "σ", "ς", DOTTED_I, "ı", "ß", "ẞ", "ﬁ", "ŉ", "é", "\u0301", "²", "½", "٣", "Ⅷ", "ª",
    "日", "本", "ひ", "한", "ไ", "์", "々", "〇", "カ", "ー", "ｶ", "ﾞ", "\u3099", "で", *"กำก็๒", *"ລາວກ໊", *"ខ្មែរ៣",
    *"မြန်၂", "ᦅ", "ᬅ", "ꦲ", "ꧏ", *"བོད་हि", "𠀋", "㈠", "ꀀ", "𗀀", "\u200b", "、", "\U000e0100", "𝔘", "𐐀", "🐳", "\u00ad", "\u200d", "·", "\u0345", "\u0307", "\u00a0", "\u2028",
    "\x00", "\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff",
]  # fmt: skip


def slow_mix(h):
    h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCD % 2**64
    h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53 % 2**64
    return h ^ (h >> 33)


def slow_shingles(text, window=WINDOWS[0]):
    """Windows of words, then their hashes in Python's own integers."""
    found = set()
    for words in windows(text, *window):
        whole = 0
        for word in words:
            h = 0x243F6A8885A308D3
            for character in word:
                h = (h ^ ord(character)) * 0x9E3779B97F4A7C15 % 2**64
            whole = (whole * 0x9E3779B97F4A7C15 + slow_mix(h)) % 2**64
        found.add(slow_mix(whole))
    return sorted(found)


def fast(texts, window=WINDOWS[0], kind=None):
    values, offsets = shingles(pa.array(texts, kind or pa.large_string()), window)
    return [values[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def random_texts(seed):
    rng = random.Random(seed)
    few = rng.sample(CHARACTERS, 6)
    texts = ["".join(rng.choices(rng.choice([few, CHARACTERS]), k=rng.choice([0, 1, 4, 30, 200]))) for _ in range(6)]
    return [*texts, " ".join(rng.choices(["a", "B", "Ὀδυσσεύς", "ΟΔΟΣ", "x_1"], k=rng.randrange(40)))]


def test_the_shingles_are_the_slow_ones():
    for seed in SEEDS:
        window = WINDOWS[seed % len(WINDOWS)]
        texts = random_texts(seed)
        assert fast(texts, window) == [slow_shingles(text, window) for text in texts], f"{seed=}"


TEXT = st.text(st.one_of(st.sampled_from(CHARACTERS), st.characters(exclude_categories=["Cs"])))


@given(st.lists(TEXT), st.sampled_from(WINDOWS))
def test_on_any_text(texts, window):
    assert fast(texts, window) == [slow_shingles(text, window) for text in texts]


@given(st.text(st.sampled_from([SIGMA, DOTTED_I, "a", "Α", " ", ".", "'", "\u0307", "\u00ad", "日"]), max_size=40))
def test_on_the_letters_whose_small_form_is_not_one_letter(text):
    for window in (Window(2), Window(2, "characters")):
        assert fast([text], window) == [slow_shingles(text, window)]


REAL = {
    "日本語のWikipediaは、2001年5月に始まった。": "日 本 語 の wikipedia は 2001 年 5 月 に 始 ま っ た",
    "コンピューター　ｶﾞｲﾄﾞ": "コ ン ピ ュ ー タ ー ｶ ﾞ ｲ ﾄ ﾞ",
    "中华人民共和国\n成立于1949年10月1日": "中 华 人 民 共 和 国 成 立 于 1949 年 10 月 1 日",
    "ประเทศไทย พ.ศ. ๒๕๖๓": "ป ร ะ เ ท ศ ไ ท ย พ ศ ๒๕๖๓",
    "น้ำ": "น้ ำ",
    "ស្រុកខ្មែរ": "ស្ រុ ក ខ្ មែ រ",
    "မြန်မာ": "မြ န် မာ",
    "ພາສາລາວ": "ພ າ ສ າ ລ າ ວ",
    "대한민국은 민주공화국이다.": "대한민국은 민주공화국이다",
    "Café №5, naïve_x": "café 5 naïve_x",
}


@pytest.mark.parametrize("text", REAL)
def test_the_words_of_real_scripts(text):
    """Guards the slow definition itself: what the documentation says of these scripts."""
    assert words_of(text) == REAL[text].split()


def test_line_breaks_spaces_and_punctuation_do_not_matter_between_words_of_unspaced_scripts():
    text = "春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少？"
    bare = re.sub(r"\W", "", text)
    assert fast([text]) == fast([bare]) == fast(["\u200b".join(bare)]) == fast(["\n".join(bare)])
    assert len(fast([text])[0]) == 20 - 4


def test_latin_words_are_runs_of_word_characters_as_ever():
    texts = [text for seed in SEEDS for text in random_texts(seed)]
    texts = ["".join(c for c in text if c < "\u0e00" or "\uac00" <= c < "\ud7a4") for text in texts]
    assert [words_of(text) for text in texts] == [re.findall(r"\w+", text.lower()) for text in texts]


@pytest.mark.parametrize("window", [Window(5), Window(3, "characters"), Window(4_300)])
def test_long_texts_are_read_in_pieces(window, monkeypatch):
    """More words than are hashed at a time, and more shingles than one part holds."""
    rng = random.Random(1)
    texts = [
        " ".join(str(rng.randrange(10**6)) for _ in range(4_500)),
        "".join(rng.choices("天地玄黃宇宙洪荒日月盈昃", k=4_500)),
        "ab " * 4_500,
        *(" ".join(map(str, range(n))) for n in range(1_026, 1_032)),
    ]
    slow = [slow_shingles(text, window) for text in texts]
    assert fast(texts, window) == slow
    assert [fast([text], window)[0] for text in texts] == slow
    for most in (4_200, 5_000):
        monkeypatch.setattr("pipelines.dedup.shingles.MAX_HASHES", most)
        parts = [list(in_parts(pa.array([text]), window)) for text in texts]
        assert [[value for part in each for value in part.values.tolist()] for each in parts] == slow
        assert max(map(len, parts)) > 1
        assert max(len(part.values) for each in parts for part in each) <= most


def test_the_hashes_never_change():
    """Signatures on disk were made of them."""
    assert fast(["a whale of a time", "two words", "日本語 Σ"]) == [PINNED[:1], PINNED[1:2], PINNED[2:]]


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    drawn = [(text, WINDOWS[seed % len(WINDOWS)]) for seed in SEEDS for text in random_texts(seed)]
    n_words = [(len(words_of(text, window.unit)), window) for text, window in drawn]
    assert all(any((few, Window(5)) == case for case in n_words) for few in range(5))
    assert any(
        len(windows(text, *window)) < n - window.length + 1
        for (text, window), (n, _) in zip(drawn, n_words, strict=True)
    )
    lowered = "".join(text.lower() for text, _ in drawn if SIGMA in text)
    assert "σ" in lowered
    assert "ς" in lowered
    assert any(len(text.lower()) > len(text) for text, _ in drawn)
    assert any(text.isascii() for text, _ in drawn)
    words = {word for text, window in drawn if window.unit == "words" for word in words_of(text)}
    assert {"กำ"[0], "ก็", "日", "で", "๒", "ー"} <= words
    assert any("日" in a and b == "a" for text, _ in drawn for a, b in itertools.pairwise(words_of(text)))


def test_a_text_that_repeats_itself_costs_no_more_than_another():
    for period in (1, 2, 7, 1_000):
        words = [f"w{i % period}" for i in range(300_000)]
        assert fast([" ".join(words)]) == [slow_shingles(" ".join(words[: period + 4]))]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_slice_is_shingled_like_a_copy(kind):
    texts = random_texts(3)
    whole = pa.array(["before Σ", *texts, "after"], kind)
    values, offsets = shingles(whole.slice(1, len(texts)), Window(5))
    again = shingles(pa.array(texts, kind), Window(5))
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
    assert shingles(pa.array([], pa.large_string()), Window(5)).offsets.tolist() == [0]
    assert fast(["", "", ""]) == [[], [], []]
