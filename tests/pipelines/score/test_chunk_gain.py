"""SCORES_CHUNK_GAIN is put together from kept pairs, as many as the budget says; a missing pair stops the stage."""

import math
import random
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest

from pipelines.score.chunk_gain import Assembly, score_shard, scored
from pipelines.score.kept_pairs import Measured
from pipelines.stage import Engine, Read, Runner, ShardStage
from pipelines.store import Store
from pipelines.store.files import HashedFile
from schemas.errors import NotMade, StageError
from schemas.scores import BUDGET, SCORES_CHUNK_GAIN
from schemas.tables import DOCUMENTS, TOKENS
from scorers.chunk_gain import MeasuredPair, Parts, chunks_of, parts
from scorers.chunk_gain.pairs import first_pairs
from tests.tokens import token_row

SEEDS = range(25)
C, S = 4, 12  # tokens of a chunk, chunks of a document


def case(seed, folder, n_pairs=None):
    """A shard of a few documents, some of them measured further than their budget says."""
    rng = random.Random(seed)
    if n_pairs is None:
        n_pairs = [rng.choice([0, 0, 2, 6, 7]) for _ in range(rng.randint(0, 7))]
    names = [f"{rng.getrandbits(128):032x}" for _ in n_pairs]
    ids = [[rng.randrange(50) for _ in range(S * C + rng.choice([0, 3]))] + [0] for _ in names]
    documents = pa.table({"content_hash": pa.array(names, pa.string())})
    tokens = pa.table({"input_ids": pa.array(ids, pa.list_(pa.int32()))})
    given = {
        "document_id": [name[::-1] for name in names],
        "n_pairs": n_pairs,
        "why": ["more" if n else "short" for n in n_pairs],
    }
    measured = Measured(folder)
    for name, n in zip(names, n_pairs, strict=True):
        more = [
            MeasuredPair(i, j, rng.random() + 1, rng.random()) for i, j in first_pairs(S, name, n + rng.choice([0, 2]))
        ]
        measured.add(name, more)
    params = Assembly(
        fingerprint=("f",), chunk_tokens=C, tokenizer=HashedFile(path="t", hash="t"), calibration=None, measured=folder,
        marks=1,
    )  # fmt: skip
    return documents, tokens, pa.table(given, schema=BUDGET), params


def slow_rows(documents, tokens, budget, params):
    rows = []
    names, texts = documents["content_hash"].to_pylist(), tokens["input_ids"].to_pylist()
    for name, ids, given in zip(names, texts, budget.to_pylist(), strict=True):
        row = dict.fromkeys(SCORES_CHUNK_GAIN.names) | {"document_id": given["document_id"]}
        row |= {"status": "not_scored", "reason": "short", "n_near": 0, "n_far": 0, "n_chunks": 0, "pairs": []}
        if given["n_pairs"]:
            pairs = Measured(params.measured).of(name)[: given["n_pairs"]]
            row |= scored(parts(pairs, chunks_of(np.array(ids[:-1]), C), name, None), pairs)
        rows.append(row)
    return rows


def test_a_shard_is_the_slow_one(tmp_path):
    n_read = 0
    for seed in SEEDS:
        shard = case(seed, tmp_path / str(seed))
        assert score_shard(*shard).to_pylist() == slow_rows(*shard), f"{seed=}"
        n_read += sum(n > 0 for n in shard[2]["n_pairs"].to_pylist())
    assert n_read > 20


def test_a_bos_is_no_token_of_a_chunk(tmp_path):
    documents, tokens, budget, params = case(2, tmp_path, [0, 2, 6])
    rows = [None if ids is None else [99, *ids] for ids in tokens["input_ids"].to_pylist()]
    bos = pa.table({"input_ids": pa.array(rows, pa.list_(pa.int32()))})
    two = params.model_copy(update={"marks": 2})
    assert score_shard(documents, bos, budget, two).equals(score_shard(documents, tokens, budget, params))
    assert two.model_dump() == params.model_dump()


def test_the_budget_says_how_many_pairs_count(tmp_path):
    documents, tokens, budget, params = case(2, tmp_path, [0, 2, 6, 7, 2, 0])
    rows = score_shard(documents, tokens, budget, params).to_pylist()
    assert [len(row["pairs"]) for row in rows] == budget["n_pairs"].to_pylist()
    kept = [len(Measured(tmp_path).of(name)) for name in documents["content_hash"].to_pylist()]
    assert any(have > len(row["pairs"]) > 0 for have, row in zip(kept, rows, strict=True))


def test_a_missing_pair_stops_the_stage_and_is_no_lack_of_a_build(tmp_path):
    """NotMade would say that the mix is not built yet, and would never be retried."""
    documents, tokens, budget, params = case(2, tmp_path, [0, 2, 6])
    name = documents["content_hash"][2].as_py()
    lines = Measured(tmp_path).path(name).read_bytes().splitlines(keepends=True)
    Measured(tmp_path).path(name).write_bytes(b"".join(lines[:6]))
    score_shard(documents, tokens, budget, params)
    Measured(tmp_path).path(name).write_bytes(b"".join(lines[:5]))
    with pytest.raises(StageError, match=f"5 of 6 pairs .* {name} are in .*; run the build again") as caught:
        score_shard(documents, tokens, budget, params)
    assert not isinstance(caught.value, NotMade)
    Measured(tmp_path).path(name).unlink()
    with pytest.raises(StageError, match="0 of 6 pairs"):
        score_shard(documents, tokens, budget, params)


def test_a_worker_that_misses_a_pair_stops_the_build_with_the_same_error(tmp_path):
    documents, tokens, budget, params = case(2, tmp_path / "measured", [2, 0])
    Measured(params.measured).path(documents["content_hash"][0].as_py()).unlink()
    store = Store(tmp_path / "root")
    rows = {name: documents["content_hash"].to_pylist() for name in ("content_hash", "document_id")}
    own = {
        field.name: rows.get(field.name, [0 if field.type == pa.int64() else "x"] * len(documents))
        for field in DOCUMENTS
    }
    ids = tokens["input_ids"].to_pylist()
    shards = [
        store.write("DOCUMENTS", pa.table(own, schema=DOCUMENTS)),
        store.write("TOKENS", pa.Table.from_pylist(list(map(token_row, rows["document_id"], ids)), schema=TOKENS)),
        store.write("BUDGET", budget),
    ]
    columns = ("content_hash",), ("input_ids",), ("document_id", "n_pairs", "why")
    stage = ShardStage("score", 1, "SCORES_CHUNK_GAIN", score_shard)
    reads = [tuple(Read(shard, names) for shard, names in zip(shards, columns, strict=True))]
    with pytest.raises(StageError, match="pairs of the document"):
        Engine(store, Runner(workers=1)).shards(stage, params, reads)


NUMBERS = Parts(0.1, 0.2, 0.3, 0.4, 1, 3, S, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def test_values_go_to_the_columns_of_their_meaning():
    row = scored(NUMBERS, [MeasuredPair(5, 1, 2.0, 1.0)])
    assert (row["status"], row["reason"]) == ("scored", None)
    assert row["pairs"] == [{"target": 5, "context": 1, "alone": 2.0, "after": 1.0}]
    named = {
        "score": "far", "error": "far_error", "near": "near", "near_error": "near_error", "uncorrected": "uncorrected_far",
        "uncorrected_near": "uncorrected_near", "strong_share": "strong_share", "strength": "strength",
        "distance": "distance", "entropy_factor": "entropy_factor", "n_near": "n_near", "n_far": "n_far",
        "n_chunks": "n_chunks",
    }  # fmt: skip
    assert {name: row[name] for name in named} == {name: asdict(NUMBERS)[part] for name, part in named.items()}
    assert {*named, "status", "reason", "pairs", "document_id"} == set(SCORES_CHUNK_GAIN.names)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_part_that_is_no_number_is_null_and_without_far_or_near_nothing_is(value):
    row = scored(Parts(**asdict(NUMBERS) | {"far_error": value}), [])
    assert (row["status"], row["score"], row["error"]) == ("scored", 0.3, None)
    for part in ("far", "near"):
        row = scored(Parts(**asdict(NUMBERS) | {part: value}), [])
        assert (row["status"], row["reason"]) == ("error", "the model's nll is not a finite number")
        assert not any(row[field.name] for field in SCORES_CHUNK_GAIN if field.type == pa.float64())
        assert (row["n_near"], row["n_far"], row["n_chunks"]) == (1, 3, S)
