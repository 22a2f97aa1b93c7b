"""A model by the name that a recipe gives: what it holds is hashed, and what is no model is refused."""

import pytest

from schemas.errors import RecipeError, StageError
from scorers.lm import load
from scorers.weights import Weights, anchor_of, converted_folder, tokenizer_of
from tests.scorers.small_models import CONFIGS, params_of, torch


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

    def download(name, allow_patterns, local_files_only):
        assert not local_files_only
        asked.append((name, tuple(allow_patterns)))
        if len(asked) == 1:
            raise LocalEntryNotFoundError("no network")
        return str(folders("llama"))

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(
        StageError,
        match=r"org/model: the hub can't be reached \(no network\); .*name a local folder: .*org/model does not exist",
    ):
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

    base = {"config__json": "{}", "model__safetensors": "weights", "tokenizer__json": '{"a": 1}'}
    assert of(**base) == of(**base, README__md="x", pytorch_model__bin="x")
    changed = [
        of(**base | {"config__json": "{ }"}),
        of(**base | {"model__safetensors": "weights2"}),
        of(**base | {"tokenizer__json": "w"}),
        of(**base, model2__safetensors="weights"),
        of(**base | {"config__json": '{"a": 1}', "tokenizer__json": "{}"}),
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
