"""Raw parts against the official code of GATEAU and a float64 oracle, on the reference's tiny Llama."""

from functools import cache, partial

import numpy as np
import pytest

from scorers import attention, cam, lm
from scorers.influence import InfluenceParams, ShortParams, fingerprint, load, raw_parts
from scorers.lm import ModelParams, body, nll
from scorers.rope import Rope
from scorers.weights import Weights
from tests.scorers.gateau import reference, sample_of, saved, torch

CLEAN = {each["id"]: each for each in reference("clean_oracle")["samples"]}
CAM = {each["id"]: each for each in reference("official_cam")["samples"]}
HMG = {each["id"]: each for each in reference("official_hmg")["samples"]}
WITH_CONTEXT = [name for name, each in CLEAN.items() if each["context_ids"] and each["segments"]]
ROPES = {
    "A_raw": Rope(rope_type="default", rope_theta=1e4),
    "A_pi": Rope(rope_type="linear", factor=4.0, rope_theta=1e4),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return cache(lambda variant: Weights.of(saved(variant, tmp_path_factory.mktemp(variant))))


@pytest.fixture(scope="module")
def measured(weights):
    """The raw parts of a sample of the clean oracle, with B_abf as the long-window model."""

    @cache
    def of(name, variant="A_pi"):
        params = InfluenceParams(
            model=ModelParams(weights=weights("B_abf")), short=ShortParams(rope=ROPES[variant]), segment_tokens=32,
            sink_tokens=0,
        )  # fmt: skip
        each = CLEAN[name]
        pieces = (each[f"{piece}_ids"] for piece in ("header", "context", "instruct", "response"))
        return raw_parts(load(params), sample_of(*pieces), params)

    return of


# -- the clean oracle


@pytest.mark.parametrize("variant", ROPES)
@pytest.mark.parametrize("name", CLEAN)
def test_nll_is_the_oracles(measured, name, variant):
    raw, models = measured(name, variant), CLEAN[name]["models"]
    pairs = [(raw.nll_long, "B_abf")]
    if CLEAN[name]["context_ids"]:
        pairs.append((raw.nll_short, variant))
    for values, model in pairs:
        np.testing.assert_allclose(values, models[model]["response_token_nll"], rtol=0, atol=1.5e-4)
        assert values.mean() == pytest.approx(models[model]["mean_nll"], abs=2e-5)


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_segments_are_the_oracles(measured, name):
    raw, expected = measured(name), CLEAN[name]["segments"]
    assert raw.segment_tokens.tolist() == expected["lengths"]
    np.testing.assert_allclose(raw.segment_nll.mean(1), expected["mean_nll"], rtol=0, atol=2e-5)
    assert raw.nll_no_context.mean() == pytest.approx(expected["no_context_mean_nll"], abs=2e-5)
    np.testing.assert_allclose(raw.attention, expected["attn_mean_per_layer"], rtol=0, atol=2e-7)
    np.testing.assert_allclose(raw.attention_mass, expected["attn_mass_per_layer"], rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_importance_and_alignment_are_the_oracles(measured, name):
    raw, expected = measured(name), CLEAN[name]["segments"]
    weight = cam.importance(raw.segment_nll.mean(1))
    np.testing.assert_allclose(weight, expected["importance"]["softmax_neg_nll"], rtol=2e-5)
    np.testing.assert_allclose(weight, expected["importance"]["inv_ppl"], rtol=2e-5)
    np.testing.assert_allclose(cam.attended(raw.attention), expected["attn_normalised"], rtol=0, atol=2e-6)
    parts = cam.parts(raw.segment_nll.mean(1), raw.attention, raw.segment_tokens)
    assert parts["alignment"] == pytest.approx(expected["cos"]["softmax_neg_nll"], abs=1e-5)
    ppl = np.exp(raw.segment_nll.mean(1))
    challenge = 1 - (ppl - ppl.min()) / (ppl.max() - ppl.min())
    np.testing.assert_allclose(challenge, expected["importance"]["one_minus_minmax_ppl"], rtol=0, atol=2e-4)


def test_a_response_row_is_its_own_and_not_the_predicting_one(measured):
    """The oracle has both, and they differ by more than the tolerance."""
    raw, expected = measured("s0"), CLEAN["s0"]["segments"]
    assert np.abs(raw.attention - expected["attn_mean_per_layer_predicting_rows"]).max() > 1e-4


# -- the official code: its reductions of the same parts


@pytest.mark.parametrize("variant", ["A_raw", "A_pi", "B_abf"])
def test_official_perplexity(weights, variant):
    model = lm.load(ModelParams(weights=weights(variant)))
    scored = 0
    for each in HMG.values():
        ids, expected = np.array(each["input_ids"])[None], each["ppl"][variant]
        start = max(each["start_token"], 1)
        if expected is None:
            assert start >= ids.shape[1]  # the official result is NaN: it scores no token
            continue
        values = nll(model, body(model, ids[:, :-1])[:, start - 1 :], ids[:, start:])[0]
        assert len(values) == each["n_scored"]
        assert np.exp(values.mean()) == pytest.approx(expected, rel=1e-5)
        scored += 1
    assert scored == 6


@pytest.fixture(scope="module")
def official(weights):
    """Raw parts of the official code's padded sequence: no header, 512 tokens of context and padding."""
    params = InfluenceParams(
        model=ModelParams(weights=weights("B_abf")), short=ShortParams(context_tokens=1), parts=("cam",),
        segment_tokens=32, sink_tokens=0,
    )  # fmt: skip
    pair = load(params)

    def of(each):
        pieces = each["context_ids"], each["instruct_ids"][1:], each["response_ids"][1:]  # the official code drops one
        return pair.long, raw_parts(pair, sample_of([], *pieces), params)

    return of


@pytest.mark.parametrize("name", CAM)
def test_official_segment_perplexity(official, name):
    each = CAM[name]
    model, raw = official(each)
    instruction, response = each["instruct_ids"][1:], each["response_ids"][1:]
    n_tokens = 32 + len(instruction) + len(response)
    n_full, rest = divmod(each["n_real_context_tokens"], 32)
    found = raw.segment_nll[:n_full].sum(1).tolist()
    for n_real in [rest] * bool(rest) + [0]:  # padding is masked, and positions go on behind it
        kept = each["context_ids"][n_full * 32 :][:n_real]
        ids = torch.tensor([[*kept, *instruction, *response]])
        positions = torch.tensor([[*range(n_real), *range(32, n_tokens)]])
        with torch.inference_mode():
            hidden = model.model.base_model(ids, position_ids=positions).last_hidden_state
        n = len(response)
        found.append(nll(model, hidden[:, -n - 1 : -1], ids[:, -n:].numpy())[0].sum())
    found += found[-1:] * 16
    np.testing.assert_allclose(np.exp(np.array(found[:16]) / (n_tokens - 1)), each["single_ppl"], rtol=1e-5)


@pytest.mark.parametrize("name", CAM)
def test_official_attention(official, name, monkeypatch):
    """The official softmax leaves padding out, though hidden states attend to it."""
    each = CAM[name]
    n_real, plain = each["n_real_context_tokens"], attention.span_sums

    def without_padding(rows, key, scale, edges, window=None):
        real = torch.cat([key[:, :n_real], key[:, 512:]], 1)
        return plain(rows, real, scale, np.minimum(edges, n_real).tolist(), window)

    monkeypatch.setattr(attention, "span_sums", without_padding)
    _, raw = official(each)
    expected = np.array(each["attention_score_fp16"])
    step = np.spacing(np.maximum(expected, 2.0**-14).astype(np.float16)).astype(np.float64)
    assert np.abs((raw.attention_mass / 32 - expected) / step).max() < 1.1  # rounded twice: the map, then its mean


# -- what the reference warns of


def test_dynamic_angles_are_refused(weights):
    named = ModelParams(weights=weights("A_ntk"))
    params = InfluenceParams(model=named, short=ShortParams(context_tokens=4), parts=("hmg",))
    with pytest.raises(Exception, match=r'rope_type is "dynamic".*set a static one'):
        load(params)
    with pytest.raises(ValueError, match="'dynamic' is not one of default, linear, yarn, llama3"):
        Rope(rope_type="dynamic", factor=4.0)


def test_every_setting_counts_in_the_fingerprint(weights):
    make = partial(InfluenceParams, model=ModelParams(weights=weights("B_abf")))
    short = ShortParams(rope=ROPES["A_pi"])
    variants = [
        make(short=short), make(short=ShortParams(rope=ROPES["A_raw"])), make(short=ShortParams(context_tokens=9)),
        make(short=short, segment_tokens=64), make(short=short, sink_tokens=0), make(short=short, parts=("hmg",)),
        make(short=short, max_response_tokens=5),
        InfluenceParams(model=ModelParams(weights=weights("B_abf"), window_tokens=99), short=short),
        InfluenceParams(model=ModelParams(weights=weights("A_raw")), short=short),
    ]  # fmt: skip
    assert len({fingerprint(each) for each in variants}) == len(variants)
    assert fingerprint(make(short=short, budget_tokens=1)) == fingerprint(variants[0])
