"""Other scorers read the documents that the budget gives pairs, each of them once, and keep their scores."""

import json
import random

import numpy as np
import pyarrow as pa
import pytest

from pipelines.score import others
from pipelines.score.others import OtherParams, score_shard
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from schemas.errors import NotMade, SchemaError, StageError
from schemas.scores import BUDGET, SCORES_LONGATTN
from schemas.tables import DOCUMENTS, TOKENS
from scorers.infogain import InfoGainParams
from scorers.lm import ModelParams
from scorers.longattn import LongAttnParams, Score
from scorers.prolong import ProLongParams
from scorers.weights import Weights
from tests.tokens import token_row, with_bos

MODEL = ModelParams(weights=Weights(path="model", hash="h"))
NOTHING = np.empty(0)


def params_of(scorer=None, most_tokens=1_000):
    scorer = scorer or LongAttnParams(window_tokens=512)
    return OtherParams(
        scorer=scorer, model=MODEL, fingerprint=("f", "g"), tokenizer="t", most_tokens=most_tokens, marks=1
    )


@pytest.fixture
def texts(monkeypatch):
    """The texts that the scorer read; in place of a model it adds up their tokens."""
    read = []

    def score(_, model, ids):
        assert model == "the model"
        read.append(ids.tolist())
        if len(ids) < 3:
            return Score(
                "too_short",
                f"{len(ids)} tokens",
                dict.fromkeys(("ds", "du", "window_tokens", "n_windows")),
                NOTHING,
                NOTHING,
            )
        parts = {"ds": ids.sum() / 7, "du": -0.5, "window_tokens": float(len(ids)), "n_windows": 1.0}
        return Score("scored", None, parts, NOTHING, NOTHING)

    monkeypatch.setattr(LongAttnParams, "score", score)
    monkeypatch.setattr(others.lm, "load", lambda _: "the model")
    return read


def case(seed):
    """Tables of a shard of a few documents."""
    rng = random.Random(seed)
    rows = []
    for _ in range(rng.randint(0, 8)):
        n = rng.choice([0, 2, 3])
        why = "more" if n else rng.choice(["dropped", "too_short", "short", "list", "budget"])
        ids = None if why == "dropped" else [*(rng.randrange(1, 90) for _ in range(rng.choice([2, 3, 9, 12]))), 0]
        rows.append((f"{rng.getrandbits(128):032x}", n, why, ids))
    names, n_pairs, why, ids = ([row[k] for row in rows] for k in range(4))
    own = {"document_id": [name[::-1] for name in names], "content_hash": names}
    documents = [own.get(field.name, [0 if field.type == pa.int64() else "x"] * len(names)) for field in DOCUMENTS]
    tokens = [token_row(name, each) for name, each in zip(own["document_id"], ids, strict=True)]
    return (
        pa.table([pa.array(c, f.type) for c, f in zip(documents, DOCUMENTS, strict=True)], schema=DOCUMENTS),
        pa.Table.from_pylist(tokens, schema=TOKENS),
        pa.table(
            [pa.array(c, f.type) for c, f in zip((own["document_id"], n_pairs, why), BUDGET, strict=True)],
            schema=BUDGET,
        ),
    )


def slow_rows(documents, tokens, budget, most):
    rows = []
    for document, own, given in zip(documents.to_pylist(), tokens.to_pylist(), budget.to_pylist(), strict=True):
        row = dict.fromkeys(SCORES_LONGATTN.names) | {"document_id": document["document_id"], "reason": given["why"]}
        row["status"] = given["why"] if given["why"] in ("dropped", "too_short") else "not_scored"
        if given["n_pairs"]:
            ids = own["input_ids"][:-1][:most]
            row |= {"status": "too_short", "reason": f"{len(ids)} tokens"}
            if len(ids) > 2:
                row |= {
                    "status": "scored",
                    "reason": None,
                    "ds": sum(ids) / 7,
                    "du": -0.5,
                    "window_tokens": len(ids),
                    "n_windows": 1,
                }
        rows.append(row)
    return rows


def test_a_shard_is_the_slow_one_and_each_document_is_read_once(tmp_path, texts):
    seen = set()
    for seed in range(60):
        store, shard = Store(tmp_path / str(seed)), case(seed)
        texts.clear()
        table = score_shard(*shard, params_of(most_tokens=10), store)
        assert table.to_pylist() == slow_rows(*shard, 10), f"{seed=}"
        assert len(texts) == sum(n > 0 for n in shard[2]["n_pairs"].to_pylist())
        assert all(len(text) <= 10 and 0 not in text for text in texts)
        seen |= {(row["status"], row["reason"] is None) for row in table.to_pylist()} | {len(text) for text in texts}
        before = list(texts)
        assert score_shard(*shard, params_of(most_tokens=10), store).equals(table)
        assert texts == before  # kept
    assert seen >= {("scored", True), ("too_short", False), ("not_scored", False), ("dropped", False), 10, 9, 2}


def test_a_bos_is_not_read(tmp_path, texts):
    documents, tokens, budget = case(7)
    plain = score_shard(documents, tokens, budget, params_of(), Store(tmp_path / "plain"))
    read, _ = list(texts), texts.clear()
    params = params_of().model_copy(update={"marks": 2})
    assert score_shard(documents, with_bos(tokens, 95), budget, params, Store(tmp_path / "bos")).equals(plain)
    assert texts == read
    assert read
    assert params.model_dump() == params_of().model_dump()  # what was scored before is not scored again


def read_again(tmp_path, texts, spoil):
    """The texts that are read again after something was done to the kept scores."""
    store, shard = Store(tmp_path), case(7)
    table = score_shard(*shard, params_of(), store)
    assert len(texts) > 1
    (folder,) = (store.root / "measured" / "longattn").iterdir()
    spoil(sorted(folder.rglob("*.json")))
    texts.clear()
    assert score_shard(*shard, params_of(), store).equals(table)
    return list(texts)


def test_a_kept_score_that_is_damaged_or_gone_is_computed_again(tmp_path, texts):
    assert len(read_again(tmp_path / "a", texts, lambda paths: paths[0].write_bytes(paths[0].read_bytes()[:9]))) == 1
    assert len(read_again(tmp_path / "b", texts, lambda paths: paths[1].unlink())) == 1
    assert read_again(tmp_path / "c", texts, lambda _: None) == []


def test_what_else_a_score_depends_on_keeps_it_apart(tmp_path, texts):
    store, shard = Store(tmp_path), case(7)
    for params in (params_of(), params_of(most_tokens=999), params_of(LongAttnParams(window_tokens=400))):
        before = len(texts)
        score_shard(*shard, params, store)
        assert len(texts) > before


@pytest.mark.parametrize(
    ("scorer", "name"),
    [
        (ProLongParams(sample_size=20, chunk_size=32, window_size=640), "f665a24919db0396c05501ee81ee37d2"),
        (InfoGainParams(), "41256eeb51aba48f2eda1c52583e0f13"),
        (LongAttnParams(window_tokens=512), "df5726ea953aa190a3ee8efcee4ca165"),
    ],
)
def test_a_folder_of_scores_keeps_its_name(tmp_path, monkeypatch, scorer, name):
    """Scores that were kept before must be found."""
    documents, tokens, budget = case(7)
    values = {
        "status": "error",
        "reason": "kept",
        **dict.fromkeys(others.TABLES[f"SCORES_{scorer.kind.upper()}"].names[3:]),
    }
    for content_hash in documents["content_hash"].to_pylist():
        path = tmp_path / "measured" / scorer.kind / name / content_hash[:2] / f"{content_hash}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    monkeypatch.setattr(others.lm, "load", None)
    table = score_shard(documents, tokens, budget, params_of(scorer), Store(tmp_path))
    assert "error" in table["status"].to_pylist()


def test_a_scorer_whose_parts_are_not_its_columns_is_refused(tmp_path, texts, monkeypatch):
    monkeypatch.setattr(LongAttnParams, "score", lambda *_: Score("scored", None, {"ds": 1.0}, NOTHING, NOTHING))
    with pytest.raises(SchemaError, match="do not fit the columns"):
        score_shard(*case(7), params_of(), Store(tmp_path))
    assert texts == []


def test_a_run_makes_a_shard_beside_each_and_a_look_makes_none(tmp_path, texts):
    store = Store(tmp_path)
    engine = Engine(store, Runner(workers=1))
    shards = [case(seed) for seed in (7, 8, 9)]
    tables = [
        [store.write(name, each[k]) for each in shards] for k, name in enumerate(("DOCUMENTS", "TOKENS", "BUDGET"))
    ]
    with pytest.raises(NotMade):
        others.run(*tables, params_of(), engine.look())
    assert texts == []
    scores = others.run(*tables, params_of(), engine)
    assert [shard.table for shard in scores] == ["SCORES_LONGATTN"] * 3
    assert [store.read(s).to_pylist() for s in scores] == [slow_rows(*each, 1_000) for each in shards]
    assert others.run(*tables, params_of(), engine.look()) == scores


def test_an_error_of_a_scorer_is_no_score(tmp_path, texts, monkeypatch):
    def fails(*_):
        raise StageError("score: a pass does not fit into memory")

    monkeypatch.setattr(LongAttnParams, "score", fails)
    with pytest.raises(StageError, match="memory"):
        score_shard(*case(7), params_of(), Store(tmp_path))
    assert not list(tmp_path.rglob("measured/**/*.json"))
    assert texts == []
