"""nll of chunks, alone and after one another, against the same model in float64 that reads every pair in one pass."""

import numpy as np
import pytest

from schemas.errors import RecipeError, StageError
from scorers import chunks as chunks_module
from scorers.chunks import Chunks
from scorers.lm import body, load
from tests.scorers.small_models import (
    ANCHORS,
    CONFIGS,
    KEYS_AND_VALUES,
    SIZES,
    C,
    S,
    document,
    every_pair,
    params_of,
    saved,
    shuffled,
    torch,
    transformers,
)


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("name", CONFIGS)
def test_nll_is_that_of_the_slow_pass(name, anchor, models, slow):
    chunks = Chunks(models(name), document(), anchor)
    after, alone = chunks.after(every_pair()), chunks.alone(range(S))
    assert after.dtype == alone.dtype == np.float64
    wanted = [slow(name, document(), anchor, i, j) for i, j in every_pair()]
    np.testing.assert_allclose(after, wanted, rtol=0, atol=2e-5)
    np.testing.assert_allclose(alone, [slow(name, document(), anchor, i) for i in range(S)], rtol=0, atol=2e-5)
    gain = np.array([alone[i] for i, _ in every_pair()]) - after
    assert gain.std() > 0.05  # the context matters, else the test above proves nothing


def test_what_is_asked_for_again_in_another_order_is_the_same(models, slow):
    chunks = Chunks(models("llama"), document(), 7)
    first = chunks.alone([3, 3, 0])
    assert first[0] == first[1] != first[2]
    after = chunks.after([(4, 0), (2, 1), (4, 0)])
    assert after[0] == after[2] != after[1]
    assert after[1] == pytest.approx(slow("llama", document(), 7, 2, 1), abs=2e-5)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("block", [2, 3, 64])
def test_values_hardly_depend_on_the_block(name, block, models):
    one, more = Chunks(models(name), document(), None), Chunks(models(name, block), document(), None)
    pairs = shuffled(every_pair(), 1)
    np.testing.assert_allclose(more.after(pairs), one.after(pairs), rtol=0, atol=1e-5)
    np.testing.assert_allclose(more.alone(range(S)), one.alone(range(S)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_at_block_one_a_value_depends_on_its_own_text_alone(name, models):
    """To the bit: whatever was asked for before, in whatever order, kept or read again, beside other chunks."""
    pairs = every_pair()
    whole = Chunks(models(name), document(), None)
    after = dict(zip(pairs, whole.after(pairs).tolist(), strict=True))
    alone = whole.alone(range(S)).tolist()
    for seed in range(3):
        chunks = Chunks(models(name), document(), None, keep_bytes=[0, 1 << 12, 1 << 20][seed])
        order = shuffled(pairs, seed)
        if seed:
            chunks.alone(shuffled(list(range(S)), seed))
        assert chunks.after(order).tolist() == [after[pair] for pair in order]
        assert chunks.alone(range(S)).tolist() == alone
    for i, j in ((5, 2), (6, 0)):
        lonely = Chunks(models(name), document()[[j, i]], None)
        assert lonely.after([(1, 0)]).tolist() == [after[i, j]]
        assert lonely.alone([1]).tolist() == [alone[i]]


def test_nothing_asked_for_is_nothing(models):
    chunks = Chunks(models("llama"), document(), None)
    assert chunks.after([]).shape == chunks.alone([]).shape == (0,)
    assert chunks.forwarded == 0


# -- what goes through the model


@pytest.mark.parametrize("anchor", [None, 7])
@pytest.mark.parametrize("block", [1, 3])
def test_each_pair_costs_all_but_one_token_and_each_touched_chunk_once(block, anchor, models):
    """And its anchor."""
    once = C + (anchor is not None)
    for seed in range(10):
        pairs = shuffled(every_pair(), seed)[: 1 + 2 * seed]
        chunks = Chunks(models("llama", block), document(), anchor)
        chunks.after(pairs)
        contexts, targets = {j for _, j in pairs}, {i for i, _ in pairs}
        assert chunks.forwarded == len(pairs) * (C - 1) + len(contexts) * once
        chunks.alone([i for i, _ in pairs])
        assert chunks.forwarded == len(pairs) * (C - 1) + len(contexts | targets) * once
        chunks.alone([i for i, _ in pairs])
        assert chunks.forwarded == len(pairs) * (C - 1) + len(contexts | targets) * once


def slow_forwarded(pairs, n_kept):
    """One pair at a time; of the contexts the n_kept used last stay."""
    kept, forwarded = [], 0
    for _, j in pairs:
        forwarded += C - 1 + (0 if j in kept else C)
        kept = [k for k in kept if k != j] + [j]
        kept = kept[-max(1, n_kept) :]
    return forwarded


def test_a_context_that_was_let_go_is_run_again(models):
    """The one unused for longest goes first; values stay the same."""
    for seed in range(2):
        pairs = shuffled(every_pair(), seed)
        wanted = Chunks(models("llama"), document(), None).after(pairs).tolist()
        for n_kept, spare in ((0, 0), (1, 0), (2, KEYS_AND_VALUES - 1), (3, 0), (S, 0)):
            chunks = Chunks(models("llama"), document(), None, keep_bytes=n_kept * KEYS_AND_VALUES + spare)
            assert chunks.after(pairs).tolist() == wanted
            assert chunks.forwarded == slow_forwarded(pairs, n_kept), f"{seed=} {n_kept=}"
            assert len(chunks.cache) <= max(1, n_kept)
    assert slow_forwarded(pairs, 1) > slow_forwarded(pairs, 3) > slow_forwarded(pairs, S)


def test_a_block_keeps_the_contexts_that_it_needs(models):
    wanted = Chunks(models("llama", 4), document(), None).after(every_pair())
    chunks = Chunks(models("llama", 4), document(), None, keep_bytes=0)
    np.testing.assert_allclose(chunks.after(every_pair()), wanted, rtol=0, atol=1e-5)
    assert len(chunks.cache) <= 4


def test_chunks_read_alone_are_kept_within_the_bound(models):
    chunks = Chunks(models("llama"), document(), None, keep_bytes=2 * KEYS_AND_VALUES)
    chunks.alone(range(S))
    assert len(chunks.cache) <= 2


# -- memory


ERRORS = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
    "python": lambda: MemoryError("Unable to allocate 3 GiB"),
}


def small_memory(monkeypatch, rows, error):
    """A machine on which no more than `rows` passes fit at a time."""
    sizes = []

    def tight(model, ids, past=None):
        sizes.append(len(ids))
        if len(ids) > rows:
            raise error()
        return body(model, ids, past)

    monkeypatch.setattr(chunks_module, "body", tight)
    return sizes


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_block_that_does_not_fit_is_halved(error, rows, models, monkeypatch):
    pairs = shuffled(every_pair(), 2)
    wanted = Chunks(models("llama"), document(), None).after(pairs)
    sizes = small_memory(monkeypatch, rows, error)
    chunks = Chunks(models("llama", 8), document(), None)
    np.testing.assert_allclose(chunks.after(pairs), wanted, rtol=0, atol=1e-5)
    assert chunks.block == {1: 1, 2: 2, 5: 4}[rows]
    assert max(sizes) > rows >= max(sizes[-3:])
    assert models("llama", 8).block == 8  # another document tries again


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("block", [1, 8])
def test_one_pass_that_does_not_fit_is_an_error(error, block, models, monkeypatch):
    small_memory(monkeypatch, 0, error)
    chunks = Chunks(models("llama", block), document(), None)
    with pytest.raises(StageError, match=r"one pass of \d+ tokens does not fit into memory"):
        chunks.after(every_pair())


def test_what_is_kept_goes_when_memory_is_short(models, monkeypatch):
    chunks = Chunks(models("llama"), document(), None)
    chunks.alone(range(S))
    assert chunks.cache
    small_memory(monkeypatch, 0, ERRORS["cuda"])
    with pytest.raises(StageError):
        chunks.after(every_pair())
    assert not chunks.cache


def test_another_error_of_the_model_comes_as_it_is(models, monkeypatch):
    small_memory(monkeypatch, 0, lambda: RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    chunks = Chunks(models("llama", 8), document(), None)
    with pytest.raises(RuntimeError, match="mat1"):
        chunks.after(every_pair())
    assert chunks.block == 8


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_block_of_chunks_alone_that_does_not_fit_is_halved(error, models, monkeypatch):
    wanted = Chunks(models("llama"), document(), None).alone(range(S))
    small_memory(monkeypatch, 2, error)
    np.testing.assert_allclose(Chunks(models("llama", 8), document(), None).alone(range(S)), wanted, rtol=0, atol=1e-5)


# -- windows


def test_two_chunks_over_the_window_are_refused(models):
    assert Chunks(models("llama"), document(c=32), None).after([(1, 0)]).shape == (1,)
    assert Chunks(models("llama"), document(c=31), 7).after([(1, 0)]).shape == (1,)
    for c, anchor in ((33, None), (32, 7), (32, 0)):
        with pytest.raises(RecipeError, match=f"two chunks of {c} tokens exceed the window of 64"):
            Chunks(models("llama"), document(c=c), anchor)


def sliding(window):
    return transformers.MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=window)


@pytest.mark.parametrize(
    ("window", "anchor"), [(2 * C, None), (14, 7), (C + 2, 7), (C + 1, 7), (C + 1, None), (C, None), (4, None)]
)
def test_a_model_with_a_sliding_window_is_right_or_refused(window, anchor, tmp_path):
    """What such a window has let go is missing where the places of the next chunk are counted from."""
    folder = saved(sliding(window), tmp_path)
    before = [] if anchor is None else [anchor]
    model = load(params_of(folder))
    if window <= C + len(before):
        with pytest.raises(RecipeError, match=f"see {window} tokens back"):
            Chunks(model, document(), anchor)
        return
    found = Chunks(model, document(), anchor).after(every_pair())
    exact = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    for (i, j), value in zip(every_pair(), found, strict=True):
        ids = torch.tensor([[*before, *document()[j].tolist(), *document()[i].tolist()]])
        with torch.no_grad():
            logits = exact(ids, use_cache=False).logits.log_softmax(-1)[0]
        wanted = -np.mean([float(logits[t - 1, ids[0, t]]) for t in range(len(before) + C + 1, len(before) + 2 * C)])
        assert value == pytest.approx(wanted, abs=2e-5)
