"""The lazy rule comes to what the eager one comes to: every pair compared, then the texts gone through in order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dedup import survivors as module
from pipelines.dedup.minhash import band_keys, min_agreeing, n_agreeing, signatures
from pipelines.dedup.survivors import jaccard, survivors

SEEDS = range(300)
THRESHOLD = 0.5


def slow_survivors(keys, signed, sets, floor, threshold):
    n = len(sets)
    alike = {}
    for i in range(n):
        for j in range(n):
            shares_a_band = any(a == b for a, b in zip(keys[i], keys[j], strict=True))
            if i != j and shares_a_band and sum(a == b for a, b in zip(signed[i], signed[j], strict=True)) >= floor:
                alike[i, j] = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
    near = {pair: a for pair, a in alike.items() if a >= threshold}
    kept = []
    for i in range(n):
        if not any((i, j) in near for j in kept):
            kept.append(i)
    found = []
    for i in range(n):
        best = max(((near[i, j], -j) for j in kept if (i, j) in near), default=None)
        found.append((-1, None) if i in kept else (-best[1], best[0]))
    return found, near, alike


def random_case(seed):
    """Sets cut from one another, with signatures and keys that say so often, and sometimes say nothing or too much."""
    random = np.random.default_rng(seed)
    sets = [set(random.choice(30, random.integers(1, 9), replace=False).tolist())]
    for _ in range(random.integers(0, 14)):
        parent = sorted(sets[random.integers(len(sets))])
        child = {*random.choice(parent, random.integers(1, len(parent) + 1), replace=False).tolist()}
        sets.append(child | {*random.choice(30, random.integers(0, 4), replace=False).tolist()})
    signed = random.integers(0, 2, (len(sets), 6), np.uint32)
    keys = random.integers(0, random.integers(1, 5), (len(sets), 3), np.uint64)
    return keys, signed, sets, int(random.integers(0, 6))


def spans_of(offsets):
    return np.stack([offsets[:-1], offsets[1:]], axis=1)


def fast_survivors(keys, signed, sets, floor):
    values = np.array([v for s in sets for v in sorted(s)], np.uint64)
    offsets = np.cumsum([0, *map(len, sets)])
    survivor, similarity = survivors(keys, signed, values, spans_of(offsets), floor, THRESHOLD)
    return [(s, None if s < 0 else a) for s, a in zip(survivor.tolist(), similarity.tolist(), strict=True)]


def test_the_survivors_are_the_slow_ones():
    for seed in SEEDS:
        keys, signed, sets, floor = random_case(seed)
        assert fast_survivors(keys, signed, sets, floor) == slow_survivors(keys, signed, sets, floor, THRESHOLD)[0], (
            seed
        )


def test_who_was_kept_may_come_first_another_time():
    """The verdicts are the same when the texts that were kept are put before the others."""
    for seed in SEEDS:
        keys, signed, sets, floor = random_case(seed)
        first = fast_survivors(keys, signed, sets, floor)
        order = sorted(range(len(sets)), key=lambda i: (first[i][0] >= 0, i))
        again = fast_survivors(keys[order], signed[order], [sets[i] for i in order], floor)
        assert [(-1 if s < 0 else order[s], a) for s, a in again] == [first[i] for i in order], f"{seed=}"


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    met = set()
    for seed in SEEDS:
        keys, signed, sets, floor = random_case(seed)
        found, near, alike = slow_survivors(keys, signed, sets, floor, THRESHOLD)
        kept = [i for i, (s, _) in enumerate(found) if s < 0]
        for i, (survivor, similarity) in enumerate(found):
            choices = [j for j in kept if (i, j) in near]
            if survivor >= 0:
                met.add("alone" if len(choices) == 1 else "a choice")
                met.add("the survivor comes later" if survivor > i else "the survivor comes first")
                met.update("a tie" for j in choices if j != survivor and near[i, j] == similarity)
                met.update("a tie with a later one" for j in choices if j > i > survivor and near[i, j] == similarity)
                met.update("exactly at the threshold" for _ in [0] if similarity == THRESHOLD)
                met.update("the same set" for _ in [0] if similarity == 1)
            else:
                met.update("a chain" for j in range(i) if found[j][0] >= 0 and (i, j) in near)
        met.update(
            "not a candidate" for i in kept for j in kept if i < j and (i, j) not in alike and sets[i] == sets[j]
        )
        met.update("a candidate and not near" for pair in alike if pair not in near)
    assert met == {"alone", "a choice", "the survivor comes later", "the survivor comes first", "a tie", "a tie with a later one", "exactly at the threshold", "the same set", "a chain", "not a candidate", "a candidate and not near"}  # fmt: skip


@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60), min_size=1), st.floats(0.01, 1))
def test_jaccard_is_that_of_sets(one, other, threshold):
    slow = len(one & other) / len(one | other)
    found = jaccard(*(np.array(sorted(s), np.uint64) for s in (one, other)), threshold)
    assert found == slow or (found == 0 and slow < threshold)


def near_identical(n, n_shingles, n_own):
    """n sets that share all but `n_own` of their shingles, signed and banded as the stage does it."""
    random = np.random.default_rng(1)
    shared = random.integers(0, 2**64, n_shingles - n_own, np.uint64)
    rows = np.hstack([np.tile(shared, (n, 1)), random.integers(0, 2**64, (n, n_own), np.uint64)])
    rows.sort(axis=1)
    offsets = np.arange(n + 1) * n_shingles
    signed = signatures(rows.ravel(), offsets, 128, 1)
    return band_keys(signed, 25, 5), signed, rows.ravel(), spans_of(offsets)


def n_compared(case, monkeypatch):
    """How many signatures the rule compares, counted in Python; and what it decides."""
    keys, signed, values, spans = case
    compared = []
    monkeypatch.setattr(module, "find_survivors", module.find_survivors.py_func)
    monkeypatch.setattr(module, "n_agreeing", lambda one, other: compared.append(1) or n_agreeing(one, other))
    return survivors(keys, signed, values, spans, min_agreeing(0.7, 128), 0.7)[0].tolist(), len(compared)


def test_many_copies_are_each_compared_to_the_one_that_is_kept(monkeypatch):
    """20,000 pages of one template have 200 million pairs."""
    survivor, n = n_compared(near_identical(200, 300, 20), monkeypatch)
    assert survivor == [-1, *[0] * 199]
    assert n == 199


def test_texts_that_are_all_kept_are_compared_once_each(monkeypatch):
    """The worst case: half alike, so that they share bands and none repeats another."""
    case = near_identical(60, 300, 100)
    shares_a_band = [(case[0][i] == case[0][j]).any() for i in range(60) for j in range(i)]
    survivor, n = n_compared(case, monkeypatch)
    assert survivor == [-1] * 60
    assert n == sum(shares_a_band) > 100


def test_a_bucket_of_many_copies():
    survivor, similarity = survivors(*near_identical(3_000, 300, 20), min_agreeing(0.7, 128), 0.7)
    assert survivor.tolist() == [-1, *[0] * 2_999]
    assert similarity[1:].tolist() == [280 / 320] * 2_999
