"""nll of chunks, alone and after one another, against the same model in float64 that reads every pair in one pass."""

import math
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from schemas.errors import RecipeError, StageError
from scorers import chunks as chunks_module
from scorers import lm
from scorers.chunks import Chunks
from scorers.lm import ModelParams, body, load, nll
from scorers.weights import Weights, anchor_of, converted_folder, tokenizer_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCAB = 300
C = 10  # tokens of a chunk
S = 7
SMALL = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES = SMALL | {"intermediate_size": 48, "max_position_embeddings": 64, "initializer_range": 0.3}
GPT2 = {"vocab_size": VOCAB, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.3}
OPT = SMALL | {"ffn_dim": 48, "max_position_embeddings": 64, "init_std": 0.3, "word_embed_proj_dim": 16}
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=True),
    "opt": lambda: transformers.OPTConfig(**OPT),  # its head reads fewer numbers than its layers
    "gpt2": lambda: transformers.GPT2Config(**GPT2, bos_token_id=None, eos_token_id=0),
    "neox": lambda: transformers.GPTNeoXConfig(**SIZES),
    "phi": lambda: transformers.PhiConfig(**SIZES),  # its head has a bias
}
ANCHORS = [None, 0, 7]
KEYS_AND_VALUES = (
    2 * 2 * 2 * 8 * C * 4
)  # bytes of a chunk's in the llama: both, layers, heads, their size, tokens, float32


def saved(config, folder, seed=3):
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0, 0.5)  # zeros hide one that is forgotten
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    return cache(lambda name: saved(CONFIGS[name](), tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def models(folders):
    return cache(lambda name, block=1: load(ModelParams(weights=Weights.of(folders(name)), block=block)))


@pytest.fixture(scope="session")
def exact(folders):
    return cache(
        lambda name: transformers.AutoModelForCausalLM.from_pretrained(folders(name), dtype=torch.float64).eval()
    )


@pytest.fixture(scope="session")
def slow(exact):
    """All logits of one pass over the context and the target, in float64, without a cache; a pair at a time."""

    def mean_nll(name, chunks, anchor, target, context=None):
        before = ([] if anchor is None else [anchor]) + ([] if context is None else chunks[context].tolist())
        ids = [*before, *chunks[target].tolist()]
        with torch.no_grad():
            logits = exact(name)(torch.tensor([ids]), use_cache=False).logits[0].double()
        of = [
            float(torch.logsumexp(logits[t - 1], -1) - logits[t - 1, ids[t]]) for t in range(len(before) + 1, len(ids))
        ]
        assert len(of) == chunks.shape[1] - 1
        return math.fsum(of) / len(of)

    return mean_nll


def document(seed=0, s=S, c=C):
    """Half of each chunk is taken from the one before: contexts matter."""
    chunks = np.random.default_rng(seed).integers(0, VOCAB, (s, c))
    chunks[1:, : c // 2] = chunks[:-1, : c // 2]
    return chunks.astype(np.int32)


def every_pair(s=S):
    return [(i, j) for i in range(s) for j in range(i)]


def shuffled(things, seed):
    return [things[k] for k in np.random.default_rng(seed).permutation(len(things))]


# -- values


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


def test_the_head_sees_a_few_positions_at_a_time(models, exact, monkeypatch):
    """No place is left out or shifted at the border of two parts, whatever the parts are."""
    ids = np.random.default_rng(5).integers(0, VOCAB, (2, 30))
    with torch.no_grad():
        logits = exact("llama")(torch.tensor(ids)).logits.log_softmax(-1)[:, :-1]
    wanted = -logits.gather(2, torch.tensor(ids[:, 1:, None]))[..., 0].numpy()
    hidden = body(models("llama"), ids)[:, :-1]
    for positions in (1, 7, 29, 57, 58, 59, 128):
        monkeypatch.setattr(lm, "HEAD_TOKENS", positions)
        found = nll(models("llama"), hidden, ids[:, 1:])
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-5, err_msg=f"{positions=}")


def test_bfloat16_is_near(folders, slow):
    model = load(ModelParams(weights=Weights.of(folders("llama")), dtype="bfloat16"))
    assert model.model.dtype == torch.bfloat16
    found = Chunks(model, document(), 7).after(every_pair())
    assert found.dtype == np.float64
    wanted = [slow("llama", document(), 7, i, j) for i, j in every_pair()]
    assert 1e-4 < np.abs(found - wanted).max() < 0.2


# -- products


def test_every_linear_layer_of_a_float32_model_is_laid_out(models, folders):
    linear = {name: module for name, module in models("phi").model.named_modules() if hasattr(module, "in_features")}
    assert {type(module).__name__ for module in linear.values()} == {"Packed"}
    assert "lm_head" in linear
    half = load(ModelParams(weights=Weights.of(folders("phi")), dtype="bfloat16"))
    assert not [module for module in half.model.modules() if type(module).__name__ == "Packed"]


def test_where_torch_has_no_onednn_its_own_products_are_used_and_named(models, folders, monkeypatch):
    packed = Chunks(models("llama"), document(), 7).after(every_pair())
    monkeypatch.setattr(lm, "is_packed", lambda _: False)
    plain = lm.loaded.__wrapped__(params_of(folders("llama")))
    assert not [module for module in plain.model.modules() if type(module).__name__ == "Packed"]
    found = Chunks(plain, document(), 7).after(every_pair())
    np.testing.assert_allclose(found, packed, rtol=0, atol=2e-5)
    assert (plain.fingerprint[-1], models("llama").fingerprint[-1]) == ("plain", "packed")
    assert plain.fingerprint[:-1] == models("llama").fingerprint[:-1]


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


# -- loading


def params_of(folder, **changes):
    return ModelParams(weights=Weights.of(folder), **changes)


def test_what_is_loaded(folders, models):
    model = models("llama")
    assert (model.n_vocab, model.window_tokens, model.device, model.block) == (VOCAB, 64, "cpu", 1)
    assert load(params_of(folders("llama"), block=1)) is model  # once a process
    assert load(params_of(folders("llama"))).block == 1  # on a CPU
    assert load(params_of(folders("llama"), window_tokens=20)).window_tokens == 20
    assert not model.model.training


@pytest.mark.parametrize(
    ("named", "anchor"),
    [
        ({"bos_token_id": 5, "eos_token_id": 6}, 5),
        ({"bos_token_id": 0, "eos_token_id": 6}, 0),
        ({"bos_token_id": None, "eos_token_id": 6}, 6),
        ({"bos_token_id": None, "eos_token_id": [8, 9]}, 8),
        ({"bos_token_id": None, "eos_token_id": None}, None),
    ],
)
def test_the_anchor_is_the_bos_or_else_the_eos(named, anchor):
    config = CONFIGS["llama"]()
    config.update(named)
    assert anchor_of(config) == anchor


def test_the_anchor_is_the_models(models):
    assert models("llama").anchor == CONFIGS["llama"]().bos_token_id
    assert models("gpt2").anchor == 0


def test_an_anchor_outside_the_vocabulary_is_refused_or_not_taken(tmp_path):
    folder = saved(transformers.GPT2Config(**GPT2), tmp_path)  # its BOS stays 50,256
    try:
        model = load(params_of(folder))
    except RecipeError:
        return
    assert model.anchor is None


def test_threads_are_set_for_each_caller(folders):
    before = torch.get_num_threads()
    for threads in (2, 1, 2):
        load(params_of(folders("llama"), threads=threads))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)


def test_the_fingerprint_is_of_what_values_depend_on(folders, models, tmp_path):
    model = models("llama")
    assert model.fingerprint[:3] == (Weights.of(folders("llama")).hash, "float32", "cpu")
    assert torch.__version__ in model.fingerprint
    assert lm.fingerprint(params_of(folders("llama"))) == model.fingerprint
    assert lm.fingerprint(params_of(folders("llama"), dtype="bfloat16")) != model.fingerprint
    assert lm.fingerprint(params_of(folders("opt"))) != model.fingerprint
    (tmp_path / "elsewhere").symlink_to(folders("llama"))
    assert lm.fingerprint(params_of(tmp_path / "elsewhere")) == model.fingerprint
    assert lm.fingerprint(params_of(folders("llama"), block=1)) == model.fingerprint  # what 0 is on a CPU
    changed = [{"block": 64}, {"threads": 2}, {"threads": 64}, {"block": 2, "threads": 1}, {"block": 1, "threads": 2}]
    found = [lm.fingerprint(params_of(folders("llama"), **each)) for each in changed]
    assert len({model.fingerprint, *found}) == 5
    assert {each[-1] for each in found} == {model.fingerprint[-1]}


def test_the_block_of_a_gpu_is_part_of_its_fingerprint(folders, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    by_itself, as_64, as_1 = (lm.fingerprint(params_of(folders("llama"), device="cuda", block=n)) for n in (0, 64, 1))
    assert by_itself == as_64 != as_1
    assert "a card" in by_itself


def test_a_window_over_the_models_own_is_refused(folders):
    assert load(params_of(folders("llama"), window_tokens=64)).window_tokens == 64
    with pytest.raises(RecipeError, match=r"window_tokens = 65, but the model was made for 64") as caught:
        load(params_of(folders("llama"), window_tokens=65))
    assert str(folders("llama")) in str(caught.value)


def test_two_chunks_over_the_window_are_refused(models):
    assert Chunks(models("llama"), document(c=32), None).after([(1, 0)]).shape == (1,)
    assert Chunks(models("llama"), document(c=31), 7).after([(1, 0)]).shape == (1,)
    for c, anchor in ((33, None), (32, 7), (32, 0)):
        with pytest.raises(RecipeError, match=f"two chunks of {c} tokens exceed the window of 64"):
            Chunks(models("llama"), document(c=c), anchor)


@pytest.mark.parametrize("asked", [load, lm.fingerprint])
def test_a_gpu_that_is_not_there(asked, folders, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match=r'device = "cuda", but torch finds no GPU here; set device = "cpu"'):
        asked(params_of(folders("llama"), device="cuda"))


REFUSED = {
    "logits are capped": lambda: transformers.Gemma2Config(**SIZES, num_key_value_heads=2, head_dim=8, final_logit_softcapping=2.0),
    "logits are scaled": lambda: transformers.CohereConfig(**SIZES, num_key_value_heads=2, logit_scale=0.25),
}  # fmt: skip


@pytest.mark.parametrize("config", REFUSED.values(), ids=REFUSED)
def test_a_head_that_is_more_than_a_matrix_is_refused(config, tmp_path):
    with pytest.raises(RecipeError, match=r"can't be scored with: nll is off by") as caught:
        load(params_of(saved(config(), tmp_path)))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("with_cache", [True, False])
def test_both_ways_to_read_are_checked(with_cache, folders, models, monkeypatch):
    """A cache that is not read, or a pass without one that is off, is found out at the start."""

    def spoiled(model, ids, past=None):
        if (past is not None) == with_cache:
            return body(model, ids[:, ::-1])
        return body(model, ids, past)

    wanted = lm.own_nll(models("llama").model, VOCAB, "cpu")
    lm.check(models("llama"), params_of(folders("llama")), wanted)
    monkeypatch.setattr(lm, "body", spoiled)
    with pytest.raises(RecipeError, match="nll is off by"):
        lm.check(models("llama"), params_of(folders("llama")), wanted)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS["llama"]())
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = math.nan
    model.save_pretrained(tmp_path)
    with pytest.raises(RecipeError, match="off by nan"):
        load(params_of(tmp_path))


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


# -- weights


def test_a_folder_without_a_model_is_refused(tmp_path, folders):
    with pytest.raises(RecipeError, match=r"holds no model: config.json and \*.safetensors are wanted"):
        Weights.of(tmp_path)
    config = (folders("llama") / "config.json").read_text()
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(RecipeError, match="no pickled weights"):
        Weights.of(tmp_path)
    (tmp_path / "config.json").rename(tmp_path / "tokenizer.json")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(RecipeError, match=r"holds no model: config\.json"):
        Weights.of(tmp_path)
    (tmp_path / "tokenizer.json").rename(tmp_path / "config.json")
    (tmp_path / "model.safetensors").unlink()
    torch.save(load(params_of(folders("llama"))).model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(RecipeError, match="no pickled weights") as caught:
        Weights.of(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_broken_model_is_refused(tmp_path):
    saved(CONFIGS["llama"](), tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecipeError, match="not a causal LM") as caught:
        load(params_of(tmp_path))
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "model.safetensors").write_bytes(whole)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RecipeError, match="not a causal LM"):
        load(params_of(tmp_path))


@pytest.mark.parametrize(
    "name", ["missing", "./missing", "/missing/model", "~/missing-model", "a/b/c", "org/model.gguf"]
)
def test_a_model_that_is_not_there(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RecipeError, match="no such folder or file"):
        Weights.named(tmp_path, name)


def test_a_folder_is_named_from_where_the_recipe_is(tmp_path, folders):
    (tmp_path / "model").symlink_to(folders("llama"))
    assert Weights.named(tmp_path, "model") == Weights.of(tmp_path / "model")
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "model").symlink_to(folders("opt"))  # a folder goes before a name on the hub
    assert Weights.named(tmp_path, "org/model").hash == Weights.of(folders("opt")).hash


def test_a_hub_that_can_not_be_reached_is_said(tmp_path, folders, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = []

    def download(name, allow_patterns):
        asked.append((name, tuple(allow_patterns)))
        if len(asked) == 1:
            raise LocalEntryNotFoundError("no network")
        return str(folders("llama"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(RecipeError, match=r"org/model can't be had from the hub .*name a local folder"):
        Weights.named(tmp_path, "org/model")
    assert Weights.named(tmp_path, "org/model").hash == Weights.of(folders("llama")).hash
    assert all(name == "org/model" and not any("bin" in p or p == "*" for p in patterns) for name, patterns in asked)


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(RecipeError, match=r"not a model; name a folder with safetensors, or a .gguf file"):
        Weights.of(tmp_path / "model.safetensors")


def test_a_path_that_is_not_there_has_no_weights(tmp_path):
    with pytest.raises(RecipeError):
        Weights.of(tmp_path / "missing")


def test_the_hash_is_of_what_is_read_and_of_nothing_else(tmp_path):
    def of(**files):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        return Weights.of(folder).hash

    base = {"config__json": "{}", "model__safetensors": "weights", "tokenizer__json": "words"}
    assert of(**base) == of(**base, README__md="x", pytorch_model__bin="x")
    changed = [
        of(**base | {"config__json": "{ }"}),
        of(**base | {"model__safetensors": "weights2"}),
        of(**base | {"tokenizer__json": "w"}),
        of(**base, model2__safetensors="weights"),
        of(**base | {"config__json": "words", "tokenizer__json": "{}"}),
    ]
    assert len({of(**base), *changed}) == 6
    assert "path" not in Weights(path="somewhere", hash="x").model_dump()


def test_a_gguf_file_is_its_bytes_whatever_its_name(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    one, other = (Weights.of(tmp_path / name) for name in ("a.gguf", "b.gguf"))
    assert one.hash == other.hash
    assert converted_folder(one) == tmp_path / one.hash
    assert tokenizer_of(one) == tmp_path / one.hash / "tokenizer.json"
    assert tokenizer_of(Weights(path=str(tmp_path), hash="x")) == tmp_path / "tokenizer.json"


class Saved:
    """Stands for a model or a tokenizer that transformers read from a GGUF file."""

    def __init__(self, save):
        self.save_pretrained = save
        self.config = SimpleNamespace(quantization_config=1)


@pytest.fixture
def gguf(tmp_path, monkeypatch):
    """A GGUF file's weights, with a way to say how its converted form is saved."""
    (tmp_path / "a.gguf").write_bytes(b"GGUF")

    def saved_by(model, tokenizer):
        reads = [
            SimpleNamespace(from_pretrained=lambda *_, save=save, **__: Saved(save)) for save in (model, tokenizer)
        ]
        stub = SimpleNamespace(AutoModelForCausalLM=reads[0], AutoTokenizer=reads[1])
        monkeypatch.setattr(lm, "libraries", lambda: (torch, stub))
        return Weights.of(tmp_path / "a.gguf")

    return saved_by


def as_config(part):
    Path(part).mkdir(exist_ok=True)
    (Path(part) / "config.json").write_text("{}")


def fails(part):
    raise PermissionError(13, "Permission denied", str(part))


@pytest.mark.parametrize("saves", [(fails, as_config), (as_config, fails)], ids=["model", "tokenizer"])
def test_a_gguf_file_where_nothing_can_be_written(saves, gguf, tmp_path):
    weights = gguf(*saves)
    with pytest.raises(
        RecipeError, match=r"of a\.gguf can't be written there .*Permission denied.*; copy the file"
    ) as caught:
        lm.converted(weights)
    assert str(caught.value).startswith(f"{tmp_path}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["a.gguf"]


def test_a_gguf_file_is_converted_once_whoever_is_first(gguf, tmp_path):
    folder = converted_folder(Weights.of(tmp_path / "a.gguf"))

    def second(_):
        folder.mkdir()
        (folder / "config.json").write_text("first")

    assert lm.converted(gguf(as_config, second)) == str(folder)
    assert lm.converted(gguf(fails, fails)) == str(folder)
    assert (folder / "config.json").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.gguf", folder.name])
    (folder / "config.json").unlink()
    folder.rmdir()
    assert lm.converted(gguf(as_config, as_config)) == str(folder)
    assert (folder / "config.json").read_text() == "{}"


def test_without_torch_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(RecipeError, match=r'pip install "longmix\[model\]"'):
        load(SimpleNamespace(threads=1))
