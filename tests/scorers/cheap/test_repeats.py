"""The guard counts the words that a plain search for repeats finds."""

import random

import numpy as np
import pytest

from scorers.cheap.repeats import MAX_REPEAT_SHARE, WINDOW, repeat_share
from scorers.cheap.words import cut
from tests.scorers.cheap.test_words import as_bytes, real_texts

SEEDS = range(300)


def slow_share(words: list[int]) -> float | None:
    """Every window against every window before it; None if there aren't two."""
    at = [tuple(words[i : i + WINDOW]) for i in range(len(words) - WINDOW + 1)]
    repeated = [False] * len(words)
    before = set()
    for i, window in enumerate(at):
        if window in before:
            repeated[i : i + WINDOW] = [True] * WINDOW
        before.add(window)
    return sum(repeated) / len(words) if len(at) > 1 else None


def random_words(seed: int) -> list[int]:
    """Passages of about a window, said again, overlapping, or with one word changed."""
    rng = random.Random(seed)
    n_kinds = rng.choice([1, 2, 3, 10**6])
    words: list[int] = [rng.randrange(n_kinds) for _ in range(rng.choice([0, 1, 30, 90]))]
    for _ in range(rng.randrange(5)):
        begin, n = rng.randrange(len(words) + 1), WINDOW + rng.randrange(-1, 20)
        passage = words[begin : begin + n]
        if passage and rng.random() < 0.2:
            passage[rng.randrange(len(passage))] = 10**7
        words += passage + [rng.randrange(n_kinds) for _ in range(rng.choice([0, 1, 40]))]
    return words


def fast_share(words: list[int]) -> float | None:
    share = repeat_share(np.array(words, np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return None if np.isnan(share) else share


def test_the_share_is_the_slow_one():
    for seed in SEEDS:
        words = random_words(seed)
        assert fast_share(words) == slow_share(words), f"{seed=}"


def test_on_real_texts():
    for text in real_texts()[::6]:
        words = cut(as_bytes(text))[0]
        assert repeat_share(words) == slow_share(words.tolist())


def test_a_repeated_paragraph_is_flagged_and_its_parts_are_not():
    for text in real_texts()[::6]:
        n = 0
        for begin in range(0, 4_000, 1_000):
            paragraph = text[begin : begin + 1_000] + "\n\n"
            assert repeat_share(cut(as_bytes(paragraph * 8))[0]) > 0.8
            n += repeat_share(cut(as_bytes(paragraph))[0]) > MAX_REPEAT_SHARE
        assert n <= 1


@pytest.mark.parametrize(
    ("n", "share"), [(0, None), (1, None), (WINDOW, None), (WINDOW + 1, WINDOW / (WINDOW + 1)), (400, 399 / 400)]
)
def test_one_word_again_and_again(n, share):
    assert fast_share([7] * n) == share


def test_only_the_repeat_counts_and_no_shorter_one():
    own = list(range(WINDOW))
    assert fast_share([*own, 99, *own]) == WINDOW / (2 * WINDOW + 1)
    assert fast_share([*own, 99, *own[1:]]) == 0


def test_a_word_whose_hash_is_0():
    assert fast_share([0] * 40 + list(range(1, 40))) == slow_share([0] * 40 + list(range(1, 40)))


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    shares = [slow_share(random_words(seed)) for seed in SEEDS]
    assert None in shares
    assert 0 in shares
    assert sum(0 < share < 0.5 for share in shares if share is not None) > 20
    assert sum(share > 0.5 for share in shares if share is not None) > 20
