"""A background holds what counting by hand gives, of documents that neither order nor company decides on."""

import math
import random
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest

from schemas.tables import BACKGROUND
from scorers.cheap.background import GATE, MAX_BYTES, MIN_BYTES, Background, background, choose, describe, middle
from scorers.cheap.recurrence import WINDOW, look_up, recurrence
from scorers.cheap.words import blocks, number
from tests.scorers.cheap.test_words import WORD, as_bytes, real_documents, slow_hash

SEEDS = range(20)


def content_hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def hashed(texts: list[str]) -> tuple[list[str], pa.Array]:
    return [content_hash(text) for text in texts], pa.array(texts, pa.large_string())


def slow_rarity(texts: list[str]) -> dict[int, tuple[float, float]]:
    """{word: (idf, share)} by the documents that have a window."""
    shares: dict[int, list[float]] = {}
    n = 0
    for text in texts:
        words = [slow_hash(word) for word in WORD.findall(text)]
        cut = [set(words[i : i + WINDOW]) for i in range(0, len(words) - WINDOW + 1, WINDOW)]
        n += bool(cut)
        for word in set().union(*cut):
            shares.setdefault(word, []).append(sum(word in window for window in cut) / len(cut))
    mean = {word: sum(found) / n for word, found in shares.items() if len(found) > 1}
    return {word: (min(-math.log(share), math.log(n)), share) for word, share in mean.items()}


def random_texts(seed: int, n: int) -> list[str]:
    rng = random.Random(seed)
    kinds = [f"w{i}" for i in range(300)]
    return [
        " ".join(
            rng.choices(kinds, [1 / (i + 1) for i in range(300)], k=rng.choice([WINDOW - 1, WINDOW, 3 * WINDOW + 5]))
        )
        for _ in range(n)
    ]


def test_words_are_counted_in_the_even_documents():
    for seed in SEEDS:
        texts = random_texts(seed, 24)
        known = describe(*hashed(texts))
        slow = slow_rarity(texts[0::2])
        assert known.keys.tolist() == sorted(slow), f"{seed=}"
        assert np.allclose(known.idf, [slow[word][0] for word in sorted(slow)], atol=1e-6)
        assert np.allclose(known.shares, [slow[word][1] for word in sorted(slow)], atol=1e-6)
        n = sum(len(WORD.findall(text)) >= WINDOW for text in texts[0::2])
        assert known.unseen == pytest.approx([math.log(n), 0.5 / n])


def test_the_gate_is_the_10_percent_point_of_the_odd_documents():
    texts = [text[:12_000] for text in real_documents()["github"] if len(text) > 8_000]
    texts = texts + [text[::-1] for text in texts]
    known = describe(*hashed(texts))
    scores = []
    for text in texts[1::2]:
        numbers, distinct = number(np.array([slow_hash(word) for word in WORD.findall(text)], np.uint64))
        scores.append(recurrence(*blocks(numbers), *look_up(distinct, *known.words)))
    assert known.min_recurrence == pytest.approx(np.nanquantile(scores, GATE))
    assert describe(*hashed(texts[:30])).min_recurrence is None, "15 documents can't tell a 10 % point"


@pytest.mark.parametrize("texts", [[], ["short"] * 9, random_texts(0, 3)])
def test_of_too_few_documents_nothing_is_known(texts):
    known = describe(*hashed(texts))
    assert len(known.keys) == 0
    assert known.unseen.tolist() == [0, 0]
    assert known.min_recurrence is None


def test_the_lowest_keyed_hashes_are_chosen_in_any_order_and_company():
    rng = random.Random(0)
    names = [content_hash(str(i)) for i in range(200)]
    n_bytes = np.array([MIN_BYTES - (i % 4 == 0) for i in range(200)])
    fit = [name for name, size in zip(names, n_bytes, strict=True) if size >= MIN_BYTES]
    expected = sorted(fit, key=lambda name: blake2b(f"salt\0{name}".encode(), digest_size=16).digest())[:20]
    assert [names[row] for row in choose(names, n_bytes, "salt", 20)] == expected
    order = rng.sample(range(200), 200)
    again = choose([names[i] for i in order], n_bytes[order], "salt", 20)
    assert [names[order[row]] for row in again] == expected
    rest = [i for i in range(200) if names[i] in expected or i % 2]
    assert [names[rest[row]] for row in choose([names[i] for i in rest], n_bytes[rest], "salt", 20)] == expected
    assert [names[row] for row in choose(names, n_bytes, "other", 20)] != expected


def test_a_content_is_chosen_once_and_by_its_first_row():
    names = [content_hash(str(i % 5)) for i in range(15)]
    assert sorted(choose(names, np.full(15, MIN_BYTES), "salt")) == [0, 1, 2, 3, 4]


def test_the_middle_is_cut_between_characters():
    for character in "aé日🐳":
        for before in range(4):
            text = "x" * before + character * (MAX_BYTES // 2 + before)
            part = bytes(middle(as_bytes(text))).decode()
            assert part in text
            assert MAX_BYTES - 8 < len(part.encode()) <= MAX_BYTES or part == text
    assert bytes(middle(as_bytes("short"))) == b"short"
    assert len(middle(as_bytes(""))) == 0
    long = "".join(f"{i:05}日" for i in range(MAX_BYTES // 3))
    part = bytes(middle(as_bytes(long))).decode()
    assert abs(long.index(part) * 2 + len(part) - len(long)) <= 4


def test_it_is_read_as_it_was_written():
    made = background({"b": hashed(random_texts(1, 12)), "a": hashed(random_texts(2, 60)), "none": hashed([])})
    table = made.table("seed 7")
    assert table.schema.equals(BACKGROUND)
    assert table["made_by"].to_pylist() == ["seed 7"] * 3
    read = Background.of(table)
    assert list(read.domains) == ["a", "b", "none"]
    for name, known in made.domains.items():
        for one, other in zip(known.words, read.domains[name].words, strict=True):
            assert one.tolist() == other.tolist()
            assert one.dtype == other.dtype
        assert known.documents == read.domains[name].documents
        assert known.min_recurrence == read.domains[name].min_recurrence


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    texts = [text for seed in SEEDS for text in random_texts(seed, 24)]
    sizes = {len(WORD.findall(text)) for text in texts}
    assert sizes == {WINDOW - 1, WINDOW, 3 * WINDOW + 5}
    slow = slow_rarity(random_texts(0, 24)[0::2])
    assert any(idf == 0 for idf, _ in slow.values())
    assert any(0 < idf < math.log(5) for idf, _ in slow.values())
