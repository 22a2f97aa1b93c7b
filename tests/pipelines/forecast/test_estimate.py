"""Cells of a source that was not read are estimated from its beginning."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from flows.forecast_text import forecast_text
from pipelines.encode import n_tokens
from pipelines.forecast import forecast
from pipelines.forecast.estimate import READ_BYTES, Sample, estimated, sample
from pipelines.ingest.source import Source
from pipelines.recipe import load
from schemas.errors import RecipeError
from tests.conftest import TINY


def written(path: Path, rows: list[dict], n_members: int) -> None:
    """n_members: of a .gz file; bgzip and others write many."""
    raw = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if path.suffix == ".gz":
        size = -(-len(raw) // n_members)
        path.write_bytes(b"".join(gzip.compress(raw[i : i + size]) for i in range(0, len(raw), size)))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.ZstdCompressor().compress(raw))
    else:
        path.write_bytes(raw)


@pytest.fixture(scope="module")
def source_rows():
    """800 rows and how many tokens they are."""
    rng = np.random.default_rng(0)
    words = np.array(["whale", "sea", "ship", "the", "of", "harpoon", "1,024"])
    texts = [" ".join(rng.choice(words, int(n))) for n in rng.integers(50, 1_500, 800)]
    total = int(n_tokens(pa.array(texts, pa.large_string()), load(TINY).encode).sum())
    return [{"text": text} for text in texts], total


@pytest.mark.parametrize(("suffix", "n_members"), [("", 1), (".gz", 1), (".gz", 90), (".zst", 1)])
def test_a_large_source_is_estimated_from_its_beginning(tmp_path, monkeypatch, source_rows, suffix, n_members):
    rows, n_tokens = source_rows
    path = tmp_path / f"a.jsonl{suffix}"
    written(path, rows, n_members)
    monkeypatch.setattr("pipelines.forecast.estimate.READ_BYTES", 500_000)
    source = Source(name="a", domain="sea", path=str(path))
    part = sample(source, load(TINY).encode)
    assert 0.05 < part.part < 0.3
    cells = estimated([part], 4096)
    assert cells.tokens.sum() == pytest.approx(n_tokens, rel=0.15)
    assert cells.documents.sum() == pytest.approx(800, rel=0.15)
    assert READ_BYTES > 1_000_000


def test_a_bos_is_a_token_of_every_document(tmp_path, source_rows):
    path = tmp_path / "a.jsonl"
    written(path, source_rows[0], 1)
    source, encode = Source(name="a", domain="sea", path=str(path)), load(TINY).encode
    plain = sample(source, encode).n_tokens
    bos = sample(source, encode.model_copy(update={"bos_token": "<|im_start|>"})).n_tokens
    assert (bos - plain).tolist() == [1] * 800


def test_cells_are_the_sample_scaled_to_the_source():
    samples = [Sample("a", "x", np.array([10, 5_000]), 0.5), Sample("b", "x", np.array([20]), 1.0)]
    samples.append(Sample("c", "y", np.array([], np.int64), 0.0))
    cells = estimated(samples, 4096)
    assert cells.domains == ("x", "y")
    assert cells.documents.sum(axis=2).tolist() == [[3, 2], [0, 0]]
    assert cells.tokens.sum(axis=2).tolist() == [[40, 10_000], [0, 0]]
    assert cells.largest.tolist() == [5_000, 0]


def test_a_source_on_the_hub_is_not_sampled():
    with pytest.raises(RecipeError, match=r"sources\.h: on the hub"):
        sample(Source(name="h", domain="x", hub="owner/name", split="train"), load(TINY).encode)


# -- what a sample says of a source


def beginning_of(where, **changes):
    source = Source(**{"name": "a", "domain": "sea", "path": str(where), **changes})
    return sample(source, load(TINY).encode)


def test_of_many_small_files_a_sample_is_read_and_the_sizes_of_all_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.forecast.estimate.MOST_FILES", 20)
    sizes = [100 + 37 * (i % 11) for i in range(200)]
    for i, n in enumerate(sizes):
        (tmp_path / f"{i:03}.txt").write_text("whale " * n)
        (tmp_path / f"{i:03}.jsonl").write_text(json.dumps({"text": "whale " * n}) + "\n")
    tokens = sum(n_tokens(pa.array(["whale " * n for n in sizes], pa.large_string()), load(TINY).encode))
    part = beginning_of(tmp_path / "*.jsonl")
    assert 0.05 < part.beginning.share < 0.2
    assert part.beginning.notes[0] == "source a: a sample of 20 of 200 files; the sizes are of all"
    cells = estimated([part], 4096)
    assert cells.tokens.sum() == pytest.approx(tokens, rel=0.1)
    assert cells.documents.sum() == pytest.approx(200, rel=0.1)
    part = beginning_of(tmp_path / "*.txt")
    assert len(part.n_tokens) == 200  # a document is a file, and its size is known
    assert part.part == 1
    assert part.n_tokens.sum() == pytest.approx(tokens, rel=0.02)


def test_what_is_rejected_in_a_sample_is_noted(tmp_path):
    rows = [{"text": "whale"}] * 6 + [{"body": "whale"}] * 4
    written(tmp_path / "a.jsonl", rows, 1)
    first, *rest = beginning_of(tmp_path / "a.jsonl").beginning.notes
    assert first.startswith("source a: 4 of 10 records rejected (")
    assert "most as text_missing: " in first
    (stops,) = rest
    assert stops.startswith("source a: a build stops here; set the source's text")
    assert stops.endswith("or set max_rejected_share = 1 to build without them")
    allowed = beginning_of(tmp_path / "a.jsonl", max_rejected_share=1).beginning.notes
    assert list(allowed) == [first]


def test_a_sample_that_is_not_all_of_a_source_states_no_fact(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.forecast.estimate.READ_BYTES", 500)
    written(tmp_path / "a.jsonl", [{"body": "whale"}] * 200, 1)
    first, second = beginning_of(tmp_path / "a.jsonl").beginning.notes
    assert "sampled records rejected" in first
    assert second.startswith("source a: a build stops if the rest is like that; ")


def test_fields_that_no_record_has_are_noted(tmp_path):
    written(tmp_path / "a.jsonl", [{"text": "whale", "source": "sea", "doc_id": "1"}] * 3, 1)
    notes = beginning_of(tmp_path / "a.jsonl", origin="sorce", id="doc_id").beginning.notes
    assert notes == ("source a: origin = 'sorce', and no record has a value of it; did you mean source?",)


@pytest.mark.parametrize("kind", ["nothing", "tiny", "one", "gz", "cut"])
def test_no_figure_is_nan(tmp_path, kind):
    folder = tmp_path / "in"
    folder.mkdir()
    line = b'{"text": "a whale"}\n'
    if kind == "nothing":
        (folder / "a.jsonl").write_bytes(b"\n\n")
        (folder / "b.jsonl").write_bytes(b"")
    elif kind == "tiny":
        for i in range(300):
            (folder / f"{i}.jsonl").write_bytes(line if i % 3 else b"")
    elif kind == "one":
        (folder / "a.jsonl").write_bytes(line)
    else:
        data = gzip.compress(line * 40_000)
        (folder / "a.jsonl.gz").write_bytes(data if kind == "gz" else data[: len(data) // 2])
    recipe = load(TINY)
    sources = tuple(
        Source(name=f"s{i}", domain=domain, path=str(path))
        for i, (domain, path) in enumerate([("sea", folder), ("land", written_one(tmp_path))])
    )
    plan = recipe.plan.model_copy(update={"shares": None})
    recipe = recipe.model_copy(update={"sources": sources, "plan": plan})
    guess = forecast(recipe, tmp_path / "root")
    text = forecast_text(guess, recipe)
    assert "nan" not in text.replace("finance", "")
    assert "inf" not in text
    assert "By this sample, " in text
    assert 0 <= min(guess.sampled.values()) <= max(guess.sampled.values()) <= 1
    if kind == "nothing":
        assert "source s0: no record; a build stops if no file has one" in text
        assert not guess.before.tokens[guess.before.domains.index("sea")].sum()


def written_one(tmp_path):
    (tmp_path / "land.jsonl").write_bytes(b'{"text": "the land"}\n')
    return tmp_path / "land.jsonl"
