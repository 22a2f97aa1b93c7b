"""Which samples a model reads, what is kept, and what changes run it again. The model is a stub: numbers from the ids."""

import json
from collections import Counter

import numpy as np
import pytest

from pipelines import choose, influence
from pipelines.choose import ChooseParams
from pipelines.influence import kept as kept_module
from pipelines.influence import reading as reading_module
from pipelines.influence.kept import Kept
from schemas.errors import NotMade
from scorers.influence import InfluenceParams, RawParts, ShortParams
from scorers.lm import ModelParams
from scorers.weights import Weights
from tests.pipelines.corpora import engine_in, rows_of
from tests.sft import joined, random_rows, written

MODEL = ModelParams(weights=Weights(path="none", hash="0"))


def params(**changes):
    return InfluenceParams(model=MODEL, short=ShortParams(context_tokens=8), **changes)


def stub_parts(sample, settings):
    """Values that depend on every token and span; no CAM with less than two segments."""
    n, n_segments = len(sample.response), -(-len(sample.context) // settings.segment_tokens)
    seed = int(sample.ids.sum()) * 1000 + sample.context_start * 100 + sample.context_stop * 10 + sample.response_start
    rng = np.random.default_rng(seed)
    has_cam = n_segments > 1
    return RawParts(
        "scored", None, *(("scored", None) if has_cam else ("too_short", "one segment")), *rng.uniform(0, 3, (4, n)),
        rng.uniform(0, 3, (n_segments if has_cam else 0, n)), *rng.uniform(0, 1, (2, 3, n_segments)),
        np.full(n_segments, settings.segment_tokens, np.int32), len(sample.context), False, len(sample.ids),
    )  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """The samples that the stub read."""
    read = []

    def raw_parts(pair, sample, settings):
        assert pair == "pair"
        read.append(sample)
        return stub_parts(sample, settings)

    monkeypatch.setattr(kept_module, "load", lambda _: "pair")
    monkeypatch.setattr(kept_module, "raw_parts", raw_parts)
    monkeypatch.setattr(
        kept_module, "fingerprint", lambda p: (p.model.weights.hash, p.segment_tokens, p.short.model_dump_json())
    )
    monkeypatch.setattr(reading_module, "cost", lambda sample, _: len(sample.ids))
    return read


SEGMENT = {"segment_tokens": 16}


def run(rows, root, workers=1, **changes):
    engine = engine_in(root, workers)
    tables = written({name: rows[name] for name in ("DOCUMENTS", "SAMPLES")}, engine.store)
    hmg, cam = influence.run(
        tables["DOCUMENTS"], tables["SAMPLES"], params(**{**SEGMENT, **changes}), ("tips",), engine
    )
    return hmg, cam, engine


def read_samples(rows):
    """The samples that a model reads without a budget."""
    return [s for s in joined(rows) if s["SAMPLES"]["status"] == "encoded" and s["DOCUMENTS"]["source"] != "tips"]


def test_every_sample_has_the_values_of_its_tokens_or_a_reason(tmp_path, calls):
    rows = random_rows(0)
    hmg, cam, engine = run(rows, tmp_path)
    seen = Counter()
    for sample, of_hmg, of_cam in zip(
        joined(rows), rows_of(engine.store, hmg), rows_of(engine.store, cam), strict=True
    ):
        s = sample["SAMPLES"]
        assert of_hmg["document_id"] == of_cam["document_id"] == s["document_id"]
        if s["status"] != "encoded" or sample["DOCUMENTS"]["source"] == "tips":
            reason = "short_source" if s["status"] == "encoded" else s["status"]
            status = "dropped" if reason == "dropped" else "not_scored"
            for row in (of_hmg, of_cam):
                assert (row["status"], row["reason"]) == (status, reason)
                assert {v for k, v in row.items() if k not in ("document_id", "status", "reason")} == {None}
            seen[reason] += 1
            continue
        own = reading_module.Sample(np.array(s["input_ids"][: s["response_stop"]], np.int32), s["context_start"], s["context_stop"], s["response_start"])  # fmt: skip
        raw = stub_parts(own, params(**SEGMENT))
        assert of_hmg["nll_gain"] == raw.nll_short.mean() - raw.nll_long.mean()
        assert of_hmg["response_tokens"] == s["response_stop"] - s["response_start"]
        assert (of_cam["status"], of_cam["reason"]) == (raw.cam_status, raw.cam_reason)
        if raw.cam_status == "scored":
            assert of_cam["segment_nll"] == raw.segment_nll.mean(axis=1).tolist()
            assert np.array_equal(np.array(of_cam["attention"], np.float32), raw.attention.astype(np.float32))
            assert len(of_cam["segment_tokens"]) == of_cam["n_segments"]
        seen[raw.cam_status] += 1
    assert all(seen[x] for x in ("dropped", "refused", "short_source", "scored", "too_short"))
    assert len(calls) == len(read_samples(rows))


def test_workers_do_not_change_the_result(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(influence, "ITEM_TOKENS", 500)
    rows = random_rows(1)
    one = run(rows, tmp_path / "one")[:2]
    n = len(calls)
    assert run(rows, tmp_path / "two", workers=2)[:2] == one
    assert len(calls) == 2 * n


def test_nothing_that_was_measured_is_measured_again(tmp_path, calls):
    rows = random_rows(0)
    hmg, _, engine = run(rows, tmp_path)
    n = len(calls)
    engine.store.path(hmg[0]).unlink()
    assert run(rows, tmp_path)[0] == hmg
    assert len(calls) == n
    more = random_rows(5, n_shards=1)
    for name in more:  # in front of the others: all shards change
        rows[name][0] = [*more[name][0], *rows[name][0]]
    run(rows, tmp_path)
    assert len(calls) == n + len(read_samples(more))


def test_a_torn_file_is_measured_again(tmp_path, calls):
    rows = random_rows(0)
    hmg, cam, engine = run(rows, tmp_path)
    n = len(calls)
    first, second, third = sorted(tmp_path.glob("measured/influence/*/*/*.json"))[:3]
    first.write_bytes(first.read_bytes()[:40])
    second.write_bytes(b"[]")
    third.write_text(json.dumps({"SCORES_HMG": {}}))
    for shard in (*hmg, *cam):
        engine.store.path(shard).unlink()
    assert run(rows, tmp_path)[:2] == (hmg, cam)
    assert len(calls) == n + 3


def test_other_tokens_and_other_settings_are_measured(tmp_path, calls):
    rows = random_rows(0)
    run(rows, tmp_path)
    n = len(calls)
    run(rows, tmp_path, segment_tokens=8)
    assert len(calls) == 2 * n
    for s in read_samples(rows)[:3]:
        s["SAMPLES"]["input_ids"][0] += 1
    moved = read_samples(rows)[3]["SAMPLES"]
    moved["context_start"] -= 1
    run(rows, tmp_path)
    assert len(calls) == 2 * n + 4


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_budget_is_spent_on_the_cheapest(tmp_path, calls, share):
    rows = random_rows(0)
    costs = sorted(s["SAMPLES"]["response_stop"] for s in read_samples(rows))
    budget = max(1, int(sum(costs) * share))
    hmg, cam, engine = run(rows, tmp_path, budget_tokens=budget)
    read = sorted(len(sample.ids) for sample in calls)
    assert read == [c for c, total in zip(costs, np.cumsum(costs), strict=True) if total <= budget]
    for shards in (hmg, cam):
        reasons = Counter(row["reason"] for row in rows_of(engine.store, shards))
        assert reasons["budget"] == len(costs) - len(read)
    assert sum(read) <= budget


def test_samples_of_equal_cost_are_read_in_keyed_order(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(reading_module, "cost", lambda *_: 10)
    rows = random_rows(0)
    hmg, _, engine = run(rows, tmp_path, budget_tokens=200)
    scored = {row["document_id"] for row in rows_of(engine.store, hmg) if row["status"] == "scored"}
    assert len(scored) == len(calls) == 20
    turned = {name: [shard[::-1] for shard in table[::-1]] for name, table in rows.items()}
    hmg, _, engine = run(turned, tmp_path / "turned", budget_tokens=200)
    assert {row["document_id"] for row in rows_of(engine.store, hmg) if row["status"] == "scored"} == scored
    by_hash = sorted(read_samples(rows), key=lambda s: s["DOCUMENTS"]["content_hash"])[:20]
    assert {s["DOCUMENTS"]["document_id"] for s in by_hash} != scored


def test_a_larger_budget_reads_the_others_alone(tmp_path, calls):
    rows = random_rows(0)
    total = sum(s["SAMPLES"]["response_stop"] for s in read_samples(rows))
    run(rows, tmp_path, budget_tokens=total // 2)
    assert 0 < len(calls) < len(read_samples(rows))
    run(rows, tmp_path)
    assert len(calls) == len(read_samples(rows))


def test_choosing_runs_no_model(tmp_path, calls):
    rows = random_rows(0)
    hmg, cam, engine = run(rows, tmp_path)
    n = len(calls)
    tables = written({name: rows[name] for name in ("DOCUMENTS", "SAMPLES", "SIGNATURES")}, engine.store)
    tables |= {"SCORES_HMG": hmg, "SCORES_CAM": cam}
    sets = []
    for changes in ({}, {"alpha": 0.2}, {"top": 5}, {"direction": "alignment"}, {"normalise": "official"}):
        choice = ChooseParams(short_sources=("tips",), **changes)
        sets.append(choose.run(tables, choice, 1_300, engine)["CHOSEN"])
        assert run(rows, tmp_path)[:2] == (hmg, cam)
    assert len({s[0].content_hash for s in sets}) == len(sets)
    assert len(calls) == n


def test_an_engine_that_only_looks_runs_no_model(tmp_path, calls):
    engine = engine_in(tmp_path)
    tables = written({name: random_rows(0)[name] for name in ("DOCUMENTS", "SAMPLES")}, engine.store)
    arguments = tables["DOCUMENTS"], tables["SAMPLES"], params(**SEGMENT), ("tips",)
    with pytest.raises(NotMade):
        influence.run(*arguments, engine.look())
    assert calls == []
    made = influence.run(*arguments, engine)
    assert influence.run(*arguments, engine.look()) == made
    assert influence.run([], [], params(), (), engine) == ([], [])


def test_items_have_about_equal_costs(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(influence, "ITEM_TOKENS", 100)
    (shard,) = written({"SAMPLES": random_rows(0, n_shards=1)["SAMPLES"]}, engine_in(tmp_path).store)["SAMPLES"]
    reading = reading_module.Reading(np.array(["", "budget", "", "", "", ""], object), np.array([60, 0, 40, 1, 200, 5]))
    items = list(influence.items_of(shard, reading))
    assert [(item.rows, item.cost) for item in items] == [((0, 2), 100), ((3,), 1), ((4,), 200), ((5,), 5)]
    assert calls == []


def test_a_place_is_a_hash_of_tokens_and_spans(tmp_path):
    kept = Kept(tmp_path)
    own = reading_module.blank(1, 3, 4, 6)
    others = [reading_module.blank(*spans) for spans in ((0, 3, 4, 6), (1, 2, 4, 6), (1, 3, 5, 6), (1, 3, 4, 7))]
    assert len({kept.path(sample) for sample in (own, *others)}) == 5
