"""LDS against the original's values, against slow code that is plainly right, and against the model in float64."""

import gzip
import json
import math
import random
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from scorers import prolong
from scorers.lm import LM, ModelParams, load
from scorers.prolong import PARTS, ProLongParams, dependency, drawn_pairs, kept_chunks, score, scores
from scorers.weights import Weights

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

REFERENCE = Path(__file__).parents[1] / "reference" / "prolong"
EDGE_CASES = json.loads((REFERENCE / "edge_cases.json").read_text())
DOCS = {
    name: np.array(ids) for name, ids in json.loads(gzip.decompress((REFERENCE / "docs.json.gz").read_bytes())).items()
}
CONFIGS = {
    "c32_all": ProLongParams(chunk_size=32, window_size=4096, sample_size=-1),
    "c32_T500": ProLongParams(chunk_size=32, window_size=4096, sample_size=500),
    "c128_all": ProLongParams(sample_size=-1),
    "c128_T500": ProLongParams(sample_size=500),
}
FILES = ("opt_random_4.36", "opt_trained_4.36", "opt_trained_5.23")
DSP_ATOL = {"opt_random": 5e-4, "opt_trained": 1e-5}  # the softmax is over perplexities as they are: 700 and 10
LDS_RTOL = {"opt_random": 1e-4, "opt_trained": 1e-5}
MAY_FLIP = {("opt_random", "c32_all", "story"), ("opt_trained", "c32_all", "code")}
WITH_ONE_MODEL = {"code", "long_story"}  # all pairs of these are two thirds of all; those of the second model add none
SEEDS = range(300)


@cache
def reference(file: str) -> dict[tuple[str, str], dict]:
    """Results by (config, document), with arrays for lists."""
    results = json.loads(gzip.decompress((REFERENCE / f"ref_{file}_fp32.json.gz").read_bytes()))["results"]
    for r in results:
        n = r["n_segments"]
        r["pairs"] = drawn_pairs(n, -1, random.Random()) if isinstance(r["pairs"], str) else np.array(r["pairs"])
        r["pairs"] = r["pairs"].reshape(-1, 2)
        for key in ("single_ppl", "pair_ppl", "delta_ppl_relative", "dsp"):
            r[key] = np.array(r[key], np.float64)
    return {(r["config"], r["doc"]): r for r in results}


@pytest.fixture(scope="session")
def opt_random(tmp_path_factory) -> Path:
    """Built by the recipe: each weight from a generator seeded with its name."""
    config = transformers.AutoConfig.from_pretrained(REFERENCE / "model_opt_trained")
    model = transformers.AutoModelForCausalLM.from_config(config)
    state = model.state_dict()
    for name, shape in json.loads((REFERENCE / "opt_param_shapes.json").read_text()):
        assert list(state[name].shape) == shape, name
        normal = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape) * 0.12
        value = np.zeros(shape) if name.endswith(".bias") else normal
        state[name].copy_(torch.as_tensor(np.ones(shape) if name.endswith("layer_norm.weight") else value))
    folder = tmp_path_factory.mktemp("opt_random")
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def folders(opt_random) -> dict[str, Path]:
    return {"opt_random": opt_random, "opt_trained": REFERENCE / "model_opt_trained"}


@pytest.fixture(scope="session")
def models(folders) -> dict[str, LM]:
    return {name: load(ModelParams(weights=Weights.of(folder), block=64)) for name, folder in folders.items()}


@pytest.fixture(scope="session")
def measured(models):
    """The scores of the documents, once for a model and a configuration."""

    @cache
    def of(model: str, config: str):
        left_out = WITH_ONE_MODEL if (model, config[-3:]) == ("opt_random", "all") else set()
        ids = {name: ids for name, ids in DOCS.items() if name not in left_out}
        return dict(zip(ids, scores(models[model], ids.values(), CONFIGS[config]), strict=True))

    return of


# -- aggregation


def slow_lds(single, pair_of: dict, chunk_num: int, threshold: float) -> tuple[float, list[float], int]:
    """A row at a time, a pair at a time. pair_of: {(i, j): perplexity}."""
    lds, dsp, n_counted = 0.0, [], 0
    for i, alone in enumerate(single):
        row = {j: pair_of[i, j] for j in range(i) if pair_of.get((i, j), math.inf) != math.inf}
        drops = [alone - after for after in row.values()]
        if len(drops) < 2:
            factor = float(len(drops))
        elif any(math.isnan(d) or math.isinf(d) for d in drops):
            factor = math.nan
        else:
            powers = [math.exp(d - max(drops)) for d in drops]
            q = [p / math.fsum(powers) for p in powers]
            if 0 in q:
                q = [x + 1e-12 for x in q]
                q = [x / math.fsum(q) for x in q]
            most = math.log(len(q))
            factor = min(max((most + math.fsum(x * math.log(x) for x in q)) / most, 0.0), 1.0)
        dsp.append(factor)
        for j, after in row.items():
            share = math.nan if math.isinf(alone) else (alone - after) / alone
            if share > threshold:
                n_counted += 1
                lds += (share + min(max((i - j) / (chunk_num - 1), 0.0), 1.0)) * factor
    return lds, dsp, n_counted


def drawn_case(seed: int):
    """Perplexities of a few chunks and of some of their pairs, in any order, with values that overflowed."""
    r = np.random.default_rng(seed)
    s = int(r.integers(0, 9))
    single = r.uniform(1, 10.0 ** r.integers(1, 4), s)
    pairs = [(i, j) for i in range(s) for j in range(i) if r.random() < r.choice([0.3, 0.7, 1.0])]
    pair_of = {(i, j): float(single[i] * r.uniform(0.5, 1.2)) for i, j in pairs}
    for key in pairs:
        if r.random() < 0.05:
            pair_of[key] = r.choice([math.inf, math.nan])
    if r.random() < 0.1 and s > 1:
        single[r.integers(1, s)] = r.choice([math.inf, math.nan])
    if r.random() < 0.1:
        pair_of = {(i, j): float(single[i]) for i, j in pairs}  # rows without any difference
    if seed % 2:
        pair_of = dict(sorted(pair_of.items(), key=lambda _: r.random()))
    return single, pair_of, int(r.integers(2, 12)), float(r.choice([0.1, 0.0, 0.3, -100.0]))


def fast(single, pair_of: dict, chunk_num: int, threshold: float) -> prolong.Dependency:
    return dependency(np.array(single), np.array(list(pair_of.values())), np.array(list(pair_of)), chunk_num, threshold)


def test_dependency_is_the_slow_one():
    for seed in SEEDS:
        single, pair_of, chunk_num, threshold = drawn_case(seed)
        lds, dsp, n_counted = slow_lds(single, pair_of, chunk_num, threshold)
        found = fast(single, pair_of, chunk_num, threshold)
        np.testing.assert_allclose(found.lds, lds, 1e-12, 1e-14, err_msg=f"{seed=}")
        np.testing.assert_allclose(found.dsp, dsp, 1e-12, 1e-14, err_msg=f"{seed=}")
        np.testing.assert_allclose(found.dst_sum + found.ddi_sum, found.lds, 1e-12, 1e-14, err_msg=f"{seed=}")
        assert found.counted.sum() == n_counted, f"{seed=}"
        assert not (found.dsp < 0).any(), f"{seed=}"  # not by a last digit either
        assert len(found.n_contexts) == len(single), f"{seed=}"
        assert found.n_contexts.sum() == len(found.pairs) == sum(x != math.inf for x in pair_of.values()), f"{seed=}"


def test_the_cases_the_oracle_must_reach():
    drawn = [drawn_case(seed) for seed in SEEDS]
    found = [fast(*case) for case in drawn]
    assert any(len(single) == 0 for single, *_ in drawn)
    assert any(math.isinf(x) for _, pair_of, *_ in drawn for x in pair_of.values())
    assert any(np.isinf(single).any() for single, *_ in drawn)
    assert any(np.isnan(f.lds) for f in found)  # a counted pair in a row that holds a NaN
    assert any(np.isnan(f.dsp).any() and f.lds > 0 for f in found)  # and a row of NaN that spoils nothing
    assert {0, 1, 2} <= {int(n) for f in found for n in f.n_contexts[1:]}
    assert any(((f.ddi == 1) & f.counted).any() for f in found)  # further apart than the window is long
    assert any((f.counted & (f.dst < 0)).any() for f in found)
    assert any((np.diff(np.array(list(p))[:, 0]) < 0).any() for _, p, *_ in drawn if p)


@pytest.mark.parametrize("case", EDGE_CASES["aggregation"], ids=lambda case: case["name"])
def test_corner_rules_are_the_originals(case):
    single = [float(x) for x in case["single_ppl"]]
    pair_of = {(i, j): float(ppl) for i, j, ppl in case["pairs"]}
    if "error" in case["out"]:
        with pytest.raises(ZeroDivisionError):
            fast(single, pair_of, case["chunk_num"], case["threshold"])
        return
    found = fast(single, pair_of, case["chunk_num"], case["threshold"])
    np.testing.assert_allclose(found.lds, case["out"]["lds"], 1e-12, 1e-15)
    np.testing.assert_allclose(found.dsp, case["out"]["dsp"], 1e-12, 1e-15)


@pytest.mark.parametrize("file", FILES)
def test_the_originals_perplexities_give_its_scores(file):
    for (config, name), r in reference(file).items():
        found = dependency(r["single_ppl"], r["pair_ppl"], r["pairs"], r["chunk_num"], 0.1)
        assert found.lds == pytest.approx(r["lds"], rel=1e-12, abs=0), (config, name)
        np.testing.assert_allclose(found.dst, r["delta_ppl_relative"], 1e-12, 1e-15)
        np.testing.assert_allclose(found.dsp, r["dsp"], 1e-12, 1e-14)
        assert found.counted.sum() == r["n_above_threshold"]


# -- chunks and pairs


@pytest.mark.parametrize("case", EDGE_CASES["pair_sampling"], ids=lambda c: f"{c['n_segments']} {c['sample_size']}")
def test_pairs_are_the_originals_draw(case):
    pairs = drawn_pairs(case["n_segments"], case["sample_size"], random.Random(case["seed"]))
    assert pairs[:20].tolist() == case["first_20"]
    assert pairs[-5:].tolist() == case["last_5"]
    assert pairs.sum(axis=0).tolist() == [case["sum_i"], case["sum_j"]]


def test_pairs_are_a_draw_from_the_list_of_all():
    for seed in SEEDS:
        n, size = seed % 23, [-1, 0, 1, 7, 40][seed % 5]
        every = [(i, j) for i in range(n) for j in range(i)]
        slow, quick = random.Random(seed), random.Random(seed)
        wanted = every if size <= 0 else slow.sample(every, size) if len(every) >= size else None
        found = drawn_pairs(n, size, quick)
        assert wanted is None if found is None else [tuple(pair) for pair in found.tolist()] == wanted, f"{seed=}"
        assert slow.random() == quick.random(), f"{seed=}"  # and the next draw is the same


@pytest.mark.parametrize("case", EDGE_CASES["segmentation"][:-1], ids=lambda case: case["name"])
def test_chunks_are_the_originals(case):
    params = ProLongParams(
        sample_size=-1, chunk_size=case["chunk_size"], window_size=case["chunk_size"] * case["chunk_num"] + 1
    )
    kept = kept_chunks(case["n_tokens"], params, random.Random(case["seed"]))
    assert (kept * case["chunk_size"]).tolist() == case["first_token_of_each_segment"]


def test_the_settings_are_the_originals():
    params = ProLongParams(sample_size=500)
    wanted = {
        "kind": "prolong",
        "sample_size": 500,
        "chunk_size": 128,
        "window_size": 32768,
        "threshold": 0.1,
        "seed": 11,
    }
    assert params.model_dump() == wanted
    assert params.chunk_num == 256
    assert ProLongParams(sample_size=500, window_size=255).chunk_num == 1


def test_a_document_that_fits_draws_no_chunks():
    params = ProLongParams(sample_size=-1, chunk_size=2, window_size=8)
    stream = random.Random(3)
    assert kept_chunks(9, params, stream).tolist() == [0, 1, 2, 3]
    assert stream.random() == random.Random(3).random()


# -- with a model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "config"), sorted({(file, config) for file in FILES for config, _ in reference(file)})
)
def test_scores_are_the_originals(file, config, measured):
    model = file.rpartition("_")[0]
    for (its_config, name), r in reference(file).items():
        if its_config != config or name not in measured(model, config):
            continue
        found, where = measured(model, config)[name], f"{file} {config} {name}"
        assert found.chunks.tolist() == (r["segment_indices"] or list(range(r["n_segments"]))), where
        if not len(r["pair_ppl"]):
            assert (found.status, found.original, r["lds"]) == ("too_short", 0, 0), where
            continue
        assert found.status == "scored", where
        assert found.pairs.tolist() == r["pairs"].tolist(), where
        touched = np.unique(found.pairs)
        assert np.isnan(np.delete(found.single_ppl, touched)).all(), where
        for wanted in filter(None, (r, r.get("oracle_fp64"))):
            single, pair, dsp = (np.array(wanted[key]) for key in ("single_ppl", "pair_ppl", "dsp"))
            np.testing.assert_allclose(found.pair_ppl, pair, 5e-6, err_msg=where)
            np.testing.assert_allclose(found.single_ppl[touched], single[touched], 5e-6, err_msg=where)
            np.testing.assert_allclose(found.dependency.dsp, dsp, 0, DSP_ATOL[model], err_msg=where)
            np.testing.assert_allclose(found.original, wanted["lds"], LDS_RTOL[model], err_msg=where)
        flipped = (found.dependency.counted != (r["delta_ppl_relative"] > 0.1)).sum()
        assert flipped <= ((model, config, name) in MAY_FLIP), where


def test_the_reference_reaches_what_it_must():
    every = [(file, key, r) for file in FILES for key, r in reference(file).items()]
    assert len(every) == 28 + 28 + 10
    assert {config for _, (config, _), _ in every} == set(CONFIGS)
    assert any(r["segment_indices"] for *_, r in every)
    assert sum(r["lds"] > 0 for *_, r in every) > 25


@pytest.fixture(scope="session")
def in_float64(folders):
    """Perplexity of tokens 2.. of the last chunk: one pass each, all logits, no cache."""

    @cache
    def exact(model: str):
        return transformers.AutoModelForCausalLM.from_pretrained(folders[model], dtype=torch.float64).eval()

    def perplexity(model: str, *chunks: np.ndarray) -> float:
        ids = torch.as_tensor(np.concatenate(chunks))
        with torch.no_grad():
            log_p = exact(model)(ids[None]).logits[0].log_softmax(-1)
        places = range(len(ids) - len(chunks[-1]), len(ids) - 1)
        return math.exp(-math.fsum(float(log_p[t, ids[t + 1]]) for t in places) / len(places))

    return perplexity


@pytest.mark.parametrize("model", ["opt_random", "opt_trained"])
def test_scores_are_those_of_the_model_in_float64(model, models, in_float64):
    params = ProLongParams(chunk_size=16, window_size=16 * 9, sample_size=20, threshold=0.02)
    stream, total = random.Random(params.seed), 0
    for ids, found in zip(DOCS.values(), scores(models[model], DOCS.values(), params), strict=True):
        n = len(ids) // 16
        kept = sorted(stream.sample(range(n), 9)) if n > 9 else list(range(n))
        pairs = sorted(stream.sample([(i, j) for i in range(len(kept)) for j in range(i)], 20))
        chunks = [ids[16 * place : 16 * place + 16] for place in kept]
        single = [in_float64(model, chunk) for chunk in chunks]
        pair_of = {(i, j): in_float64(model, chunks[j], chunks[i]) for i, j in pairs}
        lds, dsp, n_counted = slow_lds(single, pair_of, 9, 0.02)
        assert found.original == found.parts["lds"] == pytest.approx(lds, rel=LDS_RTOL[model])
        assert found.parts["n_counted"] == n_counted
        total += n_counted
        np.testing.assert_allclose(found.pair_ppl, list(pair_of.values()), 5e-6)
        np.testing.assert_allclose(found.dependency.dsp, dsp, 0, DSP_ATOL[model])
    assert total > 10


def test_what_the_original_calls_0_has_a_status(models):
    lm = models["opt_trained"]
    some = ProLongParams(chunk_size=32, window_size=4096, sample_size=500)
    every = ProLongParams(chunk_size=32, window_size=4096, sample_size=-1)
    one = ProLongParams(chunk_size=32, window_size=63, sample_size=-1)
    for params, n_tokens, status, reason in (
        (some, 32 * 32 + 31, "too_short", "496 pairs of chunks, 500 wanted"),
        (every, 63, "too_short", "1 full chunks of 32 tokens, two wanted"),
        (every, 0, "too_short", "0 full chunks of 32 tokens, two wanted"),
        (one, 64, "error", "a window of 63 tokens is one chunk: there is no distance"),
    ):
        found = score(lm, DOCS["story"][:n_tokens], params, random.Random(11))
        assert (found.status, found.reason, found.original) == (status, reason, 0)
        assert {name for name in PARTS if found.parts[name] is not None} == {"n_chunks", "n_pairs"}
        assert found.dependency is None
    found = score(lm, DOCS["story"][:64], every, random.Random(11))
    assert (found.status, found.reason, tuple(found.parts)) == ("scored", None, PARTS)
    assert found.parts["n_pairs"] == 1


def test_the_parts_are_those_of_the_dependency_and_a_chunk_that_no_pair_has_is_not_read(models):
    params = ProLongParams(chunk_size=16, window_size=16 * 8, sample_size=3, threshold=-1.0)
    found = score(models["opt_trained"], DOCS["story"][: 16 * 8], params, random.Random(11))
    rows = np.unique(found.pairs[:, 0])
    assert found.parts == {
        "lds": found.dependency.lds,
        "dst": found.dependency.dst_sum,
        "ddi": found.dependency.ddi_sum,
        "dsp": pytest.approx(found.dependency.dsp[rows].mean()),
        "n_chunks": 8,
        "n_pairs": 3,
        "n_counted": 3,
    }
    assert 0 < found.parts["dsp"] != found.dependency.dsp.mean()
    assert np.flatnonzero(~np.isnan(found.single_ppl)).tolist() == np.unique(found.pairs).tolist() != list(range(8))


def test_a_perplexity_that_is_no_number_is_an_error(models, monkeypatch):
    single, pair = np.array([20.0, 30.0, 30.0]), np.array([20.0, 20.0, math.nan])
    monkeypatch.setattr(prolong, "perplexities", lambda *_: (single, pair))
    params = ProLongParams(chunk_size=32, window_size=4096, sample_size=-1)
    found = score(models["opt_trained"], DOCS["story"][:96], params, random.Random(11))
    assert (found.status, found.original, found.parts["lds"]) == ("error", 0, None)
    pair[1] = 40.0  # no pair of the row counts now, and the row is left out
    found = score(models["opt_trained"], DOCS["story"][:96], params, random.Random(11))
    assert (found.status, found.parts["n_counted"]) == ("scored", 1)


def test_a_document_without_a_draw_leaves_the_next_ones_alone(models):
    params = CONFIGS["c32_T500"]
    story, short = DOCS["story"], DOCS["short"]
    first, _, third = scores(models["opt_trained"], [story, short, story], params)
    plain = list(scores(models["opt_trained"], [story, story], params))
    assert first.original == plain[0].original
    assert third.original == plain[1].original != plain[0].original  # the same text, further on in the stream
