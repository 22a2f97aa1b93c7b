"""A model that is loaded gives its own nll, says what its values depend on, and is refused where it cannot be scored with."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from schemas.errors import RecipeError
from scorers import lm
from scorers.chunks import Chunks
from scorers.lm import ModelParams, body, load, nll
from scorers.weights import Weights, converted_folder
from tests.scorers.small_models import (
    CONFIGS,
    GPT2,
    SIZES,
    VOCAB,
    document,
    every_pair,
    params_of,
    saved,
    torch,
    transformers,
)

# -- values


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
    monkeypatch.setattr(lm, "is_packed", lambda *_: False)
    plain = lm.loaded.__wrapped__(params_of(folders("llama")))
    assert not [module for module in plain.model.modules() if type(module).__name__ == "Packed"]
    found = Chunks(plain, document(), 7).after(every_pair())
    np.testing.assert_allclose(found, packed, rtol=0, atol=2e-5)
    assert (plain.fingerprint[-1], models("llama").fingerprint[-1]) == ("plain", "packed")
    assert plain.fingerprint[:-1] == models("llama").fingerprint[:-1]


# -- loading


def test_what_is_loaded(folders, models):
    model = models("llama")
    assert (model.n_vocab, model.window_tokens, model.device, model.block) == (VOCAB, 64, "cpu", 1)
    assert load(params_of(folders("llama"), block=1)) is model  # once a process
    assert load(params_of(folders("llama"))).block == 1  # on a CPU
    assert load(params_of(folders("llama"), window_tokens=20)).window_tokens == 20
    assert not model.model.training


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


# -- files


def test_a_broken_model_is_refused(tmp_path):
    saved(CONFIGS["llama"](), tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecipeError, match="not a causal LM") as caught:
        load(params_of(tmp_path))
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "model.safetensors").write_bytes(whole)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RecipeError, match="not a JSON object"):
        load(params_of(tmp_path))


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
