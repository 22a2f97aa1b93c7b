"""Who gets how many pairs: the greedy rule computed anew at every step, within the budget, in no order of documents."""

import math
import random
from fractions import Fraction
from functools import cache
from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from pipelines.documents import Chunking, Documents
from pipelines.plan.selection import top
from pipelines.score.budget import (
    FIRST,
    STEP,
    Budgeted,
    Limits,
    cost,
    costs,
    cuts,
    first_round,
    n_far_of,
    risk,
    second_round,
    spend,
)  # fmt: skip
from scorers.chunk_gain.pairs import FAR, first_pairs, n_far, n_near

SEEDS = range(250)
C = 16
CHUNKING = Chunking(C, marks=1)


def case(seed):
    """A few documents, some alike but for the hash, some refused, and a budget for some of them."""
    rng = random.Random(seed)
    n = rng.randint(0, 9)
    n_chunks = [rng.choice([8, 9, 12, 30, 31, 80]) for _ in range(n)]
    n_tokens = [s * C + rng.choice([1, 1, 6]) for s in n_chunks]
    hashes = [f"{rng.getrandbits(128):032x}" for _ in range(n)]
    refused = [rng.choice(["", "", "", "short", "repeats"]) for _ in range(n)]
    gap = [rng.choice([0, 0, 5, 20_000, -20_000, 400_000]) for _ in range(n)]
    variance = [rng.choice([0, 10**9, 60_000_000_000, 240_000_000_000]) for _ in range(n)]
    return SimpleNamespace(
        refused=np.array(refused, object), n_chunks=np.array(n_chunks, np.int64), n_tokens=np.array(n_tokens, np.int64),
        hashes=hashes, gap=rng.choice([None, np.array(gap, np.int64)]), variance=np.array(variance, np.int64),
        budget=rng.choice([0, 50, 95, 96, 97, 200, 500, 1_500, 3_000, 5_000, 10**6]), most=rng.choice([2, 4, 7, 24, 64]),
    )  # fmt: skip


def permuted(c, order):
    return SimpleNamespace(
        refused=c.refused[order], n_chunks=c.n_chunks[order], n_tokens=c.n_tokens[order],
        hashes=[c.hashes[k] for k in order], gap=None if c.gap is None else c.gap[order], variance=c.variance[order],
        budget=c.budget, most=c.most,
    )  # fmt: skip


def documents_of(c, domain=None):
    """The small columns of a case."""
    names = domain if domain is not None else ["a"] * len(c.hashes)
    columns = {"document_id": c.hashes, "content_hash": c.hashes, "domain": names}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return Documents.of(table.append_column("n_tokens", pa.array(c.n_tokens, pa.int32())))


def limits(c):
    return Limits(c.budget, CHUNKING, c.most)


def first(c):
    return first_round(documents_of(c), c.refused, limits(c))


def second(c, given=None):
    return second_round(documents_of(c), given or first(c), c.gap, c.variance, limits(c))


def spent(c, one, two=None):
    """Model tokens of a first round, and of a second after it."""
    rounds = [(0, n) for n in one.n_pairs] if two is None else list(zip(one.n_pairs, two.n_pairs, strict=True))
    return sum(slow_cost(s, h, int(b), int(a)) for s, h, (a, b) in zip(c.n_chunks, c.hashes, rounds, strict=True))


@cache
def slow_cost(s, content_hash, n, known=0):
    """Every token that goes through the model, one after another: an anchor before each chunk that is read.

    What an earlier run knows is the nll of its targets alone; keys and values it took with it.
    """
    forwarded, read, told = [], set(), set()
    for k, (target, context) in enumerate(first_pairs(int(s), content_hash, n)):
        if k < known:
            told.add(target)
            continue
        if context not in read:
            read.add(context)
            forwarded += ["anchor"] + ["read"] * C
        forwarded += ["scored"] * (C - 1)
    for k, (target, _) in enumerate(first_pairs(int(s), content_hash, n)):
        if k >= known and target not in read | told:
            read.add(target)
            forwarded += ["anchor"] + ["read"] * C
    return len(forwarded)


def six(s, content_hash):
    """What six pairs cost in two rounds."""
    return slow_cost(s, content_hash, 2) + slow_cost(s, content_hash, 6, 2)


def slow_first(c):
    left, found = c.budget, {}
    waiting = [k for k in range(len(c.hashes)) if not c.refused[k]]
    while waiting:
        longest = max(c.n_tokens[k] for k in waiting)
        k = min((k for k in waiting if c.n_tokens[k] == longest), key=lambda k: c.hashes[k])
        waiting.remove(k)
        price = slow_cost(c.n_chunks[k], c.hashes[k], 2)
        found[k] = (2, "first") if price <= left else (0, "budget")
        left -= price if price <= left else 0
    return [found.get(k, (0, c.refused[k])) for k in range(len(c.hashes))]


def slow_risk(c, k, n):
    """n s / (1 + z z)**2, rounded down as the budget is decided over integers."""
    v = int(c.variance[k]) // max(1, sum(place % 4 != 0 for place in range(n)))
    s, d = math.isqrt(v), 0 if c.gap is None else int(c.gap[k])
    return math.floor(int(c.n_tokens[k]) * s / (1 + Fraction(d, s) ** 2) ** 2) if s else 0


def slow_second(c, given):
    """Each time, look at what one more step is worth to every document that can still have one, and take the best."""
    n, why = given.n_pairs.tolist(), given.why.tolist()
    left, out = c.budget - spent(c, given), set()
    while True:
        steps = []
        for k, h in enumerate(c.hashes):
            after = min(n[k] + 4, c.most, int(c.n_chunks[k]) * (int(c.n_chunks[k]) - 1) // 2)
            if n[k] and after > n[k] and k not in out:
                price = slow_cost(c.n_chunks[k], h, after, 2) - slow_cost(c.n_chunks[k], h, n[k], 2)
                worth = math.floor(Fraction((slow_risk(c, k, n[k]) - slow_risk(c, k, after)) * 2**20, price))
                steps.append((-worth, h, k, after, price))
        if not steps:
            return list(zip(n, why, strict=True))
        _, _, k, after, price = min(steps)
        if price > left:
            out.add(k)
            continue
        n[k], why[k] = after, "more"
        left -= price


def rows(budgeted):
    return list(zip(budgeted.n_pairs.tolist(), budgeted.why.tolist(), strict=True))


def test_the_price_is_that_of_every_token():
    for s in (2, 4, 5, 8, 12, 60):
        for n in range(30):
            for known in range(n + 1):
                assert cost(s, f"{s:032x}", n, C, known) == slow_cost(s, f"{s:032x}", n, known), f"{s=} {n=} {known=}"
    assert cost(60, "0" * 32, 0, C) == 0


def test_the_first_round_is_the_slow_one():
    for seed in SEEDS:
        assert rows(first(case(seed))) == slow_first(case(seed)), f"{seed=}"


def test_the_second_round_is_the_slow_one():
    for seed in SEEDS:
        c = case(seed)
        assert rows(second(c)) == slow_second(c, first(c)), f"{seed=}"


def test_no_round_is_over_the_budget_and_none_takes_away():
    for seed in SEEDS:
        c = case(seed)
        one, two = first(c), second(c)
        assert spent(c, one) <= c.budget, f"{seed=}"
        assert spent(c, one) + spent(c, one, two) <= c.budget, f"{seed=}"
        assert (two.n_pairs >= one.n_pairs).all()
        assert ((two.n_pairs > 0) == (one.n_pairs > 0)).all()
        assert (two.n_pairs <= max(FIRST, c.most)).all()


def test_the_order_of_the_documents_does_not_matter():
    for seed in SEEDS:
        c = case(seed)
        order = np.random.default_rng(seed).permutation(len(c.hashes))
        for round_ in (first, second):
            before = rows(round_(c))
            assert rows(round_(permuted(c, order))) == [before[k] for k in order], f"{seed=}"


def test_what_is_given_is_left_as_it_is():
    for seed in SEEDS[:20]:
        c = case(seed)
        given = first(c)
        before = rows(given)
        second(c, given)
        assert rows(given) == before
        assert c.refused.tolist() == case(seed).refused.tolist()


def alike(n, **changes):
    """n documents of 30 chunks that only their hashes tell apart."""
    values = {
        "refused": np.array([""] * n, object), "n_chunks": np.full(n, 30), "n_tokens": np.full(n, 481),
        "hashes": [f"{k:032x}" for k in range(n)][::-1], "gap": np.zeros(n, np.int64),
        "variance": np.full(n, 60_000_000_000), "budget": 10**6, "most": 64,
    }  # fmt: skip
    return SimpleNamespace(**values | changes)


def test_among_equals_the_lowest_hash_comes_first():
    c = alike(5, budget=250)
    assert 0 < sum(first(c).n_pairs > 0) < 5
    n = first(c).n_pairs
    assert n[np.argsort(c.hashes)].tolist() == sorted(n.tolist(), reverse=True)
    c = alike(5, budget=5 * slow_cost(30, "0" * 32, 2) + 250, gap=None)
    assert 0 < sum(second(c).n_pairs > FIRST) < 5


def test_a_shorter_document_may_fit_where_a_longer_one_did_not():
    """Its two pairs touch three chunks, not four."""
    three = next(h for h in (f"{k:032x}" for k in range(1000)) if slow_cost(30, h, 2) == 2 * 15 + 3 * 17)
    four = next(h for h in (f"{k:032x}" for k in range(1000)) if slow_cost(30, h, 2) == 2 * 15 + 4 * 17)
    c = alike(2, hashes=[four, three], n_tokens=np.array([490, 481]), budget=2 * 15 + 3 * 17)
    assert rows(first(c)) == [(0, "budget"), (2, "first")]


def test_more_goes_to_the_nearer_the_longer_and_the_less_known():
    def more(**changes):
        c = alike(2, hashes=["1" * 32, "1" * 32], budget=2 * six(30, "1" * 32) - 1, **changes)
        return (second(c).n_pairs > FIRST).tolist()

    assert more(gap=np.array([200_000, 900_000])) == [True, False]
    assert more(gap=np.array([-900_000, -200_000])) == [False, True]
    assert more(gap=np.array([200_000, 200_000]), n_tokens=np.array([481, 495])) == [False, True]
    assert more(gap=None, variance=np.array([10**9, 10**10])) == [False, True]


def test_a_document_at_the_cut_is_the_first_to_look_at_again():
    """Nobody knows on which side it stands."""
    c = alike(2, hashes=["1" * 32, "1" * 32], budget=2 * six(30, "1" * 32) - 1, gap=np.array([0, 900_000]))
    assert (second(c).n_pairs > FIRST).tolist() == [True, False]


def test_a_full_budget_gives_all_that_may_be_had():
    for most in (5, 64, 10**6):
        c = alike(3, most=most, budget=10**9)
        every = n_near(30) + n_far(30)
        assert second(c).n_pairs.tolist() == [min(most, every)] * 3
        assert second(c).why.tolist() == ["more"] * 3
    assert rows(second(alike(2, most=FIRST))) == [(2, "first")] * 2


def test_a_budget_is_spent_to_the_last_token():
    price = six(30, "1" * 32)
    for budget, n in ((price, 6), (price - 1, 2)):
        assert second(alike(1, hashes=["1" * 32], budget=budget, gap=None)).n_pairs.tolist() == [n]


def test_nothing_to_spend():
    c = alike(3, budget=0)
    assert rows(first(c)) == rows(second(c)) == [(0, "budget")] * 3
    c = alike(3, budget=sum(slow_cost(30, f"{k:032x}", 2) for k in range(3)))
    assert rows(second(c)) == [(2, "first")] * 3
    nobody = SimpleNamespace(**{**vars(alike(0)), "gap": None})
    assert rows(second(nobody)) == []
    assert first(nobody) is not None


def test_far_pairs_of_a_sequence():
    for n in range(60):
        pairs = first_pairs(100, "5" * 32, n)
        assert n_far_of(n) == sum(i - j >= FAR for i, j in pairs), f"{n=}"


def test_risk_by_hand():
    assert risk(1_000, 25, 0) == 5_000
    assert risk(1_000, 35, 0) == 5_000  # the root is rounded down
    assert risk(1_000, 25, 5) == risk(1_000, 25, -5) == 1_250
    assert risk(1_000, 25, 10) == 200
    assert risk(1_000, 0, 0) == risk(1_000, 0, 7) == 0


# -- the cuts


def slow_cut(score, n_tokens, hashes, share):
    """Go down by score until that share of the tokens is reached."""
    order = sorted(range(len(score)), key=lambda k: (-score[k], hashes[k]))
    reached = 0
    for k in order:
        reached += int(n_tokens[k])
        if reached >= share * sum(map(int, n_tokens)):
            return int(score[k])
    raise AssertionError


def scores(seed):
    rng = random.Random(seed)
    n = rng.randint(1, 12)
    domain = np.array([rng.choice("abc") for _ in range(n)], object)
    score = np.array([rng.choice([-5, 0, 3, 3, 4, 10**6]) for _ in range(n)], np.int64)
    n_tokens = np.array([rng.choice([1, 2, 3, 10]) for _ in range(n)], np.int64)
    return score, n_tokens, domain, [f"{rng.getrandbits(128):032x}" for _ in range(n)]


def fast_cuts(score, n_tokens, domain, hashes, share):
    return cuts(documents_of(SimpleNamespace(hashes=hashes, n_tokens=n_tokens), list(domain)), score, share)


SHARES = {"a": 0.25, "b": 0.5, "c": 1.0}


def test_cuts_are_the_slow_ones():
    for seed in SEEDS:
        score, n_tokens, domain, hashes = scores(seed)
        found = fast_cuts(score, n_tokens, domain, hashes, SHARES.__getitem__)
        for name in set(domain):
            here = np.flatnonzero(domain == name)
            wanted = slow_cut(score[here], n_tokens[here], [hashes[k] for k in here], SHARES[name])
            assert set(found[here].tolist()) == {wanted}, f"{seed=} {name=}"


def test_the_cut_is_the_last_that_the_plan_chooses():
    for seed in SEEDS:
        score, n_tokens, domain, hashes = scores(seed)
        found = fast_cuts(score, n_tokens, domain, hashes, SHARES.__getitem__)
        for name in set(domain):
            here = np.flatnonzero(domain == name)
            order = np.array(sorted(here, key=lambda k: (-score[k], hashes[k])))
            assert score[top(order, n_tokens, SHARES[name])[-1]] == found[here[0]], f"{seed=} {name=}"


def test_the_cut_is_exact_for_decimal_shares():
    score, n_tokens = np.arange(100, 0, -1), np.ones(100, np.int64)
    hashes = [f"{k:032x}" for k in range(100)]
    for percent in range(1, 101):
        found = fast_cuts(score, n_tokens, ["a"] * 100, hashes, lambda _, percent=percent: percent / 100)
        assert found[0] == 101 - percent, f"{percent=}"


def test_no_scores_have_no_cuts():
    none = np.empty(0, np.int64)
    assert fast_cuts(none, none, [], [], SHARES.__getitem__).tolist() == []
    c = SimpleNamespace(hashes=["1" * 32], n_tokens=np.array([5]))
    named = Documents.of(
        pa.table({"document_id": c.hashes, "content_hash": c.hashes, "domain": ["b"], "n_tokens": [5]}), ["a", "c"]
    )
    assert cuts(named, np.array([7]), SHARES.__getitem__).tolist() == [7]  # a domain without a document has no cut


# -- both rounds, from the scores of the first


def score_column(values):
    return pa.chunked_array([pa.array(values, pa.float64())])


def slow_spend(c, given, score, domain, aim, variance):
    """The second round of a case in which what failed is not there and the budget is what it left."""
    failed = [k for k in range(len(c.hashes)) if given.n_pairs[k] and score[k] is None]
    scored = [k for k, value in enumerate(score) if value is not None]
    micro = np.array([round((value or 0) * 10**6) for value in score], np.int64)
    gap = np.zeros(len(score), np.int64)
    for name in set(domain):
        here = [k for k in scored if domain[k] == name]
        if here and aim:
            gap[here] = micro[here] - slow_cut(micro[here], c.n_tokens[here], [c.hashes[k] for k in here], aim)
    left = c.budget - sum(slow_cost(c.n_chunks[k], c.hashes[k], int(given.n_pairs[k])) for k in failed)
    rest = [k for k in range(len(c.hashes)) if k not in failed]
    some = permuted(c, np.array(rest, int))
    some.gap, some.budget = gap[rest] if aim and scored else None, left
    some.variance = np.full(len(rest), round(variance * 10**12))
    found = slow_second(some, Budgeted(given.n_pairs[rest], given.why[rest]))
    rows_of = dict(zip(rest, found, strict=True))
    return [rows_of.get(k, (int(given.n_pairs[k]), given.why[k])) for k in range(len(c.hashes))]


def spend_case(seed):
    c, rng = case(seed), random.Random(-seed)
    given = first(c)
    score = [rng.choice([None, 0.0, 0.25, 0.3, -0.1]) if n else None for n in given.n_pairs.tolist()]
    return c, given, score, [rng.choice("ab") for _ in c.hashes], rng.choice([None, 0.25, 0.5])


def test_what_is_spent_after_the_first_scores_is_the_slow_one():
    for seed in SEEDS:
        c, given, score, domain, aim = spend_case(seed)
        final = spend(documents_of(c, domain), given, score_column(score), aim, 0.06, limits(c))
        assert rows(final) == slow_spend(c, given, score, domain, aim, 0.06), f"{seed=}"


def test_a_document_whose_score_is_no_number_gets_no_more_pairs_and_its_price_is_paid():
    c = alike(2, budget=slow_cost(30, "0" * 31 + "0", 2) + six(30, "0" * 31 + "1"))
    given = Budgeted(np.array([2, 2]), np.array(["first", "first"], object))
    final = spend(documents_of(c), given, score_column([0.1, None]), None, 0.06, limits(c))
    assert rows(final) == [(6, "more"), (2, "first")]
    c.budget -= 1
    assert rows(spend(documents_of(c), given, score_column([0.1, None]), None, 0.06, limits(c))) == [(2, "first")] * 2


def test_costs_are_those_of_each_document():
    c = case(5)
    n = np.arange(len(c.hashes))
    assert costs(documents_of(c), n, CHUNKING) == [
        slow_cost(s, h, int(k)) for s, h, k in zip(c.n_chunks, c.hashes, n, strict=True)
    ]


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    cases = [case(seed) for seed in SEEDS]
    ones, twos = [first(c) for c in cases], [second(c) for c in cases]
    assert any(not len(c.hashes) for c in cases)
    assert any({"budget", "first"} <= set(o.why) for o in ones)
    assert any({"more", "first", "short"} <= set(t.why) for t in twos)
    for gap in (False, True):
        assert any((t.n_pairs > FIRST + STEP).any() for c, t in zip(cases, twos, strict=True) if (c.gap is None) == gap)
    assert any((t.n_pairs == n_near(8) + n_far(8)).any() for t in twos)
    assert any(len(set(t.n_pairs[t.n_pairs > 0].tolist())) > 2 for t in twos)
    assert any(
        any(a > b > 0 for a, b in zip(t.n_pairs[np.lexsort((c.hashes, -c.n_tokens))][1:], t.n_pairs, strict=False))
        for c, t in zip(cases, twos, strict=True)
    )
    spending = [spend_case(seed) for seed in SEEDS]
    assert any(
        None in [s for s, n in zip(score, given.n_pairs, strict=True) if n] for _, given, score, _, _ in spending
    )
    assert any(aim and len(set(domain)) == 2 and any(score) for _, _, score, domain, aim in spending)
