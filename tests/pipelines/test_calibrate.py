"""`longmix calibrate`: what it needs of a build, what it makes itself, and what it refuses before it begins."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.progress import Follower
from pipelines import calibrate as module
from pipelines import dedup, encode, ingest
from pipelines.calibrate import calibrate, check_out
from pipelines.score import measure
from pipelines.score.kept_pairs import Measured
from pipelines.score.model import reader_of
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from pipelines.store.lock import locked
from schemas.errors import BusyError, RecipeError
from tests import scored

ONE = Runner(workers=1)
N_CHUNKS = 12
N_PAIRS = N_CHUNKS * (N_CHUNKS - 1) // 2


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """A recipe of two documents, and a root where they were read and encoded as a build without [score] does."""
    folder = tmp_path_factory.mktemp("calibrate")
    text = max(
        (scored.ROOT / "examples" / "corpus" / "book").rglob("*.txt"), key=lambda p: p.stat().st_size
    ).read_text()
    records = [{"id": str(k), "text": text[start : start + 1_000]} for k, start in enumerate((20_000, 40_000))]
    (folder / "two.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    recipe = scored.recipe(folder, chunk_tokens=8)
    source = recipe.sources[0].model_copy(
        update={"path": str(folder / "two.jsonl"), "license": "public domain", "license_field": None, "origin": None}
    )
    recipe = recipe.model_copy(update={"sources": (source,), "run": ONE})
    store = Store(folder / "root")
    engine = Engine(store, ONE)
    with locked(store.root, "read", "--root"):
        documents, _ = ingest.run(recipe.sources, engine)
        _, duplicates, _ = dedup.run(documents, recipe.dedup, (source.name,), {}, engine)
        encode.run(documents, duplicates, recipe.encode, engine)
    return recipe, store.root


@pytest.fixture
def root(read, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNKS", N_CHUNKS)
    return shutil.copytree(read[1], tmp_path / "root")


def test_the_tokens_of_a_model_with_its_own_tokenizer_are_made(read, root, monkeypatch):
    recipe = read[0]
    assert reader_of(recipe.score, recipe.encode).tokenizer != recipe.encode.tokenizer
    said = []
    found = calibrate(recipe, root, 2, said.append)
    assert (found.n_documents, found.n_pairs, found.chunk_tokens) == (2, 2 * N_PAIRS, 8)
    assert found.weights == recipe.score.model.weights.hash
    assert said == [f"2 documents, {2 * N_PAIRS} pairs, resumed where it was stopped"]
    monkeypatch.setattr(Measured, "add", None)  # a second time nothing is measured
    monkeypatch.setattr(encode, "either", None)  # nor encoded
    assert calibrate(recipe, root, 2, said.append) == found


def test_its_progress_is_shown(read, root):
    (root / "progress.jsonl").write_text('{"time": 1, "stage": "ingest", "event": "begun"}\n')
    follower = Follower(root)
    calibrate(read[0], root, 2, str)
    follower.poll()
    assert follower.stages["measure"].made == 2
    assert follower.stages["measure"].ended


def test_it_holds_the_root(read, root, monkeypatch):
    with locked(root, "another", "--root"), pytest.raises(BusyError, match="another holds it"):
        calibrate(read[0], root, 2, str)
    seen = []

    def run(*_):
        with pytest.raises(BusyError, match="a calibration for 'scored' holds it"), locked(root, "another", "--root"):
            pass
        seen.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "run", run)
    with pytest.raises(KeyboardInterrupt):
        calibrate(read[0], root, 2, str)
    assert seen


def test_a_root_that_is_not_there_is_named_and_not_made(read, tmp_path):
    gone = tmp_path / "gone"
    with pytest.raises(RecipeError, match=r"gone: .*build it first"):
        calibrate(read[0], gone, 2, str)
    assert not gone.exists()
    gone.mkdir()
    with pytest.raises(RecipeError, match=r"gone: .*build it first"):
        calibrate(read[0], gone, 2, str)
    assert not list(gone.iterdir())


def test_documents_that_were_not_read_are_not_read_now(read, root):
    shutil.rmtree(root / "actions" / "dedup")
    shutil.rmtree(root / "actions" / "ingest")
    with pytest.raises(RecipeError, match=r"not read there yet; build it first"):
        calibrate(read[0], root, 2, str)
    assert not (root / "actions" / "ingest").exists()


def test_too_few_documents_are_refused(read, root):
    with pytest.raises(RecipeError, match=r"2 documents have 12 chunks of 8 tokens; ask for fewer"):
        calibrate(read[0], root, 3, str)


def test_an_output_that_can_be_written_stays_as_it_is(tmp_path):
    check_out(tmp_path / "new.json")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old.json").write_text("old")
    check_out(tmp_path / "old.json")
    assert (tmp_path / "old.json").read_text() == "old"


@pytest.mark.parametrize(("out", "why"), [("gone/c.json", "No such file"), (".", "Is a directory")])
def test_an_output_that_can_not_be_written_is_refused_before_the_work(out, why, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "calibrate", None)
    recipe = tmp_path / "scored.toml"
    scored.recipe(tmp_path)
    found = CliRunner().invoke(app, ["calibrate", str(recipe), str(tmp_path / out), "--root", str(tmp_path)])
    assert isinstance(found.exception, RecipeError)
    assert f"{tmp_path / out}: can't be written ({why}" in str(found.exception)
