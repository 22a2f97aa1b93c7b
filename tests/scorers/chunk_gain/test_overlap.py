"""What two chunks share, against sets of Python objects, on random tokens and on real texts."""

import gzip
import json
import math
import random
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from scorers.chunk_gain.overlap import FEATURES, bags, features

CORPUS = Path(__file__).parents[3] / "examples" / "corpus"
SEEDS = range(120)
MOST = 2**21  # ids below


def runs(row, n):
    return {tuple(row[k : k + n]) for k in range(len(row) - n + 1)}


def slow_features(chunks, pairs):
    """A pair at a time, a thing at a time: what is in both chunks, counted once."""
    found = []
    for i, j in pairs:
        target, context = chunks[i].tolist(), chunks[j].tolist()
        by_name = {
            "rare_tokens": sum(max(0.0, math.log2(1 + t) - 8) for t in set(target) & set(context)) / len(target),
            "bigrams": len(runs(target, 2) & runs(context, 2)) / len(target),
            "trigrams": len(runs(target, 3) & runs(context, 3)) / len(target),
            "inverse_distance": 1 / (i - j),
        }
        found.append([by_name[name] for name in FEATURES])
    return np.array(found, np.float64).reshape(-1, len(FEATURES))


def drawn(seed):
    """Chunks of few and of many kinds of tokens, some of one or two tokens, some alike, the largest ids among them."""
    rng = random.Random(seed)
    s, c = rng.randint(2, 9), rng.choice([1, 2, 3, 4, 9, 30])
    ids = rng.choice([range(2), range(250, 260), range(1_000), range(MOST - 3, MOST), [0, 1, MOST - 1]])
    chunks = np.array([[rng.choice(ids) for _ in range(c)] for _ in range(s)], rng.choice([np.int32, np.int64]))
    if seed % 4 == 0:
        chunks[-1] = chunks[0]
    return chunks


def every_pair(s):
    return np.array([(i, j) for i in range(s) for j in range(i)], np.int32).reshape(-1, 2)


def text_of(line):
    return json.loads(line)["text"]


def real_chunks():
    """Words of a book, of pages in other scripts and of the web, as numbers, in chunks of 60."""
    texts = [min((CORPUS / "book").glob("*.txt")).read_text()]
    with gzip.open(CORPUS / "wikipedia.jsonl.gz", "rt") as stream:
        texts += [text_of(line) for line in islice(stream, 40)]
    with open(CORPUS / "c4.jsonl") as stream:
        texts += [text_of(line) for line in islice(stream, 40)]
    for text in texts:
        ids = np.array([zlib.crc32(word.encode()) % 50_000 for word in text.split()[:600]], np.int32)
        if len(ids) >= 120:
            yield ids[: len(ids) // 60 * 60].reshape(-1, 60)


def test_features_are_the_slow_ones():
    for seed in SEEDS:
        chunks = drawn(seed)
        pairs = every_pair(len(chunks))
        found = features(bags(chunks), pairs)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, slow_features(chunks, pairs), rtol=1e-12, atol=1e-15, err_msg=f"{seed=}")


def test_features_of_real_texts_are_the_slow_ones():
    n_shared = np.zeros(len(FEATURES))
    for chunks in real_chunks():
        pairs = every_pair(len(chunks))
        found = features(bags(chunks), pairs)
        np.testing.assert_allclose(found, slow_features(chunks, pairs), rtol=1e-12, atol=1e-15)
        n_shared += (found > 0).sum(axis=0)
    assert (n_shared > 100).all()


def by_name(chunks, pair):
    return dict(zip(FEATURES, features(bags(np.array(chunks)), np.array([pair]))[0].tolist(), strict=True))


def test_features_by_hand():
    found = by_name([[511, 3, 511, 3], [3, 511, 3, 511], [1, 1, 1, 1], [3, 511, 8, 8]], (1, 0))
    assert found["rare_tokens"] == (9 - 8) / 4  # 3 is too frequent to tell
    assert found["bigrams"] == 2 / 4  # (3, 511) and (511, 3), each once
    assert found["trigrams"] == 2 / 4
    assert found["inverse_distance"] == 1
    apart = by_name([[511, 3, 511, 3], [1, 1, 1, 1], [1, 1, 1, 1], [3, 511, 8, 8]], (3, 0))
    assert apart == {"rare_tokens": 1 / 4, "bigrams": 1 / 4, "trigrams": 0, "inverse_distance": 1 / 3}


def test_a_token_counts_by_its_rarity_from_256_on():
    for token, wanted in ((0, 0), (254, 0), (255, 0), (256, math.log2(257) - 8), (1023, 2), (MOST - 1, 13)):
        found = by_name([[token], [token]], (1, 0))
        assert found["rare_tokens"] == pytest.approx(wanted, abs=1e-15), token
        assert found["bigrams"] == found["trigrams"] == 0


def test_tokens_do_not_run_into_one_another():
    """(0, 1) and (1, 0), or (x, 0) and (0, x), are other runs, of the largest ids too."""
    for other in (1, 2**20, MOST - 1):
        for n in (2, 3):
            assert by_name([[0] * (n - 1) + [other], [other] + [0] * (n - 1)], (1, 0))["trigrams"] == 0
        assert by_name([[0, other], [other, 0]], (1, 0))["bigrams"] == 0
        assert by_name([[0, other, 0], [0, other, 1]], (1, 0))["trigrams"] == 0
        assert by_name([[0, other, 0], [1, other, 0]], (1, 0))["trigrams"] == 0
        assert by_name([[0, other, other], [0, other, other]], (1, 0))["trigrams"] == 1 / 3


def test_a_chunk_shares_all_with_one_like_it():
    found = by_name([[700, 800, 900, 1000]] * 2, (1, 0))
    assert found["bigrams"] == 3 / 4
    assert found["trigrams"] == 2 / 4
    assert found["rare_tokens"] == pytest.approx(sum(math.log2(1 + t) - 8 for t in (700, 800, 900, 1000)) / 4)


def test_the_order_of_pairs_and_the_other_chunks_do_not_matter():
    for seed in SEEDS:
        chunks = drawn(seed)
        pairs = every_pair(len(chunks))
        found = features(bags(chunks), pairs)
        order = np.random.default_rng(seed).permutation(len(pairs))
        assert np.array_equal(features(bags(chunks), pairs[order]), found[order])
        assert np.array_equal(features(bags(chunks[:2]), pairs[:1]), found[:1])


def test_no_pairs_have_no_features():
    none = np.empty((0, 2), np.int32)
    assert features(bags(np.array([[1, 2]])), none).shape == (0, len(FEATURES))
    assert features(bags(np.empty((0, 4), np.int64)), none).shape == (0, len(FEATURES))


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    cases = [drawn(seed) for seed in SEEDS]
    found = np.concatenate([features(bags(c), every_pair(len(c))) for c in cases])
    assert (found > 0).all(axis=1).any()
    assert (found[:, :-1] == 0).any(axis=0).all()
    column = dict(zip(FEATURES, found.T, strict=True))
    assert ((column["bigrams"] > 0) & (column["trigrams"] == 0)).any()
    assert ((column["rare_tokens"] > 0) & (column["bigrams"] == 0)).any()
    assert {chunks.shape[1] for chunks in cases} == {1, 2, 3, 4, 9, 30}
    assert any(len(set(row)) < len(row) for chunks in cases for row in chunks.tolist())
    assert any(chunks.max() == MOST - 1 and chunks.min() == 0 and chunks.shape[1] > 2 for chunks in cases)
    assert sum(1 for _ in real_chunks()) > 10
