"""A model's folder runs nothing and unpickles nothing, and all of it that is loaded counts in its hash."""

import json
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from schemas.errors import RecipeError, StageError
from scorers import lm, model_files
from scorers.configs import config_of
from scorers.lm import ModelParams, body, load, nll
from scorers.weights import Weights
from tests.scored import MODEL

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

OPT = MODEL / "model_opt_trained"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path):
    """A copy of the model, to spoil."""
    return shutil.copytree(OPT, tmp_path / "model")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """The model in three files and an index."""
    folder = tmp_path_factory.mktemp("sharded")
    transformers.AutoModelForCausalLM.from_pretrained(OPT).save_pretrained(folder, max_shard_size="300KB")
    assert len(list(folder.glob("*.safetensors"))) == 3
    return folder


@pytest.fixture
def shards(sharded, tmp_path):
    """A copy of the model in shards, to spoil."""
    return shutil.copytree(sharded, tmp_path / "shards")


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def nll_of(weights):
    model = load(ModelParams(weights=weights))
    ids = np.arange(40)[None] * 7 % model.n_vocab
    return nll(model, body(model, ids)[:, :-1], ids[:, 1:])


def refused(folder, said):
    """The folder is refused by its name, and again where it would be loaded; each message is one line."""
    with pytest.raises(RecipeError, match=said) as caught:
        Weights.of(folder)
    with pytest.raises(RecipeError, match=said):
        load(ModelParams(weights=Weights(path=str(folder), hash=f"{folder}")))
    assert str(caught.value).startswith(f"{folder}")
    assert "\n" not in str(caught.value)


# -- no code


class MarksIt:
    """Pickled, and a file is written when it is read again."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.write_text, (Path(self.marker), "ran")


def with_code(folder, marker, config):
    """Add classes of the folder's own, which write a file when they are imported."""
    (folder / "own.py").write_text(
        f"import pathlib\npathlib.Path({str(marker)!r}).write_text('ran')\n"
        "from transformers import OPTConfig, OPTForCausalLM\n"
        "class OwnConfig(OPTConfig):\n    model_type = 'own'\n"
        "class OwnModel(OPTForCausalLM):\n    config_class = OwnConfig\n"
    )
    auto_map = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    edit(folder / "config.json", lambda value: value.update(config | {"auto_map": auto_map}))


@pytest.fixture
def a_yes(monkeypatch):
    """A person at the terminal who answers every question with yes."""
    questions = []
    monkeypatch.setattr("builtins.input", lambda text="": (questions.append(text), "y")[1])
    return questions


OWN = {"a class that transformers lacks": {"model_type": "own"}, "a class that it has": {}}


@pytest.mark.parametrize("config", OWN.values(), ids=OWN)
def test_a_model_with_code_of_its_own_is_refused_and_the_code_not_run(config, folder, tmp_path, a_yes):
    with_code(folder, tmp_path / "marker", config)
    refused(folder, r"config\.json has an auto_map: .*; name a model that transformers itself implements")
    with pytest.raises(RecipeError, match="has an auto_map"):
        config_of(folder)
    assert not (tmp_path / "marker").exists()
    assert not a_yes


def test_transformers_is_not_asked_to_run_code_either(folder, tmp_path, a_yes, monkeypatch):
    """Without the check above and with the code in sight, so that the argument of each call is tested by itself."""
    monkeypatch.setattr(model_files, "check_config", lambda _: None)
    monkeypatch.setattr(model_files, "PATTERNS", (*model_files.PATTERNS, "own.py"))
    monkeypatch.setattr("scorers.configs.check_config", lambda _: None)
    with_code(folder, tmp_path / "marker", {"model_type": "own"})
    with pytest.raises(RecipeError, match="not a causal LM that transformers can load"):
        load(ModelParams(weights=Weights.of(folder)))
    with pytest.raises(RecipeError, match="not a model that transformers knows") as caught:
        config_of(folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "marker").exists()
    assert not a_yes


def test_code_of_a_part_of_the_model_is_refused(folder):
    edit(folder / "config.json", lambda config: config.update(parts=[{"text_config": {"auto_map": {}}}]))
    refused(folder, "has an auto_map")


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
@pytest.mark.parametrize("value", ["someone/kernel", {"text_config": "someone/kernel:attend"}], ids=type)
def test_a_kernel_on_the_hub_is_refused(key, value, folder):
    edit(folder / "config.json", lambda config: config.update({key: value}))
    refused(folder, rf"config\.json: {key} = .*someone/kernel.* is code on the hub, .*delete the key")


def test_an_implementation_of_transformers_own_is_taken(folder):
    edit(folder / "config.json", lambda config: config.update(attn_implementation="eager"))
    assert load(ModelParams(weights=Weights.of(folder))).model.config._attn_implementation == "eager"


# -- no pickle


def pickled(path, marker):
    torch.save({"weight": MarksIt(str(marker))}, path)
    assert not marker.exists()


NOT_HERE = {
    "another suffix": "pytorch_model.bin",
    "another suffix behind": "a.safetensors.bin",
    "a folder": "weights/a.safetensors",
    "a folder that is this one": "./model-00001-of-00003.safetensors",
    "the folder above": "../a.safetensors",
    "an absolute path": "/a.safetensors",
    "a path of Windows": "weights\\a.safetensors",
    "two dots": "..",
    "nothing": "",
    "a number": 5,
    "null": None,
    "a byte that no name has": "a\0.safetensors",
}


@pytest.mark.parametrize("name", NOT_HERE.values(), ids=NOT_HERE)
def test_an_index_names_safetensors_of_its_folder_alone(name, shards, tmp_path):
    (shards / "weights").mkdir()
    for other in ("a.safetensors.bin", "pytorch_model.bin", "weights/a.safetensors", "../a.safetensors"):
        pickled(shards / other, tmp_path / "marker")
    edit(shards / INDEX, lambda index: index["weight_map"].update({"lm_head.weight": name}))
    refused(shards, rf"{INDEX}: weight_map names .*; only \*\.safetensors in the folder itself .*save_pretrained")
    assert not (tmp_path / "marker").exists()


def test_every_name_in_an_index_is_looked_at(shards):
    def change(index):
        index["weight_map"] = dict.fromkeys(index["weight_map"], "model.bin") | {
            "z": "model-00001-of-00003.safetensors"
        }

    edit(shards / INDEX, change)
    refused(shards, r'names "model\.bin"')


def test_an_index_beside_a_single_file_is_looked_at_too(folder):
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"a": "pytorch_model.bin"}}))
    refused(folder, r'weight_map names "pytorch_model\.bin"')


def test_a_file_that_an_index_names_and_is_missing(shards):
    (shards / "model-00002-of-00003.safetensors").unlink()
    refused(shards, rf"{INDEX}: weight_map names model-00002-of-00003\.safetensors, which is missing; fetch")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000])
def test_an_index_that_is_none(text, shards):
    (shards / INDEX).write_text(text)
    refused(shards, "not an index: it has no weight_map; fetch it again")


@pytest.mark.parametrize("key", ["transformers_weights", "text_config"])
@pytest.mark.parametrize("name", ["adapter_model.bin", "../a.safetensors", "weights/a.safetensors", 5])
def test_a_configuration_names_no_other_weights_either(key, name, folder, tmp_path):
    pickled(folder / "adapter_model.bin", tmp_path / "marker")
    value = {"transformers_weights": name} if key == "text_config" else name
    edit(folder / "config.json", lambda config: config.update({key: value}))
    refused(folder, r"config\.json: transformers_weights names .*; only \*\.safetensors")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["other.safetensors", "other.safetensors.index.json"])
def test_weights_that_a_configuration_names_are_loaded(name, folder, shards):
    expected = nll_of(Weights.of(folder))
    here = shards if name.endswith(".json") else folder
    (here / (INDEX if here is shards else "model.safetensors")).rename(here / name)
    edit(here / "config.json", lambda config: config.update(transformers_weights=name))
    assert np.array_equal(nll_of(Weights.of(here)), expected)
    if here is shards:
        edit(here / name, lambda index: index["weight_map"].update({"lm_head.weight": "model.bin"}))
        refused(here, r"other\.safetensors\.index\.json: weight_map names")
    else:
        (here / name).unlink()
        (here / "a.safetensors").write_bytes(b"")
        refused(here, r"transformers_weights names other\.safetensors, which is missing")


def test_a_model_of_pickled_weights_alone(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    pickled(folder / "pytorch_model.bin", tmp_path / "marker")
    refused(folder, r"holds no model: .*no pickled weights")
    (folder / "adapter.safetensors").write_bytes(b"")
    refused(
        folder, r"weights have names that transformers does not look for; rename the file to model\.safetensors, or"
    )
    assert not (tmp_path / "marker").exists()


# -- what is loaded counts, and nothing else is loaded


def test_shards_are_loaded_where_they_lie_and_where_links_lead(sharded, tmp_path):
    """As the hub's client lays a model out: snapshots/REVISION/NAME leads to blobs/HASH."""
    snapshot = tmp_path / "models--org--model" / "snapshots" / "0a1b"
    blobs = tmp_path / "models--org--model" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, path in enumerate(sorted(sharded.iterdir())):
        shutil.copy(path, blobs / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    assert Weights.of(snapshot).hash == Weights.of(sharded).hash
    expected = nll_of(Weights.of(OPT))
    assert np.array_equal(nll_of(Weights.of(sharded)), expected)
    assert np.array_equal(nll_of(Weights(path=str(snapshot), hash="by links")), expected)


def test_a_folder_is_named_from_the_working_directory(sharded, monkeypatch):
    monkeypatch.chdir(sharded.parent)
    expected = nll_of(Weights.of(sharded))
    assert np.array_equal(nll_of(Weights(path=sharded.name, hash="relative")), expected)


BESIDE = {  # what transformers reads of a model's folder, if it is there, and what its packages do
    "adapter_config.json": "{}",
    "adapter_model.safetensors.index.json": "{}",
    "config.4.0.0.json": "{}",
    "custom_generate/generate.py": "raise SystemExit",
    "generation_config.json": "{}",
    "head.safetensors": "head",
    "model.safetensors.index.json.bak": "{",
    "pytorch_model.bin": "pickle",
    "tokenizer_config.json": "{}",
}


def test_transformers_sees_the_files_that_count_and_no_other(shards, monkeypatch):
    for name, text in BESIDE.items():
        (shards / name).parent.mkdir(exist_ok=True)
        (shards / name).write_text(text)
    seen = []
    plain = transformers.AutoModelForCausalLM.from_pretrained

    def watched(folder, **settings):
        seen.extend(sorted(path.name for path in Path(folder).iterdir()))
        return plain(folder, **settings)

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", watched)
    before = Weights.of(shards).hash
    load(ModelParams(weights=Weights(path=str(shards), hash="watched")))
    counted = []
    for path in sorted(p for p in shards.rglob("*") if p.is_file()):
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        counted += [path.name] if Weights.of(shards).hash != before else []
        path.write_bytes(content)
    assert seen == counted
    kept = ["adapter_model.safetensors.index.json", "head.safetensors"]
    assert set(seen) == {"config.json", INDEX, *kept, *(f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3))}


def test_a_configuration_that_leads_to_another_file_is_not_followed(folder):
    (folder / "config.json").rename(folder / "config.4.0.0.json")
    (folder / "config.json").write_text('{"model_type": "opt", "configuration_files": ["config.4.0.0.json"]}')
    with pytest.raises(RecipeError, match=r"not a model that transformers knows .*config\.4\.0\.0\.json"):
        config_of(folder)


def test_a_gguf_file_is_converted_without_its_neighbours(tmp_path, monkeypatch):
    for name in ("a.gguf", "config.json", "tokenizer_config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    seen, asked = [], []

    def read(folder, **settings):
        seen.append([path.name for path in Path(folder).iterdir()])
        asked.append((settings["gguf_file"], settings["trust_remote_code"]))
        if len(seen) == 2:
            raise ValueError(f"{folder}/a.gguf:\nnot one")

    stub = SimpleNamespace(from_pretrained=read)
    libraries = torch, SimpleNamespace(AutoModelForCausalLM=stub, AutoTokenizer=stub)
    monkeypatch.setattr(lm, "libraries", lambda: libraries)
    with pytest.raises(RecipeError) as caught:
        lm.converted(Weights.of(tmp_path / "a.gguf"))
    message = f"{tmp_path}/a.gguf: not a GGUF file that transformers can convert ({tmp_path}/a.gguf: not one); "
    assert str(caught.value).startswith(message)
    assert seen == [["a.gguf"]] * 2
    assert asked == [("a.gguf", False)] * 2


def test_the_hash_of_what_was_measured_stays():
    """Values are kept under it."""
    assert Weights.of(OPT).hash == "3c9c255db888997d2db48e7807df6033"


def test_the_hash_of_shards_stays(tmp_path):
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    index = f'{{"weight_map": {{"a": "{names[0]}", "b": "{names[1]}"}}}}'
    files = {"config.json": "{}", "tokenizer.json": "words", INDEX: index, "head.safetensors": "head"}
    for name, text in {**files, names[0]: "1", names[1]: "2", "generation_config.json": "{}"}.items():
        (tmp_path / name).write_text(text)
    assert Weights.of(tmp_path).hash == "230bb47304223fae3aa795a8ec7d4411"


# -- messages


def test_a_message_names_the_folder_of_the_model(folder):
    edit(folder / "config.json", lambda config: config.update(model_type="nonesuch"))
    for read in (config_of, lambda path: load(ModelParams(weights=Weights.of(path)))):
        with pytest.raises(RecipeError, match="nonesuch") as caught:
            read(folder)
        assert str(caught.value).startswith(str(folder))
        assert "longmix-model-" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_model_that_does_not_fit_is_said(folder, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(RecipeError, match="does not fit on cpu; name a smaller model"):
        load(ModelParams(weights=Weights(path=str(folder), hash="full")))


def test_a_file_that_can_not_be_read(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    refused(folder, r"config\.json: can't be read \(Is a directory\); mend")


def test_no_room_for_a_temporary_folder(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StageError, match=r"no temporary folder can be made .*; set TMPDIR"):
        config_of(folder)
