"""The ids of pieces are those of the text encoded at once, whatever the text."""

import random

import numpy as np
import pytest

from pipelines.encode import pieces
from pipelines.encode.pieces import AGREE, Placed, encode_pieces
from pipelines.encode.tokenizer import load
from tests.pipelines.encode.families import EXAMPLES, params_of

DEFAULT = params_of(EXAMPLES / "tokenizer" / "tokenizer.json", eos_token="<|endoftext|>")
WORDS = ["the ", "whale", " 1,024", "\n\n", "  ", "naïve ", "日本語", "🐳", "e\u0301", "-----", "\tif x:", "don't ", "aaaa" * 30, "<|endoftext|>", "ﬁ", "\u2029", "\r\n"]  # fmt: skip
HAN = [chr(point) for point in range(0x4E00, 0x4E00 + 2_500)]


def random_text(seed, n=3_000, parts=WORDS):
    return "".join(random.Random(seed).choices(parts, k=n))


def at_once(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def joined(tokenizer, text, piece_chars, batch_bytes=9_000):
    return encode_pieces(tokenizer, text, piece_chars, batch_bytes).tolist()


@pytest.mark.parametrize("piece_chars", [2_500, 7_001])
def test_mixed_text(piece_chars):
    tokenizer = load(DEFAULT.tokenizer)
    for seed in range(25):
        text = random_text(seed)
        assert joined(tokenizer, text, piece_chars) == at_once(tokenizer, text), f"{seed=}"


def test_mixed_text_in_each_family(family):
    tokenizer = load(family.tokenizer)
    for seed in range(4):
        text = random_text(seed)
        assert joined(tokenizer, text, 2_500) == at_once(tokenizer, text), f"{seed=}"


def test_text_without_white_space_in_each_family(family):
    tokenizer = load(family.tokenizer)
    text = random_text(1, 14_000, HAN)
    assert joined(tokenizer, text, 2_500) == at_once(tokenizer, text)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 9_000 + " and the end " * 400,
        ("12345 " * 400 + "7" * 3_001 + " ") * 5,
        " and " * 1_000 + "x" * 20_000,
        "\n" * 9_001,
        "x" * 12_345,
        "=" * 12_000,
    ],
    ids=["a long word", "a run across cuts", "a long word at the end", "line ends", "one word", "one sign"],
)
def test_runs_that_pieces_cut_at_other_places(text):
    tokenizer = load(DEFAULT.tokenizer)
    assert joined(tokenizer, text, 2_600) == at_once(tokenizer, text)


class Counting:
    """A tokenizer that counts the characters that it encodes."""

    def __init__(self, tokenizer):
        self.tokenizer, self.n_chars, self.longest = tokenizer, 0, 0

    def encode(self, text, **options):
        self.n_chars += len(text)
        self.longest = max(self.longest, len(text))
        return self.tokenizer.encode(text, **options)

    def encode_batch(self, texts, **options):
        self.n_chars += sum(map(len, texts))
        self.longest = max(self.longest, sum(map(len, texts)))
        return self.tokenizer.encode_batch(texts, **options)


def test_work_grows_with_the_length_of_text_without_white_space():
    for n in (50_000, 200_000):
        tokenizer = Counting(load(DEFAULT.tokenizer))
        encode_pieces(tokenizer, random_text(1, n, HAN), 20_000, 1)
        assert tokenizer.n_chars <= 1.15 * n
        assert tokenizer.longest <= 22_000


def test_work_grows_with_the_length_where_no_pieces_can_be_joined(monkeypatch):
    monkeypatch.setattr(pieces, "find_seam", lambda *_: None)
    for n in (50_000, 400_000):
        tokenizer = Counting(load(DEFAULT.tokenizer))
        text = "ab " * (n // 3)
        assert joined(tokenizer, text, 5_000) == at_once(load(DEFAULT.tokenizer), text)
        assert tokenizer.n_chars <= 5 * n


def test_pieces_of_a_batch_have_at_most_batch_bytes():
    tokenizer = Counting(load(DEFAULT.tokenizer))
    text = random_text(1, 40_000, HAN)  # 3 bytes a character
    encode_pieces(tokenizer, text, 3_000, 31_000)
    assert 5_000 < tokenizer.longest <= 10_000 + 1_000


def test_some_pieces_were_joined_and_some_not(monkeypatch):
    """Guards the tests above."""
    seams = []
    real = pieces.find_seam
    monkeypatch.setattr(pieces, "find_seam", lambda *a: seams.append(real(*a)) or seams[-1])
    joined(load(DEFAULT.tokenizer), random_text(1), 2_500)
    assert sum(seam is not None for seam in seams) >= 3
    seams.clear()
    joined(load(DEFAULT.tokenizer), "x" * 12_345, 2_601)
    assert None in seams


def placed(ids, step=2):
    return Placed(np.array(ids), np.arange(len(ids)) * step)


def test_a_seam_needs_agreement_on_both_sides():
    row = placed(range(40))
    for i, j, same in [(20, 20, True), (7, 7, False), (8, 8, True), (33, 33, False), (32, 32, True), (20, 21, False)]:
        assert pieces.agree(row, i, row, j) is same, (i, j)
    for place, same in [(20 - AGREE - 1, True), (20 - AGREE, False), (20 + AGREE - 1, False), (20 + AGREE, True)]:
        other = placed([-1 if k == place else k for k in range(40)])
        assert pieces.agree(row, 20, other, 20) is same, place
        moved = Placed(row.ids, row.at.copy())
        moved.at[place] += 1
        assert pieces.agree(row, 20, moved, 20) is same, place
