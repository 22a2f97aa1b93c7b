"""Targets are the formula, rounded fairly; each cell draws in keyed order until it has its tokens, to the token."""

import itertools
import random
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from pipelines.keys import contents, keyed, salt
from pipelines.plan.cells import cells_of, kind_of
from pipelines.plan.upsample import draw, over_share, solve
from pipelines.shares import largest_remainder
from schemas.errors import SchemaError

SEEDS = range(150)
LONG = 50


class Case:
    """A small corpus and a plan's parameters."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.domains = ["a", "b", "c", "d"][: rng.randint(1, 4)]
        lengths = [0, 1, 2, 7, 49, 50, 51, 120, 400]
        docs = [(rng.randrange(len(self.domains)), rng.choice(lengths)) for _ in range(rng.randint(0, 25))]
        self.domain = np.array([d for d, _ in docs], np.int64)
        self.n_tokens = np.array([n for _, n in docs], np.int64)
        self.hashes = [f"{rng.getrandbits(128):032x}" for _ in docs]
        self.content = contents(pa.array(self.hashes, pa.string()))
        self.budget = rng.choice([1, 3, 10, 100, 1_000, 5_000])
        self.short_rate = rng.choice([0, 0.1, 0.37, 1.0])
        self.max_epochs = rng.randint(1, 4)
        self.seed = rng.randrange(3)
        parts = [rng.choice([0, 1, 2, 5]) for _ in self.domains]
        named = {d: p / sum(parts) for d, p in zip(self.domains, parts, strict=True)} if sum(parts) else None
        self.shares = rng.choice([None, named])

    @property
    def cells(self):
        return cells_of(self.domains, self.domain, self.n_tokens, self.n_tokens, LONG)

    @property
    def targets(self):
        return solve(self.cells, self.budget, self.shares, self.short_rate, self.max_epochs)

    def tokens(self, domain, is_long):
        """Tokens of a cell, one document after another."""
        mine = zip(self.domain.tolist(), self.n_tokens.tolist(), strict=True)
        return sum(n for d, n in mine if d == domain and (n >= LONG) == is_long)

    @property
    def draws(self):
        cell = self.domain * 2 + kind_of(self.n_tokens, LONG)
        return draw(self.n_tokens, cell, self.targets.drawn, self.content, self.seed)


def slow_round(quotas, total):
    """Of all ways to round up or down that give the total, the one nearest to the quotas; then the first rounded up."""
    ways = itertools.product(*([int(q), int(q) + 1] for q in quotas))
    right = [way for way in ways if sum(way) == total]
    return list(
        min(right, key=lambda way: (sum(abs(x - q) for x, q in zip(way, quotas, strict=True)), [-x for x in way]))
    )


def slow_target(case):
    """[domain][short, long] tokens by the formula q = T m / (B + r A), in fractions."""
    tokens = [[case.tokens(d, is_long=False), case.tokens(d, is_long=True)] for d in range(len(case.domains))]
    shares = [sum(cell) if case.shares is None else Fraction(str(case.shares[n])) for cell, n in zip(tokens, case.domains, strict=True)]  # fmt: skip
    if not sum(shares):
        return [[0, 0] for _ in tokens]
    target = []
    for budget, (short, long) in zip(
        slow_round([case.budget * Fraction(s) / sum(shares) for s in shares], case.budget), tokens, strict=True
    ):
        r = Fraction(str(case.short_rate))
        if long + r * short == 0:
            target.append([0, budget])
        else:
            q = budget / (long + r * short)
            target.append(slow_round([r * q * short, q * long], budget))
    return target


def slow_mix(x):
    """SplitMix64's output for the state x, in Python's integers."""
    mask = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def slow_key(content_hash, salt_):
    return slow_mix(slow_mix(int(content_hash[:16], 16) ^ int(salt_)) ^ int(content_hash[16:], 16))


def slow_draws(case):
    """{(content_hash, epoch): tokens}: documents one at a time, from what is left of the target."""
    drawn = {}
    for d, k in np.ndindex(case.targets.drawn.shape):
        left, epoch = int(case.targets.drawn[d, k]), 0
        members = [
            i for i in range(len(case.domain)) if case.domain[i] == d and (case.n_tokens[i] >= LONG) == k and case.n_tokens[i]
        ]  # fmt: skip
        while left:
            for i in sorted(members, key=lambda i: slow_key(case.hashes[i], salt("draw", case.seed, epoch))):
                taken = min(left, int(case.n_tokens[i]))
                if taken:
                    drawn[case.hashes[i], epoch] = taken
                left -= taken
            epoch += 1
    return drawn


def as_dict(draws, hashes):
    keys = [(hashes[i], e) for i, e in zip(draws.document.tolist(), draws.epoch.tolist(), strict=True)]
    assert len(set(keys)) == len(keys), "a copy was drawn twice"
    return dict(zip(keys, draws.n_tokens.tolist(), strict=True))


def test_targets_are_the_formula():
    for seed in SEEDS:
        case = Case(seed)
        assert case.targets.target.tolist() == slow_target(case), f"{seed=}"


def test_budgets_sum_exactly():
    for seed in SEEDS:
        case = Case(seed)
        assert case.targets.target.sum() in (0, case.budget), f"{seed=}"


def test_a_shortfall_is_not_substituted():
    for seed in SEEDS:
        case = Case(seed)
        for d, k in np.ndindex(case.targets.target.shape):
            target, available = int(case.targets.target[d, k]), case.max_epochs * case.tokens(d, k == 1)
            assert case.targets.available[d, k] == available, f"{seed=}"
            assert case.targets.drawn[d, k] == min(target, available), f"{seed=}"


def test_draws_are_the_slow_ones():
    for seed in SEEDS:
        case = Case(seed)
        assert as_dict(case.draws, case.hashes) == slow_draws(case), f"{seed=}"


def test_every_cell_has_its_tokens():
    for seed in SEEDS:
        case = Case(seed)
        drawn = np.zeros_like(case.targets.drawn)
        np.add.at(drawn, (case.domain[case.draws.document], case.draws.kind), case.draws.n_tokens)
        assert np.array_equal(drawn, case.targets.drawn), f"{seed=}"


def test_the_order_of_the_documents_does_not_matter():
    for seed in SEEDS:
        case = Case(seed)
        before = as_dict(case.draws, case.hashes)
        order = np.random.default_rng(seed).permutation(len(case.hashes))
        case.domain, case.n_tokens, case.content = case.domain[order], case.n_tokens[order], case.content[order]
        assert as_dict(case.draws, [case.hashes[i] for i in order]) == before, f"{seed=}"


def one_cell(hashes, n_tokens, target, seed=0):
    n_tokens = np.array(n_tokens, np.int64)
    draws = draw(n_tokens, np.zeros(len(n_tokens), np.int64), np.array([[target, 0]]), contents(pa.array(hashes)), seed)
    return as_dict(draws, hashes)


def test_documents_that_come_and_go_change_the_margin_only():
    """Of the documents in both corpora, a cell draws the first in keyed order: in one corpus more, in the other fewer."""
    n_kept, n_out = 0, 0
    for seed in SEEDS:
        rng = random.Random(seed)
        docs = {f"{rng.getrandbits(128):032x}": rng.randint(1, 30) for _ in range(60)}
        fewer = {h: docs[h] for h in sorted(docs, key=lambda _: rng.random())[: rng.randint(50, 59)]}
        target = rng.randint(1, 2 * sum(fewer.values()))
        before, after = (one_cell(list(d), list(d.values()), target) for d in (docs, fewer))
        come = sum(n for h, n in docs.items() if h not in fewer) * (1 + target // sum(docs.values()))
        for epoch in range(2):
            mine = [{h for h, e in draws if e == epoch and h in fewer} for draws in (before, after)]
            assert mine[0] <= mine[1] or mine[1] <= mine[0], f"{seed=}"
            changed = sum(fewer[h] for h in mine[0] ^ mine[1])
            if sum(fewer.values()) > target:  # one epoch in both
                assert changed <= come + 30, f"{seed=}"
            n_kept, n_out = n_kept + len(mine[0] & mine[1]), n_out + len(mine[0] ^ mine[1])
    assert n_kept > 5 * n_out > 0


def test_another_seed_and_epoch_draw_other_documents():
    hashes = [f"{random.Random(7).getrandbits(120) + i:032x}" for i in range(200)]
    first, second = (one_cell(hashes, [1] * 200, 100, seed) for seed in (0, 1))
    assert 25 < len(first.keys() & second.keys()) < 75
    later = one_cell(hashes, [1] * 200, 300)
    assert 25 < len({h for h, e in later if e == 1} & {h for h, _ in first}) < 75


def test_a_share_that_is_not_named_is_nothing_and_one_without_cells_is_refused():
    cells = cells_of(["a", "b"], np.array([0, 1]), np.array([9, 9]), np.array([9, 9]), LONG)
    assert solve(cells, 6, {"b": 1.0}, 0.1, 1).target.tolist() == [[0, 0], [6, 0]]
    with pytest.raises(ValueError, match=r"\['z'\]"):
        solve(cells, 6, {"b": 0.5, "z": 0.5}, 0.1, 1)


def test_rates():
    cells = cells_of(["a", "b"], np.array([0, 0]), np.array([100, 40]), np.array([100, 40]), LONG)
    targets = solve(cells, 52, {"a": 1.0}, 0.1, 4)
    assert targets.rates[0].tolist() == [0.05, 0.5]  # 52 / (100 + 0.1 * 40), and a tenth of it
    assert np.isnan(targets.rates[1]).all()
    assert targets.target.tolist() == [[2, 50], [0, 0]]
    assert targets.shares == (1.0, 0.0)


def test_largest_remainder_is_the_nearest_rounding():
    for seed in SEEDS:
        rng = random.Random(seed)
        weights = [rng.choice([0, 1, 1, 2, 3, 7]) for _ in range(rng.randint(1, 6))] + [1]
        total = rng.randint(0, 40)
        quotas = [Fraction(total * w, sum(weights)) for w in weights]
        assert largest_remainder(quotas, total) == slow_round(quotas, total), f"{seed=}"


def test_a_document_over_its_share_of_a_domain():
    domain, n_tokens = np.array([0, 0, 0, 1]), np.array([10, 30, 40, 5])
    assert over_share(domain, n_tokens, 0.375).tolist() == [False, False, True, True]
    assert over_share(domain, n_tokens, 0.5).tolist() == [False, False, False, True]
    assert over_share(domain[:0], n_tokens[:0], 0.5).tolist() == []


def test_keys_are_the_slow_ones():
    hashes = [f"{random.Random(seed).getrandbits(128):032x}" for seed in range(40)] + ["0" * 32, "f" * 32]
    column = pa.chunked_array([hashes[:3], hashes[3:]])
    assert [(int(a) << 64) | int(b) for a, b in contents(column)] == [int(h, 16) for h in hashes]
    assert np.array_equal(contents(pa.array(hashes).slice(5, 9)), contents(pa.array(hashes[5:14])))
    one = salt("draw", 3, 0)
    assert keyed(contents(column), one).tolist() == [slow_key(h, one) for h in hashes]
    assert contents(pa.array([], pa.string())).shape == (0, 2)
    assert len({int(salt(*parts)) for parts in [("a", 1), ("a", 2), ("a", "11"), ("a1", 1), ("b", 1)]}) == 5


@pytest.mark.parametrize("bad", ["abc", "g" * 32, "A" * 32, "a" * 31 + "é"])
def test_a_content_hash_that_is_none_is_refused(bad):
    with pytest.raises(SchemaError, match="content_hash"):
        contents(pa.array(["a" * 32, bad]))


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    cases = [Case(seed) for seed in SEEDS]
    draws = [case.draws for case in cases]
    assert any(0 in c.n_tokens for c in cases)
    assert any(len(c.n_tokens) == 0 for c in cases)
    assert any(c.targets.rates[~np.isnan(c.targets.rates)].max(initial=0) > 1 for c in cases)
    cells = [
        (c.targets.target[at], c.targets.available[at]) for c in cases for at in np.ndindex(c.targets.target.shape)
    ]
    assert any(0 == available < target for target, available in cells)
    assert any(0 < available < target for target, available in cells)
    assert any(0 < target < available for target, available in cells)
    assert any(d.epoch.max(initial=0) >= 2 for d in draws)
    assert any((d.n_tokens < c.n_tokens[d.document]).any() for c, d in zip(cases, draws, strict=True))
    assert any((c.cells.documents.sum(axis=2) == 1).any() for c in cases)  # a cell of one document
    assert any((c.targets.target > 0).all() for c in cases if len(c.domains) > 1)
    assert any(c.short_rate == 0 and c.tokens(d, is_long=False) and not c.tokens(d, is_long=True) for c in cases for d in range(len(c.domains)))  # fmt: skip
    tokens = [(c, d, k) for c in cases for d, k in np.ndindex(c.targets.drawn.shape) if c.targets.drawn[d, k]]
    assert any(c.targets.drawn[d, k] % c.tokens(d, k == 1) == 0 for c, d, k in tokens)  # whole epochs, no fraction
