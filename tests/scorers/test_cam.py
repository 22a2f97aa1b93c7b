"""The reductions of CAM, each against a plain definition."""

import math

import numpy as np
import pytest

from scorers import cam

SEEDS = range(60)


def two_vectors(seed):
    """Positive vectors of 2 to 8 values, rounded so that ties occur."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    return rng.integers(1, 5, n) / 2, rng.integers(1, 5, n) / 4


def slow_rank(values, value):
    """The mean of the places that equal values take in ascending order."""
    places = [place for place, other in enumerate(sorted(values), 1) if other == value]
    return sum(places) / len(places)


def slow_spearman(a, b):
    x, y = [slow_rank(a, v) for v in a], [slow_rank(b, v) for v in b]
    mean = (len(a) + 1) / 2
    top = sum((i - mean) * (j - mean) for i, j in zip(x, y, strict=True))
    under = math.sqrt(sum((i - mean) ** 2 for i in x) * sum((j - mean) ** 2 for j in y))
    return top / under if under else 0.0


def slow_divergence(p, q):
    """Half the sum of the Kullback-Leibler divergences from the mean."""
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return sum(sum(a * math.log(a / m) for a, m in zip(side, middle, strict=True) if a > 0) / 2 for side in (p, q))


@pytest.mark.parametrize("seed", SEEDS)
def test_measures_are_the_slow_ones(seed):
    a, b = two_vectors(seed)
    assert cam.spearman(a, b) == pytest.approx(slow_spearman(a, b), abs=1e-12)
    p, q = a / a.sum(), b / b.sum()
    assert cam.divergence(p, q) == pytest.approx(slow_divergence(p, q), abs=1e-12)
    cosine = sum(a * b) / math.sqrt(sum(a * a) * sum(b * b))
    assert cam.cosine(a, b) == pytest.approx(cosine, abs=1e-12)


def test_the_cases_that_seeds_must_reach():
    drawn = [two_vectors(seed) for seed in SEEDS]
    assert any(len(set(a)) < len(a) and len(set(a)) > 1 for a, _ in drawn)
    assert any(len(set(a)) == 1 for a, _ in drawn)


def test_importance_is_the_normalised_inverse_perplexity():
    nll = np.array([2.0, 3.0, 2.5])
    inverse = 1 / np.exp(nll)
    np.testing.assert_allclose(cam.importance(nll), inverse / inverse.sum(), rtol=1e-14)
    np.testing.assert_allclose(cam.importance(nll + 800), cam.importance(nll), rtol=1e-12)  # exp(803) overflows


def test_layers_count_by_their_attention_and_the_sum_is_one():
    attention = np.array([[0.1, 0.3], [0.02, 0.02]])
    np.testing.assert_allclose(cam.attended(attention), [0.12 / 0.44, 0.32 / 0.44])


def test_disjoint_and_equal_distributions():
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert cam.divergence(p, q) == pytest.approx(math.log(2))
    assert cam.divergence(p, p) == 0


def test_parts_use_the_mean_per_token_and_the_mass_where_they_say_so():
    nll, attention, tokens = np.array([1.0, 2.0, 4.0]), np.array([[0.2, 0.1, 0.1], [0.4, 0.1, 0.3]]), [4, 4, 1]
    parts = cam.parts(nll, attention, np.array(tokens))
    weight = np.exp(-nll) / np.exp(-nll).sum()
    per_token, mass = np.array([0.3, 0.1, 0.2]), np.array([1.2, 0.4, 0.2])
    assert parts["alignment"] == pytest.approx(cam.cosine(weight, per_token))
    assert parts["alignment_mass"] == pytest.approx(cam.cosine(weight, mass))
    assert parts["spearman"] == pytest.approx(0.5)
    assert parts["divergence"] == pytest.approx(slow_divergence(weight, per_token / per_token.sum()))
    assert parts["n_segments"] == 3
