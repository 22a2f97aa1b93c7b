"""A fit finds what was planted; a calibration is read back exactly, or refused with its path."""

import json
import math

import numpy as np
import pytest

from schemas.errors import RecipeError
from scorers.chunk_gain.calibration import EDGES, Calibration, Kind, bucket, evenness, fit
from scorers.chunk_gain.overlap import FEATURES
from scorers.chunk_gain.pairs import some_pairs

SEEDS = range(12)


def pairs_at(distances):
    """One pair for each distance."""
    return np.array([(500 + d, 500) for d in distances], np.int32).reshape(-1, 2)


def slow_bucket(distance):
    return max(k for k, edge in enumerate(EDGES) if edge <= distance)


def slow_fit(pairs, gains, found):
    """Normal equations, a pair at a time; residuals collected by bucket."""
    k = found[0].shape[1]
    left, right = np.zeros((k, k)), np.zeros(k)
    rows = []
    for where, y, x in zip(pairs, gains, found, strict=True):
        for p, gain, row in zip(where.tolist(), y, x, strict=True):
            flat, level = row - sum(x) / len(x), gain - sum(y) / len(y)
            left += np.outer(flat, flat) / len(y)
            right += flat * level / len(y)
            rows.append((slow_bucket(p[0] - p[1]), 1 / len(y), flat, level))
    coefficients = np.linalg.solve(left, right)
    variance = {}
    for b in range(len(EDGES)):
        mine = [(w, (level - flat @ coefficients) ** 2) for at, w, flat, level in rows if at == b]
        if mine:
            variance[b] = sum(w * v for w, v in mine) / sum(w for w, _ in mine)
    known = [variance[min(sorted(variance), key=lambda b, at=at: abs(b - at))] for at in range(len(EDGES))]
    return coefficients, known


def drawn(seed, n_documents=8):
    """Documents of unlike size, with pairs at many distances, gains without a rule."""
    r = np.random.default_rng(seed)
    sizes = r.integers(2, 30, n_documents)
    low, high = [(1, 4), (4, 40), (4, 300), (1, 300)][seed % 4]
    pairs = [pairs_at(r.integers(low, high, n)) for n in sizes]
    return pairs, [r.normal(size=n) for n in sizes], [r.normal(size=(n, len(FEATURES))) for n in sizes]


def test_the_fit_is_the_slow_one():
    for seed in SEEDS:
        found = fit(*drawn(seed))
        coefficients, variance = slow_fit(*drawn(seed))
        np.testing.assert_allclose(found.coefficients, coefficients, rtol=1e-8, err_msg=f"{seed=}")
        np.testing.assert_allclose(found.residual_variance, variance, rtol=1e-8, err_msg=f"{seed=}")


def test_the_mean_and_the_spread_are_those_of_the_documents():
    for seed in SEEDS:
        means = [math.fsum(gains) / len(gains) for gains in drawn(seed)[1]]
        level = math.fsum(means) / len(means)
        found = fit(*drawn(seed))
        assert found.mean == pytest.approx(level, rel=1e-9)
        assert found.spread == pytest.approx(math.fsum((m - level) ** 2 for m in means) / (len(means) - 1), rel=1e-9)
    assert fit(*(column[:1] for column in drawn(0))).spread is None
    same = np.ones(5)
    assert fit([pairs_at([4] * 5)] * 2, [same, same], [np.zeros((5, 1))] * 2).spread is None


def kind_with(mean, spread):
    return Kind(coefficients=(0.0,), residual_variance=(0.0,) * len(EDGES), mean=mean, spread=spread)


def test_an_error_is_as_large_as_a_score_of_that_size_is_wrong():
    """Truths and what is seen of them, drawn; among those that look alike the mean square is what is said."""
    r = np.random.default_rng(4)
    for mean, spread, squared in ((0.2, 0.01, 0.02), (-1.0, 4.0, 1.0), (0.0, 1.0, 0.1)):
        truth = mean + np.sqrt(spread) * r.normal(size=1_000_000)
        score = truth + np.sqrt(squared) * r.normal(size=len(truth))
        scores = mean + np.sqrt(spread + squared) * np.array([-2, -1, -0.1, 1, 2])
        for one in scores:
            mine = np.abs(score - one) < 0.05 * np.sqrt(spread + squared)
            wanted = np.mean((score - truth)[mine] ** 2)
            assert kind_with(mean, spread).widened(one, squared) == pytest.approx(wanted, rel=0.1), f"{mean=} {one=}"


def test_an_error_is_as_it_was_where_documents_are_not_known_or_nothing_is_left_to_luck():
    assert kind_with(0.0, None).widened(9.0, 0.25) == 0.25
    assert kind_with(0.0, 0.5).widened(9.0, 0.0) == 0.0
    near, far = (kind_with(1.0, 0.5).widened(score, 0.25) for score in (1.0, 4.0))
    assert near < 0.25 < far


def test_planted_coefficients_and_variances_are_found():
    r = np.random.default_rng(0)
    planted = np.linspace(0.6, -0.3, len(FEATURES))
    sd = np.linspace(0.05, 0.4, len(EDGES))
    pairs, gains, found = [], [], []
    for _ in range(40):
        where = pairs_at(r.integers(1, 200, 500))
        x = r.normal(size=(500, len(FEATURES)))
        pairs.append(where)
        found.append(x)
        gains.append(r.normal() * 5 + x @ planted + r.normal(size=500) * sd[bucket(where)])
    kind = fit(pairs, gains, found)
    np.testing.assert_allclose(kind.coefficients, planted, atol=0.02)
    np.testing.assert_allclose(kind.residual_variance, sd**2, rtol=0.25)


def test_a_documents_own_level_says_nothing():
    """Features that tell documents apart, and nothing inside them, foretell no gain."""
    r = np.random.default_rng(1)
    pairs, gains, found = [], [], []
    for level in range(20):
        x = level + r.normal(size=(200, 1))
        pairs.append(pairs_at(r.integers(4, 50, 200)))
        found.append(x)
        gains.append(3.0 * level + r.normal(size=200) * 0.1)
    assert abs(fit(pairs, gains, found).coefficients[0]) < 0.02


def test_each_document_counts_alike():
    """A document of many pairs, and one of few that says the opposite: what comes out lies in the middle."""
    r = np.random.default_rng(2)
    x = [r.normal(size=(n, 1)) for n in (4_000, 400)]
    pairs = [pairs_at(np.full(len(one), 5)) for one in x]
    gains = [2.0 * x[0][:, 0], 0.0 * x[1][:, 0]]
    kind = fit(pairs, gains, x)
    assert kind.coefficients[0] == pytest.approx(1.0, abs=0.15)
    assert kind.residual_variance[slow_bucket(5)] == pytest.approx(1.0, abs=0.15)
    again = fit([pairs[0], *pairs], [gains[0], *gains], [x[0], *x])  # once more in full: now it counts twice
    assert again.coefficients[0] == pytest.approx(4 / 3, abs=0.15)


def test_a_distance_without_pairs_takes_the_nearest_known_bucket():
    r = np.random.default_rng(3)
    where = pairs_at([6] * 50 + [32] * 50)
    x = r.normal(size=(100, 1))
    gains = np.concatenate([r.normal(size=50), r.normal(size=50) * 10])
    found = fit([where], [gains], [x]).residual_variance
    small, large = found[slow_bucket(6)], found[slow_bucket(32)]
    assert large > 10 * small
    a, b = slow_bucket(6), slow_bucket(32)
    wanted = [small if abs(at - a) <= abs(at - b) else large for at in range(len(EDGES))]
    assert list(found) == wanted
    assert len(found) == len(EDGES)


def test_the_edges_are_those_of_the_files():
    """A calibration says nothing of them: other ones would read its variances as those of other distances."""
    assert EDGES == (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)


def test_a_bucket_begins_at_its_edge():
    distances = np.arange(1, 300)
    assert bucket(pairs_at(distances)).tolist() == [slow_bucket(d) for d in distances]
    kind = Kind(coefficients=(0.0,), residual_variance=tuple(float(k) for k in range(len(EDGES))))
    assert kind.variance(pairs_at([1, 2, 3, 4, 5, 6, 127, 128, 9_999])).tolist() == [0, 1, 2, 3, 3, 4, 10, 11, 11]


# -- the file


def calibration(seed=0):
    r = np.random.default_rng(seed)
    kinds = [
        Kind(
            coefficients=tuple(float(v) for v in r.normal(size=len(FEATURES)) * 10.0 ** r.integers(-20, 20)),
            residual_variance=tuple(float(v) for v in r.random(len(EDGES))),
            mean=float(r.normal()),
            spread=float(r.random()) + 0.1,
        )
        for _ in range(2)
    ]
    return Calibration(
        model="a model", weights="ab" * 16, chunk_tokens=128, n_documents=32, n_pairs=1234, near=kinds[0], far=kinds[1]
    )


def test_what_is_written_is_read_back_exactly(tmp_path):
    for seed in SEEDS:
        (tmp_path / "c.json").write_text(calibration(seed).text())
        back = Calibration.read(tmp_path / "c.json")
        assert back == calibration(seed)
        assert back.text() == calibration(seed).text()
        assert back.near != back.far
    assert calibration().text().endswith("}\n")


def changed(**changes):
    values = json.loads(calibration().text())
    return json.dumps({k: v for k, v in {**values, **changes}.items() if v is not None})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", calibration().text()[:-30], changed(far=None), changed(chunk_tokens="many"), changed(extra=1)],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"c\.json: not a calibration .*longmix calibrate") as caught:
        Calibration.read(path)
    assert str(path) in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(RecipeError, match=r"c\.json"):
        Calibration.read(tmp_path / "c.json")


def test_what_is_not_there_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(RecipeError, match=r"can't be read .*longmix calibrate") as caught:
            Calibration.read(path)
        assert str(path) in str(caught.value)


def kind_of(n_coefficients, n_variances, value=0.5):
    return {"coefficients": [0.1] * n_coefficients, "residual_variance": [value] * n_variances}


@pytest.mark.parametrize(
    "far",
    [
        kind_of(len(FEATURES) - 1, len(EDGES)),
        kind_of(len(FEATURES) + 1, len(EDGES)),
        kind_of(len(FEATURES), len(EDGES) - 1),
        kind_of(len(FEATURES), len(EDGES), -1.0),
        kind_of(len(FEATURES), len(EDGES), float("nan")),
        kind_of(len(FEATURES), len(EDGES)) | {"spread": 0.0},
        kind_of(len(FEATURES), len(EDGES)) | {"mean": float("inf")},
    ],
    ids=[
        "fewer coefficients",
        "more coefficients",
        "fewer variances",
        "a negative variance",
        "no number",
        "no spread",
        "an endless mean",
    ],
)
def test_a_calibration_of_other_features_is_refused(tmp_path, far):
    """Else it is found out in the middle of a build, or not at all."""
    (tmp_path / "c.json").write_text(changed(far=far))
    with pytest.raises(RecipeError, match=r"c\.json"):
        Calibration.read(tmp_path / "c.json")


def pool_of(rows_matter: float, n_documents: int = 12, s: int = 30):
    """All far pairs of documents whose gains are noise and, as far as `rows_matter`, a term of the target's own."""
    rng = np.random.default_rng(5)
    places = some_pairs(s, "", 4, s, 10**6)
    gains = [rng.normal(size=len(places)) + rows_matter * rng.normal(size=s)[places[:, 0]] for _ in range(n_documents)]
    nothing = [np.zeros((len(places), len(FEATURES)))] * n_documents
    return [places] * n_documents, gains, nothing, fit([places] * n_documents, gains, nothing)


def test_pairs_that_are_spread_evenly_are_worth_more_where_rows_differ():
    assert evenness(*pool_of(0), 4, 30) < 0.05
    assert 0.1 < evenness(*pool_of(1), 4, 30) < evenness(*pool_of(3), 4, 30) < 1
