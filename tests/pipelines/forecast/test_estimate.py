"""Cells of a source that was not read are estimated from its beginning."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from pipelines.encode import n_tokens
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
