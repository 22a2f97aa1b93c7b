"""Recurrence is what sets of words and a look for each block give; it is fair to length and sees what was stitched."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from scorers.cheap.background import Domain, describe
from scorers.cheap.recurrence import MIN_BLOCKS, NEAR, WIDTH, look_up, recurrence
from scorers.cheap.words import BLOCK, blocks, cut, number
from tests.scorers.cheap.test_words import as_bytes, real_texts

SEEDS = range(80)


def slow_recurrence(held: list[set[int]], weights: np.ndarray, chances: np.ndarray) -> float | None:
    """Each block, each distance, each word; None where nothing could be looked for."""
    gained, looked = 0.0, 0.0
    for block, words in enumerate(held):
        for doubling in range(20):
            nearest = block - NEAR * 2**doubling
            if nearest - WIDTH + 1 < 0:
                break
            reach = set().union(*held[nearest - WIDTH + 1 : nearest + 1])
            looked += sum(float(weights[word]) for word in words)
            gained += sum(float(weights[word]) * ((word in reach) - float(chances[word])) for word in words)
    return gained / looked if looked else None


def random_blocks(seed: int) -> tuple[list[set[int]], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n_words = int(rng.choice([1, 5, 200]))
    held = [set(rng.integers(0, n_words, rng.integers(1, 30)).tolist()) for _ in range(rng.integers(0, 90))]
    weights = rng.random(n_words) * (rng.random(n_words) < 0.7)
    return held, weights.astype(np.float32), rng.random(n_words).astype(np.float32)


def as_arrays(held: list[set[int]]) -> tuple[np.ndarray, np.ndarray]:
    members = [word for words in held for word in sorted(words)]
    return np.array(members, np.int32), np.cumsum([0, *map(len, held)])


def of_text(text: str, known) -> float:
    numbers, distinct = number(cut(as_bytes(text))[0])
    return recurrence(*blocks(numbers), *look_up(distinct, *known.words))


@pytest.fixture(scope="module")
def known():
    texts = real_texts()
    return describe([str(i) for i in range(len(texts))], pa.array(texts, pa.large_string()))


def test_recurrence_is_the_slow_one():
    for seed in SEEDS:
        held, weights, chances = random_blocks(seed)
        fast, slow = recurrence(*as_arrays(held), weights, chances), slow_recurrence(held, weights, chances)
        if slow is None:
            assert np.isnan(fast), f"{seed=}"
        else:
            assert fast == pytest.approx(slow, abs=1e-9), f"{seed=}"


def test_recurrence_of_real_texts(known):
    for text in real_texts()[::8]:
        numbers, distinct = number(cut(as_bytes(text[:30_000]))[0])
        members, starts = blocks(numbers)
        weights, chances = look_up(distinct, *known.words)
        held = [set(members[a:b].tolist()) for a, b in pairwise(starts)]
        slow = slow_recurrence(held, weights, chances)
        fast = recurrence(members, starts, weights, chances)
        assert np.isnan(fast) if slow is None else fast == pytest.approx(slow, abs=1e-6)


@pytest.mark.parametrize("n_keys", [0, 1, 2, 3, 100])
def test_look_up_finds_every_key_and_nothing_else(n_keys):
    rng = np.random.default_rng(n_keys)
    keys = np.unique(rng.integers(0, 2**64, n_keys, dtype=np.uint64))
    keys[-2:] = np.array([0, 2**64 - 1], np.uint64)[: len(keys[-2:])]
    keys = np.sort(keys)
    idf, shares = rng.random((2, len(keys))).astype(np.float32)
    unseen = np.array([7, 0.25], np.float32)
    known = Domain((), keys, idf, shares, unseen, None)
    asked = np.concatenate([keys, keys + np.uint64(1), rng.integers(0, 2**64, 50, dtype=np.uint64)])
    table = dict(zip(keys.tolist(), zip(idf, shares, strict=True), strict=True))
    expected = [table.get(word, (7, 0.25)) for word in asked.tolist()]
    weights, chances = look_up(asked, *known.words)
    assert list(zip(weights, chances, strict=True)) == expected


def test_too_short_is_not_measured(known):
    text = "word and other words again " * 2 * BLOCK
    numbers, distinct = number(cut(as_bytes(text))[0])
    table = look_up(distinct, *known.words)
    assert np.isnan(recurrence(*blocks(numbers[: MIN_BLOCKS * BLOCK - 1]), *table))
    assert not np.isnan(recurrence(*blocks(numbers[: MIN_BLOCKS * BLOCK]), *table))


def test_a_text_that_goes_on_scores_as_before():
    """Blocks of one kind, however many: a look is as likely to find a word in a short text as in a long one."""
    rng = np.random.default_rng(0)
    held = [set(rng.integers(0, 2_000, 60).tolist()) for _ in range(2_000)]
    weights, chances = np.ones(2_000, np.float32), np.full(2_000, 0.05, np.float32)
    short = [recurrence(*as_arrays(held[i : i + 16]), weights, chances) for i in range(0, 1_600, 16)]
    whole = recurrence(*as_arrays(held), weights, chances)
    assert np.mean(short) == pytest.approx(whole, abs=3 * np.std(short) / 10)


def test_a_novel_that_goes_on_scores_as_before(known):
    novel = max(real_texts(), key=len)
    scores = [of_text(novel[:n], known) for n in (12_000, 25_000, 50_000, 100_000, 200_000)]
    assert max(scores) - min(scores) < 0.04
    assert min(scores) > 0.05


def test_stitched_texts_score_below_whole_ones(known):
    texts = [text[:12_000] for text in real_texts() if len(text) > 12_000]
    whole = [of_text(text, known) for text in texts]
    pieces = [[text[i : i + 3_000] for i in range(0, 12_000, 3_000)] for text in texts]
    stitched = [
        of_text("\n".join(pieces[(i + 5 * k) % len(texts)][k] for k in range(4)), known) for i in range(len(texts))
    ]
    above = np.array(whole)[:, None] > np.array(stitched)
    assert len(texts) > 12
    assert above.mean() > 0.9


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    drawn = [random_blocks(seed) for seed in SEEDS]
    assert {slow_recurrence(*one) is None for one in drawn} == {True, False}
    sizes = {len(held) for held, _, _ in drawn}
    assert min(sizes) < MIN_BLOCKS
    assert max(sizes) > NEAR * 8 + WIDTH
    assert any(not weights.any() for _, weights, _ in drawn)
