"""A score is the mean over all pairs, estimated from the first few: against slow code, against planted gains, resumed."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.score.budget import cost
from scorers import chunk_gain
from scorers import chunks as chunks_module
from scorers.chunk_gain import (
    MIN_CHUNKS,
    MIN_STRENGTH,
    PARTS,
    MeasuredPair,
    chunks_of,
    entropy_factor,
    measure,
    parts,
)
from scorers.chunk_gain.calibration import EDGES, Calibration, Kind
from scorers.chunk_gain.overlap import FEATURES
from scorers.chunk_gain.pairs import FAR, first_pairs, n_far, n_near, some_pairs
from scorers.chunks import Chunks
from scorers.lm import ModelParams, body, load
from scorers.weights import Weights
from tests.scorers.chunk_gain.test_overlap import slow_features

SEEDS = range(60)
HASH = "00112233445566778899aabbccddeeff"


def content_hash(seed):
    return f"{seed * 7919 + 1:032x}"


def calibration(near=None, far=None, variance=0.04, evenness=(0.0, 0.0), spread=None):
    """Coefficients as given, and a residual variance that grows with distance."""
    kinds = [
        Kind(
            coefficients=tuple(given or [0.0] * len(FEATURES)),
            residual_variance=tuple(variance * (1 + b) for b in range(len(EDGES))),
            evenness=more,
            mean=0.3,
            spread=spread,
        )
        for given, more in zip((near, far), evenness, strict=True)
    ]
    return Calibration(
        model="m", weights="w", chunk_tokens=16, n_documents=1, n_pairs=1, near=kinds[0], far=kinds[1]
    )  # fmt: skip


def drawn(seed):
    """A document's chunks and the first of its pairs, with gains without a rule."""
    r = np.random.default_rng(seed)
    s = int(r.choice([1, 2, 3, 4, 5, 8, 13, 20]))
    chunks = r.integers(250, 290, (s, int(r.choice([1, 3, 16]))))
    n = int(r.choice([0, 1, 2, 3, 7, 24, 500]))
    pairs = [
        MeasuredPair(i, j, float(r.normal(3, 1)), float(r.normal(3, 0.5)))
        for i, j in first_pairs(s, content_hash(seed), n)
    ]
    near, far = r.normal(size=(2, len(FEATURES))).tolist()
    known = [
        calibration(near, far, evenness=(0.1 * (seed % 3), 0.2 * (seed % 5)), spread=[None, 0.02, 3.0][seed % 3]),
        None,
    ][seed % 2]
    return pairs, chunks, known


# -- against slow code


def slow_estimate(pairs, chunks, given, kind, is_mine, every):
    """The docstrings, a pair at a time. every: the pairs whose features are looked at, of the kind."""
    s = len(chunks)
    many = sum(is_mine(i - j) for i in range(s) for j in range(i))
    mine = [p for p in pairs if is_mine(p.target - p.context)]
    gains = [p.alone - p.after for p in mine]
    if not gains:
        return math.nan, math.nan
    plain = math.fsum(gains) / len(gains)
    if not given:
        if len(gains) < 2:
            return plain, math.nan
        variance = math.fsum((g - plain) ** 2 for g in gains) / (len(gains) - 1)
        return plain, math.sqrt(variance / len(gains) * (many - len(gains)) / many)

    def said(which):
        return [
            math.fsum(a * b for a, b in zip(row, kind.coefficients, strict=True))
            for row in slow_features(chunks, which)
        ]

    seen, all_said = said([(p.target, p.context) for p in mine]), said(every)
    level = math.fsum(all_said) / len(all_said)
    at = [max(b for b, edge in enumerate(EDGES) if edge <= p.target - p.context) for p in mine]
    worth = len(at) ** (1 + kind.evenness)  # random pairs
    squared = math.fsum(kind.residual_variance[b] for b in at) / len(at) / worth * (many - len(at)) / many
    if len(every) < many:
        squared += math.fsum((a - level) ** 2 for a in all_said) / len(all_said) / len(all_said)
    estimate = plain + level - math.fsum(seen) / len(seen)
    if kind.spread and squared:
        truth_variance = 1 / (1 / kind.spread + 1 / squared)  # normal truths, seen through normal errors
        truth = truth_variance * (kind.mean / kind.spread + estimate / squared)
        squared = truth_variance + (estimate - truth) ** 2
    return estimate, math.sqrt(squared)


def slow_entropy_factor(gains):
    powers = [math.exp(g - max(gains)) for g in gains]
    q = [p / math.fsum(powers) for p in powers]
    return 1 - math.fsum(-x * math.log(x) for x in q if x) / math.log(len(q))


def slow_parts(pairs, chunks, seed, given, most=20_000):
    s = len(chunks)
    found = {"n_near": 0, "n_far": 0, "n_chunks": s}
    ranges = {"near": (1, FAR), "far": (FAR, max(s, FAR))}
    for name, (low, high) in ranges.items():
        every = [tuple(p) for p in some_pairs(s, content_hash(seed), low, high, most).tolist()]
        kind = given and getattr(given, name)
        found[name], found[f"{name}_error"] = slow_estimate(
            pairs, chunks, given, kind, lambda d, low=low, high=high: low <= d < high, every
        )
        mine = [p.alone - p.after for p in pairs if low <= p.target - p.context < high]
        found[f"n_{name}"] = len(mine)
        found[f"uncorrected_{name}"] = math.fsum(mine) / len(mine) if mine else math.nan
    strengths = [1 - math.exp(p.after - p.alone) for p in pairs]
    strong = [(x, p) for x, p in zip(strengths, pairs, strict=True) if x > MIN_STRENGTH]
    n = len(pairs) or math.nan
    found["strong_share"] = len(strong) / n
    found["strength"] = math.fsum(x for x, _ in strong) / n
    found["distance"] = math.fsum((p.target - p.context) / (s - 1) for _, p in strong) / n
    rows = [[p.alone - p.after for p in pairs if p.target == i] for i in range(s)]
    factors = [slow_entropy_factor(row) for row in rows if len(row) > 1]
    found["entropy_factor"] = math.fsum(factors) / len(factors) if factors else math.nan
    return found


def assert_alike(found, wanted, where):
    assert set(wanted) == set(PARTS)
    for name in PARTS:
        value = getattr(found, name)
        assert value == pytest.approx(wanted[name], rel=1e-9, abs=1e-12, nan_ok=True), f"{where} {name}"


def test_parts_are_the_slow_ones():
    for seed in SEEDS:
        pairs, chunks, given = drawn(seed)
        assert_alike(
            parts(pairs, chunks, content_hash(seed), given), slow_parts(pairs, chunks, seed, given), f"{seed=}"
        )


def test_parts_of_a_document_with_more_pairs_than_are_looked_at_are_the_slow_ones(monkeypatch):
    monkeypatch.setattr(chunk_gain, "MAX_FEATURE_PAIRS", 25)
    n = 0
    for seed in SEEDS:
        pairs, chunks, given = drawn(seed)
        if given:
            found = parts(pairs, chunks, content_hash(seed), given)
            assert_alike(found, slow_parts(pairs, chunks, seed, given, most=25), f"{seed=}")
            n += n_far(len(chunks)) > 25 and found.n_far > 0
    assert n > 3


def test_what_is_a_few_and_what_is_many():
    assert n_far(MIN_CHUNKS) == 10
    assert chunk_gain.MAX_FEATURE_PAIRS == 20_000


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    cases = [drawn(seed) for seed in SEEDS]
    found = [parts(p, c, content_hash(seed), k) for seed, (p, c, k) in zip(SEEDS, cases, strict=True)]
    for given in (False, True):
        mine = [f for f, (_, _, k) in zip(found, cases, strict=True) if bool(k) == given]
        assert any(f.n_near == 0 for f in mine)
        assert any(f.n_near and not f.n_far for f in mine)
        assert any(f.n_near == 1 for f in mine)
        assert any(f.n_far == 1 for f in mine)
        assert any(f.n_far == n_far(f.n_chunks) > 5 for f in mine)
        assert any(0 < f.n_far < n_far(f.n_chunks) for f in mine)
        assert any(0 < f.strong_share < 1 for f in mine)
    assert any(f.entropy_factor > 0.2 for f in found)
    assert any(math.isnan(f.entropy_factor) and f.n_near for f in found)


# -- rules


def pair(i, j, gain):
    return MeasuredPair(i, j, 3.0, 3.0 - gain)


def planted(s, seed, coefficients, sd, c=16):
    """A document's chunks, and the gain of each pair: a term of its own, what the features say, and a rest."""
    r = np.random.default_rng(seed)
    chunks = r.integers(200, 330, (s, c))
    for i in range(1, s):
        if r.random() < 0.7:
            j = int(r.integers(0, i))
            chunks[i, : c // 2] = chunks[j, : c // 2]
    places = [(i, j) for i in range(s) for j in range(i)]
    gains = r.normal(0.2, 0.1) + slow_features(chunks, places) @ coefficients
    gains += r.normal(size=len(places)) * np.array([sd(i - j) for i, j in places])
    return chunks, dict(zip(places, gains.tolist(), strict=True))


def true_means(gains):
    near, far = [g for (i, j), g in gains.items() if i - j < FAR], [g for (i, j), g in gains.items() if i - j >= FAR]
    return float(np.mean(near)), float(np.mean(far))


PLANTED = np.array([{"rare_tokens": 0.8, "bigrams": 1.0, "trigrams": 0.5}.get(name, 0.1) for name in FEATURES])


def test_with_all_pairs_measured_it_is_their_mean_without_error():
    """Whatever the coefficients say."""
    for s in (MIN_CHUNKS, 14):
        for coefficients in (PLANTED, -7 * PLANTED, None):
            chunks, gains = planted(s, s, PLANTED, lambda _: 0.1)
            pairs = [pair(i, j, gains[i, j]) for i, j in first_pairs(s, HASH, len(gains))]
            given = None if coefficients is None else calibration(coefficients.tolist(), coefficients.tolist())
            found = parts(pairs, chunks, HASH, given)
            assert (found.near, found.far) == pytest.approx(true_means(gains), abs=1e-12)
            assert (found.near_error, found.far_error) == (0, 0)
            assert (found.n_near, found.n_far, found.n_chunks) == (n_near(s), n_far(s), s)


def test_coefficients_of_nothing_correct_nothing():
    chunks, gains = planted(20, 1, PLANTED, lambda _: 0.1)
    pairs = [pair(i, j, gains[i, j]) for i, j in first_pairs(20, HASH, 24)]
    found, plain = parts(pairs, chunks, HASH, calibration()), parts(pairs, chunks, HASH, None)
    assert (found.near, found.far) == pytest.approx((plain.near, plain.far))
    assert (found.near, found.far) == pytest.approx((found.uncorrected_near, found.uncorrected_far))


@pytest.fixture(scope="module")
def estimates():
    """Of 300 planted documents, from 24 of their 276 pairs: the truth, the score, and what it would be uncorrected."""
    s, rows = 24, []
    sizes = np.sqrt(0.01 * (1 + np.arange(len(EDGES))))
    given = calibration(PLANTED.tolist(), PLANTED.tolist(), variance=0.01)
    for seed in range(300):
        chunks, gains = planted(s, seed, PLANTED, lambda d: sizes[np.searchsorted(EDGES, d, side="right") - 1])
        pairs = [pair(i, j, gains[i, j]) for i, j in first_pairs(s, content_hash(seed), 24)]
        rows.append((true_means(gains), parts(pairs, chunks, content_hash(seed), given)))
    truth = {name: np.array([t[k] for t, _ in rows]) for k, name in enumerate(("near", "far"))}
    return truth, {name: np.array([getattr(p, name) for _, p in rows]) for name in PARTS}


@pytest.mark.parametrize("kind", ["near", "far"])
def test_the_estimate_has_no_bias(kind, estimates):
    truth, found = estimates
    for estimate in (found[kind], found[f"uncorrected_{kind}"]):
        off = estimate - truth[kind]
        assert abs(off.mean()) < 3 * off.std() / math.sqrt(len(off))


@pytest.mark.parametrize("kind", ["near", "far"])
def test_the_correction_takes_variance_away(kind, estimates):
    truth, found = estimates
    assert (found[kind] - truth[kind]).var() < 0.6 * (found[f"uncorrected_{kind}"] - truth[kind]).var()


@pytest.mark.parametrize("kind", ["near", "far"])
def test_the_error_covers_the_truth_as_often_as_it_says(kind, estimates):
    truth, found = estimates
    off = np.abs(found[kind] - truth[kind]) / found[f"{kind}_error"]
    for width, share in ((1.0, 0.683), (1.96, 0.95)):
        assert (off < width).mean() == pytest.approx(share, abs=3.5 * math.sqrt(share * (1 - share) / len(off)))


def test_without_a_calibration_the_error_is_the_documents_own():
    """Gains that the features know nothing of, of many pairs: it covers the truth as often as it says."""
    off = []
    for seed in range(200):
        _, gains = planted(24, seed, 0 * PLANTED, lambda _: 0.2)
        pairs = [pair(i, j, gains[i, j]) for i, j in first_pairs(24, content_hash(seed), 100)]
        found = parts(pairs, np.zeros((24, 2), np.int64), content_hash(seed), None)
        off.append((found.far - true_means(gains)[1]) / found.far_error)
    assert np.std(off) == pytest.approx(1, abs=0.15)


def test_what_was_not_measured_is_no_number():
    chunks = np.arange(160).reshape(10, 16)
    for given in (None, calibration()):
        nothing = parts([], chunks, HASH, given)
        assert (nothing.n_near, nothing.n_far, nothing.n_chunks) == (0, 0, 10)
        assert all(math.isnan(getattr(nothing, name)) for name in PARTS if not name.startswith("n_"))
        one = parts([pair(1, 0, 0.5)], chunks, HASH, given)
        assert one.near == one.uncorrected_near == 0.5
        assert math.isnan(one.far)
        assert math.isnan(one.far_error)
        assert math.isnan(one.entropy_factor)
        assert math.isnan(one.near_error) == (given is None)  # a document's own pairs tell nothing when there is one
        short = parts([pair(i, j, 0.5) for i, j in first_pairs(3, HASH, 9)], chunks[:3], HASH, given)
        assert (short.n_near, short.n_far) == (3, 0)
        assert math.isnan(short.far)
        assert short.near == pytest.approx(0.5)
    assert parts([pair(1, 0, 0.5)], chunks, HASH, calibration()).near_error == pytest.approx(
        math.sqrt(0.04 * (1 - 1 / 24))
    )


def test_a_gain_that_is_no_number_shows():
    """It must not become a score."""
    chunks = np.arange(160).reshape(10, 16)
    for given in (None, calibration()):
        found = parts([pair(1, 0, 0.5), pair(8, 0, math.nan), pair(9, 1, 0.1)], chunks, HASH, given)
        assert math.isnan(found.far)
        assert found.near == 0.5


def test_lds_parts_by_hand():
    half = math.log(2)  # takes away half of the perplexity
    found = parts(
        [pair(1, 0, half), pair(9, 0, half), pair(9, 1, -1.0), pair(9, 2, 0.1)], np.zeros((10, 2)), HASH, None
    )
    assert found.strong_share == 2 / 4  # 1 - exp(-0.1) is less than 0.1
    assert found.strength == pytest.approx((0.5 + 0.5) / 4)
    assert found.distance == pytest.approx((1 / 9 + 9 / 9) / 4)
    assert found.entropy_factor == pytest.approx(slow_entropy_factor([half, -1.0, 0.1]))
    assert parts([pair(1, 0, 0.11)], np.zeros((10, 2)), HASH, None).strong_share == 1


def test_a_strength_of_just_the_least_does_not_count():
    exact = [g for g in -np.log1p(-MIN_STRENGTH) + np.arange(-50, 50) * 1e-17 if -np.expm1(-g) == MIN_STRENGTH]
    gain = float(exact[0])
    assert parts([MeasuredPair(1, 0, gain, 0.0)], np.zeros((10, 2)), HASH, None).strong_share == 0
    assert parts([MeasuredPair(1, 0, gain + 1e-12, 0.0)], np.zeros((10, 2)), HASH, None).strong_share == 1


def test_entropy_factor():
    for seed in SEEDS:
        gains = np.random.default_rng(seed).normal(size=2 + seed % 9) * 10.0 ** (seed % 4 - 2)
        assert entropy_factor(gains) == pytest.approx(slow_entropy_factor(gains.tolist()), abs=1e-12)
        assert entropy_factor(gains + 1000) == pytest.approx(entropy_factor(gains), abs=1e-9)
    assert entropy_factor(np.array([2.0, 2.0, 2.0])) == pytest.approx(0, abs=1e-12)
    assert entropy_factor(np.array([0.0, 800.0, 0.0])) == pytest.approx(1)
    assert math.isnan(entropy_factor(np.array([1.0])))
    assert math.isnan(entropy_factor(np.array([])))


def test_chunks_of_a_document():
    ids = np.arange(11)
    assert chunks_of(ids, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert chunks_of(ids[:8], 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert chunks_of(ids[:3], 4).shape == (0, 4)


# -- measure


S = 9


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.3,
    )  # fmt: skip
    torch.manual_seed(4)
    folder = tmp_path_factory.mktemp("tiny llama")
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return SimpleNamespace(**{f"block{b}": load(ModelParams(weights=Weights.of(folder), block=b)) for b in (1, 4, 5)})


def chunks_with(model):
    return Chunks(model, np.random.default_rng(8).integers(0, 300, (S, 8)), model.anchor)


def measured(model, n, known=()):
    return list(measure(chunks_with(model), HASH, n, list(known)))


def flat(blocks):
    return [p for block in blocks for p in block]


@pytest.mark.parametrize("block", ["block1", "block4", "block5"])
def test_pairs_are_the_first_of_the_sequence_a_block_at_a_time(block, tiny):
    model = getattr(tiny, block)
    for n in (0, 1, 4, 5, 13):
        blocks = measured(model, n)
        assert [(p.target, p.context) for p in flat(blocks)] == first_pairs(S, HASH, n)
        assert [len(b) for b in blocks[:-1]] == [model.block] * (len(blocks) - 1)
        assert not blocks or 0 < len(blocks[-1]) <= model.block
    for p in flat(measured(model, 13)):
        assert isinstance(p, MeasuredPair)
        assert list(map(type, p)) == [int, int, float, float]  # what is written down is exact
        direct = chunks_with(tiny.block1)
        assert p.after == pytest.approx(direct.after([(p.target, p.context)])[0], abs=1e-5)
        assert p.alone == pytest.approx(direct.alone([p.target])[0], abs=1e-5)


def test_values_are_the_same_whatever_is_known_already(tiny):
    whole = flat(measured(tiny.block1, 14))
    for k in range(16):
        assert flat(measured(tiny.block1, 14, whole[:k])) == whole[k:], f"{k=}"
    assert measured(tiny.block1, 3, whole) == []


def test_no_more_pairs_than_there_are(tiny):
    every = flat(measured(tiny.block4, 10**9))
    assert [(p.target, p.context) for p in every] == first_pairs(S, HASH, 10**9)
    assert len(every) == n_near(S) + n_far(S)
    assert measured(tiny.block4, 10**9, every) == []


def test_what_is_known_is_not_forwarded_again(tiny):
    chunks = chunks_with(tiny.block1)
    whole = flat(measure(chunks, HASH, 14, []))
    assert chunks.forwarded == cost(S, HASH, 14, 8)
    again = chunks_with(tiny.block1)
    assert list(measure(again, HASH, 14, whole)) == []
    assert again.forwarded == 0
    for k in range(1, 14):
        rest = chunks_with(tiny.block1)
        list(measure(rest, HASH, 14, whole[:k]))
        assert rest.forwarded == cost(S, HASH, 14, 8, k), f"{k=}"


def test_a_block_is_measured_when_it_is_asked_for(tiny):
    """What was taken before the process died is all that was done."""
    chunks = chunks_with(tiny.block1)
    blocks = measure(chunks, HASH, 14, [])
    next(blocks)
    assert chunks.forwarded == cost(S, HASH, 1, 8)


def test_no_pair_is_left_out_when_a_block_does_not_fit(tiny, monkeypatch):
    torch = pytest.importorskip("torch")
    whole = [(p.target, p.context) for p in flat(measured(tiny.block1, 14))]

    def tight(model, ids, past=None):
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return body(model, ids, past)

    monkeypatch.setattr(chunks_module, "body", tight)
    assert [(p.target, p.context) for p in flat(measured(tiny.block4, 14))] == whole
