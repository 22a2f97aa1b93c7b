"""`longmix plan`: exact where the tables exist, close where they don't, and plain about what can't be met."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import zstandard

from pipelines.encode import encode_texts
from pipelines.forecast import forecast, told
from pipelines.publish import find_version
from pipelines.recipe import load
from pipelines.sample import READ_BYTES, estimated, sample
from pipelines.sources import Source
from tests.conftest import TINY


def recipe(**plan):
    found = load(TINY)
    return found.model_copy(update={"plan": found.plan.model_copy(update=plan)})


def test_a_plan_from_tables_is_what_the_build_did(tiny):
    root = tiny.folder.parents[2]
    found = forecast(load(TINY), root)
    assert not found.sampled
    assert found.after.sum() == 400_000
    from flows.ask import opened

    with opened(find_version(root), None, "latest") as (con, _, _):
        drawn = dict(con.execute("SELECT domain, sum(drawn_tokens)::BIGINT FROM draws GROUP BY ALL").fetchall())
        kept = dict(
            con.execute(
                "SELECT domain, sum(n_tokens)::BIGINT FROM documents WHERE verdict = 'kept' GROUP BY ALL"
            ).fetchall()
        )
    assert dict(zip(found.before.domains, found.after.sum(axis=1).tolist(), strict=True)) == drawn
    assert dict(zip(found.before.domains, found.before.tokens.sum(axis=(1, 2)).tolist(), strict=True)) == kept
    assert "Exact, from the tables that exist." in told(found, load(TINY))


def test_a_plan_without_tables_is_close_and_says_so(tiny, tmp_path):
    guess, exact = forecast(load(TINY), tmp_path), forecast(load(TINY), tiny.folder.parents[2])
    assert min(guess.sampled.values()) > 0.5  # of the folder of books eight files are read
    assert guess.before.tokens.sum() == pytest.approx(exact.before.tokens.sum(), rel=0.1)
    assert "Estimated: the corpus was not read yet" in told(guess, load(TINY))
    assert not list(tmp_path.iterdir())  # nothing was made


def test_what_cant_be_met_is_said_with_what_is_missing(tiny):
    asked = recipe(budget_tokens=5_000_000)
    found = forecast(asked, tiny.folder.parents[2])
    missing = sum(s.missing for s in found.targets.shortfalls)
    assert found.after.sum() == 5_000_000 - missing
    text = told(found, asked)
    assert f"Can't be met: {missing:,} of 5,000,000 tokens are missing" in text
    assert re.search(r"c4: no document of 16-32K, 32-64K, 64-128K, 128K\+ tokens", text)


def test_the_cap_on_one_documents_share_is_said(tiny):
    asked = recipe(max_document_share=0.5)
    found = forecast(asked, tiny.folder.parents[2])
    assert found.left_out > 0
    assert f"Left out by max_document_share = 0.5: {found.left_out:,} tokens" in told(found, asked)


def written(path: Path, rows: list[dict]) -> None:
    raw = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(raw))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.ZstdCompressor().compress(raw))
    else:
        path.write_bytes(raw)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_large_source_is_read_in_part_and_taken_to_be_alike(tmp_path, monkeypatch, suffix):
    rng = np.random.default_rng(0)
    words = np.array(["whale", "sea", "ship", "the", "of", "harpoon", "1,024"])
    rows = [{"text": " ".join(rng.choice(words, int(n)))} for n in rng.integers(50, 3_000, 1_600)]
    path = tmp_path / f"a.jsonl{suffix}"
    written(path, rows)
    monkeypatch.setattr("pipelines.sample.READ_BYTES", 2_000_000)
    source = Source(name="a", domain="sea", path=str(path))
    found = sample(source, load(TINY).encode)
    assert 0.05 < found.part < 0.3
    cells = estimated([found], 4096)
    import pyarrow as pa

    true = [
        len(ids) for ids in encode_texts(pa.array([row["text"] for row in rows], pa.large_string()), load(TINY).encode)
    ]
    assert cells.tokens.sum() == pytest.approx(sum(true), rel=0.15)
    assert cells.documents.sum() == pytest.approx(1_600, rel=0.15)
    assert READ_BYTES > 1_000_000
