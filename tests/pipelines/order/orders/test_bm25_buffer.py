import itertools
import math
import re
import sys
from collections import Counter

import numpy as np
import pytest

from pipelines.order.graph import no_edges
from pipelines.order.orders import ORDERS
from pipelines.order.orders.bm25_buffer import CHAIN, K1, B, bags, bm25, chain
from tests.pipelines.order.reference import documents

WORD = re.compile("[0-9a-zà-ÿ]+|[\u3000-\U0010ffff]")


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def slow_chain(stream, texts, n_buffer, n_chain) -> tuple[list[int], list[bool]]:
    """BM25 over dictionaries of words; ties, up to the rounding of float32, go to the oldest."""
    counts = [Counter(words(text)) for text in texts]
    frequency = Counter(word for count in counts for word in count)
    n, mean = len(texts), sum(sum(count.values()) for count in counts) / len(texts)
    waiting, buffer = list(stream), []
    order, restarts, length = [], [], 0
    while waiting or buffer:
        while waiting and len(buffer) < n_buffer:
            buffer.append(waiting.pop(0))

        def score(document):
            count = counts[document]
            normal = K1 * (1 - B + B * sum(count.values()) / mean)
            shared = set(counts[order[-1]]) & set(count)
            idf = {word: math.log1p((n - frequency[word] + 0.5) / (frequency[word] + 0.5)) for word in shared}
            return round(sum(idf[w] * count[w] * (K1 + 1) / (count[w] + normal) for w in shared), 3)

        best = max(buffer, key=score) if order and length < n_chain else None
        restart = best is None or score(best) <= 0
        best = buffer[0] if restart else best
        length = 1 if restart else length + 1
        buffer.remove(best)
        order.append(best)
        restarts.append(restart)
    return order, restarts


def random_texts(seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    vocabulary = [f"w{i}" for i in range(60)] + ["été", "数", "学", "🙂"]
    return [" ".join(rng.choice(vocabulary, rng.integers(0, 9))) for _ in range(int(rng.integers(1, 60)))]


def test_terms_are_words_and_characters_of_scripts_without_spaces():
    texts = [
        "The cat, the CAT; 3cats",
        "",
        "naïve été",
        "数学数",
        "数 学 数",
        "a数b",
        "a 数 b",
        "🙂🙂",
        "...",
        "été naïve",
    ]
    offsets, terms, counts = bags(texts)
    bag = [dict(zip(terms[a:b].tolist(), counts[a:b].tolist(), strict=True)) for a, b in itertools.pairwise(offsets)]
    assert [sorted(row.values()) for row in bag] == [sorted(Counter(words(text)).values()) for text in texts]
    assert bag[3] == bag[4]
    assert bag[5] == bag[6]
    assert bag[2] == bag[9]
    assert all(row.tolist() == sorted(set(row.tolist())) for row in np.split(terms, offsets[1:-1]))


def test_texts_are_counted_in_batches(monkeypatch):
    texts = random_texts(1) * 50
    expected = bags(texts)
    monkeypatch.setattr(sys.modules[bags.__module__], "TEXTS", 7)
    for array, other in zip(bags(texts), expected, strict=True):
        np.testing.assert_array_equal(array, other)
    assert len(expected[0]) == len(texts) + 1


@pytest.mark.parametrize(("n_buffer", "n_chain"), [(5, 4), (100, 1_000), (8, 1), (1, 3)])
def test_the_chain_is_the_slow_one(n_buffer, n_chain):
    for seed in range(25):
        texts = random_texts(seed)
        stream = np.random.default_rng(seed).permutation(len(texts))
        offsets, terms, counts = bags(texts)
        order, restarts = chain(stream, *bm25(offsets, terms, counts), n_buffer, n_chain)
        expected = slow_chain(stream.tolist(), texts, n_buffer, n_chain)
        assert (order.tolist(), restarts.tolist()) == expected, f"{seed=}"


def test_documents_of_a_topic_follow_each_other():
    texts = [f"topic{i % 10} noun{i % 10} only{i}" for i in range(300)]
    order, restarts = ORDERS["bm25_buffer"](no_edges(300), documents(300, texts=texts))
    same = order[1:] % 10 == order[:-1] % 10
    assert same.mean() > 0.85
    assert restarts.sum() >= 300 / CHAIN


def test_a_surrogate_is_no_error():
    assert len(bags(["a \ud800 b"])[1]) == 2
