"""Ranks against the values of the published code, and against plain Python."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from pipelines.choose.ranking import Mixing, rank_samples

OFFICIAL = json.loads(
    (Path(__file__).parents[2] / "scorers" / "data" / "gateau" / "official_rank.json").read_text()
)["cases"]  # fmt: skip


@pytest.mark.parametrize("case", OFFICIAL, ids=[case["name"] for case in OFFICIAL])
@pytest.mark.parametrize("alpha", ["0.7", "0.8"])
def test_the_published_formula_gives_the_published_values(case, alpha):
    nll = [[math.log(x) for x in case[name]] for name in ("base_ppl", "long_ppl")]
    ids = [str(k) for k in range(len(nll[0]))]
    made = rank_samples(ids, *nll, case["align_score"], Mixing(float(alpha), "published", "alignment"))
    assert made["hmg"].to_pylist() == pytest.approx(case["softmax"], rel=1e-12)
    assert made["score"].to_pylist() == pytest.approx(case["final"][alpha]["score"], rel=1e-12)
    order = sorted(range(len(ids)), key=lambda k: made["rank"][k].as_py())
    assert order == case["final"][alpha]["order"]
    assert made["id"].to_pylist() == ids


def test_the_published_cases_have_ties():
    assert any(len(set(case["align_score"])) < len(case["align_score"]) for case in OFFICIAL)


def percent_ranks(values):
    """The share of the others that are lower, of ties half."""
    if len(values) == 1:
        return [0.5]
    return [
        (sum(other < x for other in values) + (sum(other == x for other in values) - 1) / 2) / (len(values) - 1)
        for x in values
    ]


def softmax(values):
    total = math.fsum(math.exp(x) for x in values)
    return [math.exp(x) / total for x in values]


def minmax(values):
    low, high = min(values), max(values)
    return [0.5 if high == low else (x - low) / (high - low) for x in values]


def slow(samples, mixing):
    """[n] (hmg, cam, score) of samples (scope, short, long, alignment)."""
    hmg, cam = [None] * len(samples), [None] * len(samples)
    for scope in {sample[0] for sample in samples}:
        with_hmg = [k for k, (s, short, long, _) in enumerate(samples) if s == scope and None not in (short, long)]
        with_cam = [k for k, (s, _, _, alignment) in enumerate(samples) if s == scope and alignment is not None]
        if with_hmg:
            short, long = ([samples[k][column] for k in with_hmg] for column in (1, 2))
            if mixing.normalise == "robust":
                made = percent_ranks([a - b for a, b in zip(short, long, strict=True)])
            else:
                short, long = (minmax([math.exp(x) for x in xs]) for xs in (short, long))
                made = softmax([a - b for a, b in zip(short, long, strict=True)])
            for k, value in zip(with_hmg, made, strict=True):
                hmg[k] = value
        if with_cam:
            towards = [samples[k][3] if mixing.direction == "alignment" else 1 - samples[k][3] for k in with_cam]
            made = percent_ranks(towards) if mixing.normalise == "robust" else softmax(towards)
            for k, value in zip(with_cam, towards if mixing.normalise == "published" else made, strict=True):
                cam[k] = value
    scores = [mixed(h, c, mixing.alpha) for h, c in zip(hmg, cam, strict=True)]
    return list(zip(hmg, cam, scores, strict=True))


def mixed(hmg, cam, alpha):
    if alpha in (0, 1):
        return hmg if alpha else cam
    return None if None in (hmg, cam) else alpha * hmg + (1 - alpha) * cam


def drawn(seed):
    """Samples with ties, missing parts and up to three scopes; values on a coarse grid."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))

    def values(low, high):
        return [None if rng.random() < 0.15 else round(float(rng.uniform(low, high)), 1) for _ in range(n)]

    scopes = [str(x) for x in rng.integers(0, int(rng.integers(1, 4)), n)]
    return list(zip(scopes, values(0, 4), values(0, 4), values(-1, 1), strict=True))


MIXINGS = [
    Mixing(alpha, normalise, direction)
    for alpha in (0.0, 0.7, 1.0) for normalise in ("robust", "official", "published") for direction in ("alignment", "difficulty")
]  # fmt: skip


def ranked(samples, mixing):
    scopes, short, long, alignment = (list(column) for column in zip(*samples, strict=True))
    return rank_samples([str(k) for k in range(len(samples))], short, long, alignment, mixing, scopes)


@pytest.mark.parametrize("mixing", MIXINGS, ids=str)
def test_ranks_are_those_of_the_slow_code(mixing):
    for seed in range(8):
        samples = drawn(seed)
        made = ranked(samples, mixing)
        for name, column in zip(("hmg", "cam", "score"), zip(*slow(samples, mixing), strict=True), strict=True):
            values = made[name].to_pylist()
            assert [x is None for x in values] == [x is None for x in column], (seed, name)
            numbers = [x for x in column if x is not None]
            assert [x for x in values if x is not None] == pytest.approx(numbers, rel=1e-12, abs=1e-15), (seed, name)
        scores = made["score"].to_pylist()
        order = sorted((k for k, x in enumerate(scores) if x is not None), key=lambda k: -scores[k])
        assert [made["rank"][k].as_py() for k in order] == list(range(1, len(order) + 1))
        assert all((rank is None) == (x is None) for rank, x in zip(made["rank"].to_pylist(), scores, strict=True))


def test_the_cases_the_slow_code_must_reach():
    samples = [sample for seed in range(8) for sample in drawn(seed)]
    assert any(a is None and b is not None for _, a, b, _ in samples)
    assert any(len(drawn(seed)) > len({sample[1:3] for sample in drawn(seed)}) for seed in range(8))
    assert any(len({sample[0] for sample in drawn(seed)}) == 3 for seed in range(8))


@pytest.mark.parametrize("normalise", ["robust", "official"])
@pytest.mark.parametrize("n", [1, 3])
def test_constant_data_is_in_the_middle(normalise, n):
    made = ranked([("", 2.0, 1.0, 0.25)] * n, Mixing(0.7, normalise))
    assert made["hmg"].to_pylist() == made["cam"].to_pylist() == [0.5 if normalise == "robust" else 1 / n] * n


def test_perplexities_beyond_floating_point_are_ranked():
    """exp overflows at 710, and the difference of 0 and 1e-20 vanishes in exp."""
    made = ranked([("", 5000.0, 1.0, 0.0), ("", 4999.0, 1.0, 0.0), ("", 1.0, 1.0, 0.0)], Mixing(1.0, "official"))
    assert made["rank"].to_pylist() == [1, 2, 3]
    small = ranked([("", 1e-20, 1.0, 0.0), ("", 0.0, 1.0, 0.0)], Mixing(1.0, "official"))
    assert small["hmg"].to_pylist() == [0.5, 0.5]


def test_a_negative_zero_is_a_zero():
    made = ranked([("", 1.0, 1.0, -0.0), ("", 1.0, 1.0, 0.0)], Mixing(0.5, "robust", "alignment"))
    assert made["cam"].to_pylist() == [0.5, 0.5]
    assert made["rank"].to_pylist() == [1, 2]
