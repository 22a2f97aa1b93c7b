"""Raw parts of small models: a slow oracle, what a value depends on, and samples that lack something."""

from dataclasses import fields
from functools import cache

import numpy as np
import pytest

from schemas.errors import RecipeError, StageError
from scorers import cam, hmg, influence, lm
from scorers.influence import InfluenceParams, ShortParams, cost, load, raw_parts
from scorers.lm import ModelParams
from scorers.rope import Rope
from scorers.weights import Weights
from tests.scorers.gateau import sample_of
from tests.scorers.small_models import SIZES, VOCAB, saved, torch, transformers

WINDOW, SEGMENT, SINK = 64, 10, 3
SHORT = ShortParams(context_tokens=8)
ARRAYS = (
    "nll_long", "nll_short", "nll_no_context", "nll_alone", "segment_nll", "attention", "attention_mass", "segment_tokens",
)  # fmt: skip


def config(**changes):
    return transformers.LlamaConfig(**SIZES | {"num_key_value_heads": 2} | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return cache(
        lambda name="a", **changes: with_tokenizer(saved(config(**changes), tmp_path_factory.mktemp(name)), name)
    )


def with_tokenizer(path, name):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = {"a": 0, "b": 1} if name != "other" else {"b": 0, "a": 1}
    tokenizer = Tokenizer(WordLevel(words, unk_token="a"))
    tokenizer.add_special_tokens([f"<{name}>"])  # added tokens may differ
    tokenizer.save(str(path / "tokenizer.json"))
    return path


@pytest.fixture
def params(folder):
    def of(short=SHORT, block=0, **changes):
        model = ModelParams(weights=Weights.of(folder()), block=block)
        return InfluenceParams(
            **{"model": model, "short": short, "segment_tokens": SEGMENT, "sink_tokens": SINK} | changes
        )

    return of


def pieces(n_header=3, n_context=25, n_instruction=4, n_response=6, seed=0):
    rng = np.random.default_rng([seed, n_header, n_context, n_instruction, n_response])
    return [rng.integers(0, VOCAB, n).astype(np.int32) for n in (n_header, n_context, n_instruction, n_response)]


def measured(params, *cut):
    return raw_parts(load(params), sample_of(*cut), params)


def assert_same(one, other):
    for each in fields(one):
        a, b = getattr(one, each.name), getattr(other, each.name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, each.name


@pytest.fixture(scope="module")
def slow(folder):
    """nll of the last n tokens and the maps [L, t, t], by eager float64."""

    def of(name, n, *cut):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder(name), dtype=torch.float64, attn_implementation="eager"
        ).eval()
        ids = np.concatenate(cut)
        with torch.no_grad():
            out = model(torch.tensor(ids)[None].long(), output_attentions=True)
        log = out.logits[0].log_softmax(-1).numpy()
        nll = [-log[t - 1, ids[t]] for t in range(len(ids) - n, len(ids))]
        return np.array(nll), np.stack([each[0].mean(0).numpy() for each in out.attentions])

    return of


# -- values


@pytest.mark.parametrize("block", [0, 3])
@pytest.mark.parametrize("n_context", [20, 25, 31])  # whole segments, a shorter last one, a last one of one token
def test_raw_parts_are_the_slow_ones(params, slow, n_context, block):
    header, context, instruction, response = pieces(n_context=n_context)
    raw, n = measured(params(block=block), header, context, instruction, response), len(response)
    long, maps = slow("a", n, header, context, instruction, response)
    expected = {
        "nll_long": long,
        "nll_short": slow("a", n, header, context[-8:], instruction, response)[0],
        "nll_no_context": slow("a", n, header, instruction, response)[0],
        "nll_alone": slow("a", n, header, response)[0],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(raw, name), values, rtol=0, atol=2e-5, err_msg=name)
    cuts = [(start, min(start + SEGMENT, n_context)) for start in range(0, n_context, SEGMENT)]
    for (start, stop), values in zip(cuts, raw.segment_nll, strict=True):
        np.testing.assert_allclose(
            values, slow("a", n, header, context[start:stop], instruction, response)[0], rtol=0, atol=2e-5
        )
    rows = maps[:, -n:].mean(1)
    spans = [(3 + max(start, SINK), 3 + stop) for start, stop in cuts]
    assert raw.segment_tokens.tolist() == [stop - start for start, stop in spans]
    np.testing.assert_allclose(raw.attention_mass, [[row[a:b].sum() for a, b in spans] for row in rows], atol=2e-6)
    np.testing.assert_allclose(raw.attention, [[row[a:b].mean() for a, b in spans] for row in rows], atol=2e-6)
    assert (raw.status, raw.cam_status, raw.is_cut, raw.context_tokens) == ("scored", "scored", False, n_context)


def test_another_model_is_compared_over_the_tokens_that_both_have(params, folder, slow):
    other = folder("b", vocab_size=VOCAB + 7, rope_theta=500.0)
    cut = pieces()
    raw = measured(params(ShortParams(weights=Weights.of(other))), *cut)
    ids, n = np.concatenate(cut), len(cut[-1])
    model = transformers.AutoModelForCausalLM.from_pretrained(other, dtype=torch.float64).eval()
    with torch.no_grad():
        log = model(torch.tensor(ids)[None].long()).logits[0, :, :VOCAB].log_softmax(-1).numpy()
    expected = [-log[t - 1, ids[t]] for t in range(len(ids) - n, len(ids))]
    np.testing.assert_allclose(raw.nll_short, expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(raw.nll_long, slow("a", n, *cut)[0], rtol=0, atol=2e-5)
    long_is_larger = InfluenceParams(
        model=ModelParams(weights=Weights.of(other)), short=ShortParams(weights=Weights.of(folder())), parts=("hmg",)
    )
    np.testing.assert_allclose(measured(long_is_larger, *cut).nll_long, expected, rtol=0, atol=2e-5)


def test_a_rope_override_is_that_model_loaded_with_it(params, folder):
    rope = {"rope_type": "linear", "factor": 3.0, "rope_theta": 10_000.0}
    cut = pieces()
    overridden = measured(params(ShortParams(rope=Rope(rope_type="linear", factor=3.0))), *cut)
    whole = InfluenceParams(
        model=ModelParams(weights=Weights.of(folder("c", rope_parameters=Frozen(rope)))), short=SHORT, parts=("hmg",)
    )
    np.testing.assert_allclose(overridden.nll_short, measured(whole, *cut).nll_long, rtol=0, atol=1e-5)
    assert np.abs(overridden.nll_short - overridden.nll_long).max() > 1e-2
    assert_same_long(overridden, measured(params(), *cut))
    yarn = params(ShortParams(rope=Rope(rope_type="yarn", factor=2.0)))
    assert np.isfinite(measured(yarn, *cut).nll_short).all()


class Frozen(dict):
    def __hash__(self):
        return id(self)


def assert_same_long(one, other):
    for name in ("nll_long", "segment_nll", "attention", "nll_alone"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_another_model_and_its_rope(params, folder):
    both = params(ShortParams(weights=Weights.of(folder("b2")), rope=Rope(rope_type="linear", factor=2.0)))
    alone = params(ShortParams(rope=Rope(rope_type="linear", factor=2.0)))
    cut = pieces()  # the folders hold the same weights
    assert np.array_equal(measured(both, *cut).nll_short, measured(alone, *cut).nll_short)


# -- what a value depends on


@pytest.mark.parametrize("block", [0, 4])
def test_order_and_what_was_read_before_change_no_bit(params, block):
    samples = [pieces(n_context=n, n_response=r, seed=n) for n, r in ((25, 6), (49, 3), (0, 5), (12, 1), (70, 9))]
    settings = [params(block=block), params(ShortParams(rope=Rope(rope_type="yarn", factor=2.0)), block=block)]
    for each in settings:
        first = [measured(each, *cut) for cut in samples]
        for place in (3, 0, 4, 2, 1, 0):
            assert_same(measured(each, *samples[place]), first[place])


def test_cost_is_what_is_forwarded(params, folder, monkeypatch):
    forwarded, plain = [], lm.body

    def counted(model, ids, past=None):
        forwarded.append(ids.size)
        return plain(model, ids, past)

    monkeypatch.setattr(lm, "body", counted)
    monkeypatch.setattr("scorers.attention.body", counted)
    pairs = [SHORT, ShortParams(context_tokens=40), ShortParams(weights=Weights.of(folder("b")))]
    cuts = [pieces(n_context=n, n_instruction=i) for n in (0, 5, 10, 25, 70) for i in (0, 4)] + [pieces(n_response=80)]
    for each in [params(short, parts=parts) for short in pairs for parts in (("hmg",), ("cam",), ("hmg", "cam"))]:
        pair = load(each)
        for cut in cuts:
            forwarded.clear()
            raw = raw_parts(pair, sample_of(*cut), each)
            assert sum(forwarded) == raw.model_tokens == cost(sample_of(*cut), each)


def test_cost_counts_each_text_once(params):
    """Passes of 38, 20, 12, 8, 22, 22 and 17 tokens; what the short window holds whole is no pass of its own."""
    sample = sample_of(*pieces())
    assert cost(sample, params()) == 139
    assert [cost(sample, params(ShortParams(context_tokens=n))) for n in (24, 25, 26)] == [139 + 16, 119, 119]
    assert cost(sample_of(*pieces(n_context=0)), params()) == 12 + 8
    assert cost(sample_of(*pieces(n_context=0, n_instruction=0)), params()) == 8


# -- samples that lack something


def test_a_context_that_does_not_fit_is_cut_at_its_end_for_every_pass(params):
    header, context, instruction, response = pieces(n_context=90)
    raw = measured(params(), header, context, instruction, response)
    n_kept = WINDOW - 3 - 4 - 6
    assert (raw.is_cut, raw.context_tokens) == (True, n_kept)
    kept = measured(params(), header, context[:n_kept], instruction, response)
    assert not kept.is_cut
    for name in ARRAYS:
        assert np.array_equal(getattr(raw, name), getattr(kept, name)), name


def test_the_smaller_window_cuts_where_its_model_reads_the_long_text(params, folder):
    weights = Weights.of(folder("small", max_position_embeddings=40))
    cut = pieces(n_context=90)
    by_pair = measured(params(ShortParams(weights=weights)), *cut)
    assert (by_pair.context_tokens, by_pair.is_cut) == (40 - 13, True)
    stretched = params(ShortParams(weights=weights, rope=Rope(rope_type="linear", factor=1.5)))
    assert measured(stretched, *cut).context_tokens == 60 - 13
    assert measured(params(ShortParams(weights=weights), parts=("cam",)), *cut).context_tokens == WINDOW - 13


def test_no_context(params):
    raw = measured(params(), *pieces(n_context=0))
    assert (raw.status, raw.reason, raw.cam_status, raw.cam_reason) == ("too_short", "no context") * 2
    assert np.array_equal(raw.nll_long, raw.nll_no_context)
    parts = hmg.parts(raw)
    assert parts["nll_gain"] is None
    assert parts["ifd"] > 0
    assert parts["context_tokens"] == 0


@pytest.mark.parametrize("n_context", [1, SEGMENT])
def test_one_segment_has_no_alignment(params, n_context):
    raw = measured(params(), *pieces(n_context=n_context))
    assert (raw.status, raw.cam_status, raw.cam_reason) == ("scored", "too_short", "one segment")
    assert raw.segment_nll.size == raw.attention.size == 0
    two = measured(params(), *pieces(n_context=SEGMENT + 1))
    assert (two.cam_status, len(two.segment_nll)) == ("scored", 2)


def test_a_context_within_the_short_window_has_no_gain(params):
    raw = measured(params(ShortParams(context_tokens=25)), *pieces(n_context=25))
    assert hmg.parts(raw)["nll_gain"] == 0
    assert hmg.parts(measured(params(ShortParams(context_tokens=24)), *pieces(n_context=25)))["nll_gain"] != 0


def test_a_response_of_one_token(params, slow):
    cut = pieces(n_response=1)
    raw = measured(params(), *cut)
    assert (raw.status, raw.cam_status) == ("scored", "scored")
    assert raw.nll_long == pytest.approx(slow("a", 1, *cut)[0], abs=2e-5)
    assert raw.segment_nll.shape == (3, 1)
    parts = cam.parts(raw.segment_nll.mean(1), raw.attention, raw.segment_tokens)
    assert np.isfinite(list(parts.values())).all()


def test_a_long_response_is_read_in_part(params):
    header, context, instruction, response = pieces(n_response=9)
    raw = measured(params(max_response_tokens=4), header, context, instruction, response)
    assert_same(raw, measured(params(), header, context, instruction, response[:4]))


@pytest.mark.parametrize("n_response", [57, 58, 200])
def test_what_leaves_no_room_for_a_context_is_an_error_with_a_reason(params, n_response):
    raw = measured(params(), *pieces(n_response=n_response))
    reason = (
        f"header, instruction and response have {n_response + 7} tokens and leave no room for a context in the window "
        f"of 64"
    )
    assert (raw.status, raw.reason, raw.cam_status, raw.cam_reason) == ("error", reason) * 2
    assert raw.model_tokens == 0
    assert all(getattr(raw, name).size == 0 for name in ARRAYS)


def test_what_just_fits_is_measured(params):
    full = measured(params(), *pieces(n_response=56))
    assert (full.status, full.context_tokens, full.is_cut) == ("scored", 1, True)
    assert measured(params(), *pieces(n_context=0, n_response=57)).nll_long.shape == (57,)


@pytest.mark.parametrize("n_instruction", [0, 4])
def test_pieces_that_are_empty(params, n_instruction):
    """Without a header nothing precedes the response alone: its first token has no nll."""
    raw = measured(params(), *pieces(n_header=0, n_instruction=n_instruction))
    assert (raw.status, raw.cam_status) == ("scored", "scored")
    assert raw.nll_alone.size == 0
    assert raw.nll_no_context.size == (6 if n_instruction else 0)
    assert hmg.parts(raw)["ifd"] is None


def test_a_response_that_is_all_or_nothing(params):
    assert measured(params(), *pieces(0, 0, 0, 5)).reason == "no token precedes the response"
    raw = measured(params(), *pieces(n_response=0))
    assert (raw.status, raw.reason) == ("too_short", "the response has no token")


def test_a_token_that_a_model_lacks_is_an_error(params):
    header, context, instruction, response = pieces()
    raw = measured(params(), header, np.append(context, VOCAB).astype(np.int32), instruction, response)
    assert (raw.status, raw.cam_status) == ("error", "error")
    assert raw.reason == "token 300 is not in the vocabulary of 300 tokens"


def test_parts_that_are_not_named_are_not_measured(params):
    cut = pieces()
    only_cam, only_hmg = measured(params(parts=("cam",)), *cut), measured(params(parts=("hmg",)), *cut)
    assert (only_cam.status, only_cam.reason) == ("not_scored", "hmg is not in influence.parts")
    assert (only_hmg.cam_status, only_hmg.status) == ("not_scored", "scored")
    assert only_cam.nll_short.size == only_cam.nll_alone.size == only_hmg.attention.size == 0
    assert np.array_equal(only_cam.segment_nll, measured(params(), *cut).segment_nll)


def test_nan_never_leaves(params, monkeypatch):
    plain = influence.response_nll
    monkeypatch.setattr(influence, "response_nll", lambda *args: plain(*args) * np.nan)
    raw = measured(params(), *pieces())
    assert (raw.status, raw.reason) == ("error", "a measured value is not a number")
    assert raw.cam_status == "error"
    assert all(np.isfinite(getattr(raw, name)).all() for name in ARRAYS)
    assert hmg.parts(raw)["nll_gain"] is None


def test_a_lack_of_memory_is_a_stage_error(params, monkeypatch):
    each = params()
    pair = load(each)

    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(influence.attention, "span_attention", full)
    with pytest.raises(StageError, match="a pass of 38 tokens does not fit into memory"):
        raw_parts(pair, sample_of(*pieces()), each)


# -- settings


def test_models_of_different_tokenizers_are_refused(params, folder):
    with pytest.raises(RecipeError, match=r"has another tokenizer than.*name two models of one family"):
        load(params(ShortParams(weights=Weights.of(folder("other")))))
    bare = folder("bare")
    (bare / "tokenizer.json").unlink()
    with pytest.raises(RecipeError, match=r"no such file.*both models need the same tokenizer"):
        load(params(ShortParams(weights=Weights.of(bare))))


@pytest.mark.parametrize("short", [{}, {"context_tokens": 3, "rope": {"rope_type": "linear", "factor": 2.0}}])
def test_a_short_window_is_one_of_them(short):
    with pytest.raises(ValueError, match="name context_tokens, or else weights, rope or both"):
        ShortParams(**short)


def test_settings_that_cannot_be(params):
    with pytest.raises(ValueError, match="sink_tokens must be less than segment_tokens"):
        params(sink_tokens=SEGMENT)
    with pytest.raises(RecipeError, match=r"influence.short.rope: transformers refuses .*factor"):
        load(params(ShortParams(rope=Rope(rope_type="linear"))))
