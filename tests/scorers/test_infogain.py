"""Both scores against a model in float64 that reads each token's own contexts, one pass each."""

import math
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from schemas.errors import RecipeError, StageError
from scorers import infogain
from scorers.infogain import PARTS, InfoGainParams, long_windows, mean_context, reduced, score, short_passes, token_nll
from scorers.lm import LM, ModelParams, load
from scorers.weights import Weights

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WINDOW = 24  # and one more, for the anchor
SIZES = [(24, 6, 2), (24, 6, 4), (20, 7, 6), (9, 8, 3)]  # long, short, stride
LENGTHS = (0, 1, 6, 7, 8, 9, 19, 20, 21, 24, 25, 42, 43, 60)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A llama of two layers with weights large enough that context matters, in float32 and as it is in float64."""
    config = transformers.LlamaConfig(
        vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=WINDOW + 1, initializer_range=0.3, bos_token_id=17,
    )  # fmt: skip
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("tiny llama")
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    exact = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    lms = {block: load(ModelParams(weights=Weights.of(folder), block=block)) for block in (1, 3)}
    return SimpleNamespace(lms=lms, exact=exact)


def document(seed: int, n_tokens: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 61, n_tokens)


@pytest.fixture(scope="session")
def slow_nll(tiny):
    """nll of the last of some tokens, given those before: all logits of one pass in float64."""

    @cache
    def nll_of(ids: tuple[int, ...], anchor: tuple[int, ...] = (17,)) -> float:
        ids = anchor + ids
        with torch.no_grad():
            logits = tiny.exact(torch.tensor([ids[:-1]])).logits[0, -1]
        return float(torch.logsumexp(logits, -1) - logits[ids[-1]])

    return nll_of


def contexts(n_tokens: int, long: int, short: int, stride: int) -> dict[int, tuple[int, int]]:
    """{token: (where its long context starts, where its short one does)}, token by token."""
    found, window = {}, 0
    for token in range(short, n_tokens):
        if token == window + long:  # past the window: the next one starts so that this is its first token to count
            window = token - short
        at = window + stride
        while token >= at + short:
            at += stride
        found[token] = window, at
    return found


@pytest.mark.parametrize(("block", "anchor"), [(1, 17), (3, 17), (3, None)])
@pytest.mark.parametrize("sizes", SIZES)
def test_token_nll_is_that_of_each_tokens_own_contexts(sizes, block, anchor, tiny, slow_nll):
    long, short, stride = sizes
    lm, before = replace(tiny.lms[block], anchor=anchor), () if anchor is None else (anchor,)
    for n_tokens in LENGTHS:
        ids = document(n_tokens, n_tokens)
        wanted = np.full((2, n_tokens), np.nan)
        for token, starts in contexts(n_tokens, long, short, stride).items():
            wanted[:, token] = [slow_nll(tuple(ids[start : token + 1].tolist()), before) for start in starts]
        found = token_nll(lm, ids, long, short, stride)
        np.testing.assert_allclose(found, wanted, 2e-5, 1e-5, err_msg=f"{n_tokens=}")
        assert all(x.dtype == np.float64 for x in found)


def test_the_cases_the_oracle_must_reach(tiny):
    """More than one window, a last pass that is shorter, contexts that matter."""
    assert any(len(list(long_windows(n, 24, 6))) == 3 for n in LENGTHS)
    ends = {n: [len(passes[0]) for _, passes in short_passes(np.arange(n), 6, 4, 2)] for n in (20, 24)}
    assert ends == {20: [6, 6, 4], 24: [6, 6, 4]}
    assert [at for at, _ in short_passes(np.arange(24), 6, 4, 2)] == [6, 14, 22]
    long, short = token_nll(tiny.lms[1], document(1, 60), 24, 6, 2)
    assert np.nanmin(np.abs(long - short)) < 0.1
    assert np.nanmax(np.abs(long - short)) > 2


@pytest.mark.parametrize(("long", "short", "stride"), SIZES)
def test_contexts_are_as_long_as_promised(long, short, stride):
    """The law that makes the score fair to length: the same contexts in every full window, each token once."""
    for n_tokens in LENGTHS:
        found = contexts(n_tokens, long, short, stride)
        assert all(short - stride <= token - at <= short - 1 for token, (_, at) in found.items())
        assert all(short <= token - window <= long - 1 for token, (window, _) in found.items())
        full = [token - window for token, (window, _) in found.items() if window + long <= n_tokens]
        assert sorted(full) == sorted([*range(short, long)] * (len(full) // (long - short)))
        lengths = [token - window for token, (window, _) in found.items()]
        if lengths:
            assert mean_context(n_tokens, long, short) == pytest.approx(np.mean(lengths), rel=1e-12)


def test_a_long_document_is_its_windows(tiny):
    """Read as documents of their own, they give the same values: nothing depends on what stands far before."""
    ids, lm = document(3, 60), tiny.lms[1]
    whole = np.stack(token_nll(lm, ids, 24, 6, 2))
    for start, end in long_windows(60, 24, 6):
        np.testing.assert_array_equal(
            whole[:, start + 6 : end], np.stack(token_nll(lm, ids[start:end], 24, 6, 2))[:, 6:]
        )


def test_the_example_of_the_docstring():
    assert list(long_windows(21, long=10, short=4)) == [(0, 10), (6, 16), (12, 21)]
    assert list(long_windows(22, long=10, short=4)) == [(0, 10), (6, 16), (12, 22)]
    assert list(long_windows(4, long=10, short=4)) == []


# -- the score


def slow_parts(long: list[float], short: list[float], min_gain: float = 2, max_nll: float = 2) -> dict[str, float]:
    pairs = list(zip(long, short, strict=True))
    key = [a for a, b in pairs if b - a > min_gain and a < max_nll]
    n = len(pairs)
    return {
        "infogain": math.fsum(math.exp(-a) * (b - a) for a, b in pairs) / n,
        "key_share": len(key) / n,
        "nll_long": math.fsum(long) / n,
        "nll_short": math.fsum(short) / n,
        "n_tokens": n,
        "n_key": len(key),
    }


def test_the_parts_are_the_formula():
    params = InfoGainParams()
    for seed in range(50):
        r = np.random.default_rng(seed)
        long, short = r.exponential(2, (2, r.integers(1, 40)))
        found = reduced(long, short, params)
        del found["context_tokens"]
        assert found == pytest.approx(slow_parts(long.tolist(), short.tolist()), rel=1e-12)


def test_both_limits_of_a_key_token_are_strict():
    long, short = np.array([0.0, 0.0, 2.0, 1.5, 1.5]), np.array([2.0, 2.5, 5.0, 3.75, 3.25])
    assert reduced(long, short, InfoGainParams())["n_key"] == 2  # a gain of 2 is none, nor is an nll of 2
    assert reduced(long, short, InfoGainParams(min_key_gain=1.0))["n_key"] == 4
    assert reduced(long, short, InfoGainParams(max_key_nll=1.0))["n_key"] == 1


@pytest.mark.parametrize("long", [None, 15])
def test_a_document_has_the_score_of_its_tokens(long, tiny, slow_nll):
    params = InfoGainParams(long_tokens=long, short_tokens=6, stride_tokens=2, min_key_gain=0.1, max_key_nll=4)
    long = long or WINDOW
    ids = document(7, 43)
    found = score(tiny.lms[1], ids, params)
    starts = contexts(43, long, 6, 2)
    nll_long, nll_short = (
        [slow_nll(tuple(ids[pair[which] : token + 1].tolist())) for token, pair in starts.items()] for which in (0, 1)
    )
    wanted = slow_parts(nll_long, nll_short, 0.1, 4)
    assert found.parts == pytest.approx(wanted | {"context_tokens": found.parts["context_tokens"]}, rel=1e-5)
    assert found.parts["context_tokens"] == mean_context(43, long, 6)
    assert (found.status, found.reason, tuple(found.parts)) == ("scored", None, PARTS)
    assert np.isnan(found.nll_long[:6]).all()
    assert not np.isnan(found.nll_long[6:]).any()
    assert 0 < found.parts["n_key"] < 37


def test_no_score_without_a_long_context(tiny):
    params = InfoGainParams(short_tokens=6, stride_tokens=2)
    for n_tokens, status in ((0, "too_short"), (11, "too_short"), (12, "scored")):
        found = score(tiny.lms[1], document(1, n_tokens), params)
        assert found.status == status
        assert (set(found.parts.values()) == {None}) == (status == "too_short")
        assert len(found.nll_long) == len(found.nll_short) == n_tokens
    assert score(tiny.lms[1], document(1, 11), params).reason == "11 tokens, 12 wanted"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("size", [6, WINDOW])  # in a short pass, in a long one
def test_an_nll_that_is_no_number_is_an_error(size, bad, tiny, monkeypatch):
    def spoilt(_: LM, ids: np.ndarray, n: int) -> np.ndarray:
        return np.full((len(ids), n), bad if ids.shape[1] == size else 1.0)

    monkeypatch.setattr(infogain, "last_nll", spoilt)
    found = score(tiny.lms[1], document(1, 30), InfoGainParams(short_tokens=6, stride_tokens=2))
    assert (found.status, found.reason) == ("error", "a token's nll is not a number")
    assert set(found.parts.values()) == {None}


@pytest.mark.parametrize(("long", "short", "stride"), [(25, 6, 2), (6, 6, 2), (24, 6, 6), (24, 6, 0)])
def test_sizes_that_do_not_fit_together_are_refused(long, short, stride, tiny):
    with pytest.raises(RecipeError, match="at most 24, which"):
        token_nll(tiny.lms[1], document(1, 30), long, short, stride)


def test_a_model_without_an_anchor_has_room_for_one_token_more(tiny):
    assert tiny.lms[1].anchor == 17
    bare = replace(tiny.lms[1], anchor=None)
    found = score(bare, document(1, 43), InfoGainParams(short_tokens=6, stride_tokens=2))
    assert found.parts["context_tokens"] == mean_context(43, 25, 6) != mean_context(43, 24, 6)


def test_a_pass_without_memory_is_not_swallowed(tiny, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(infogain, "last_nll", full)
    with pytest.raises(StageError, match="24 tokens does not fit into memory"):
        token_nll(tiny.lms[1], document(1, 30), 24, 6, 2)
