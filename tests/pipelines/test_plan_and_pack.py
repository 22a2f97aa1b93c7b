"""From tokens to training rows on small random corpora, against code that looks at every document in turn."""

from collections import defaultdict
from fractions import Fraction
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines import pack, plan
from pipelines.encode import EncodeParams
from pipelines.pack import PackParams
from pipelines.pack.packers import PACKERS
from pipelines.pack.scatter import check_all_written
from pipelines.plan import PlanParams
from pipelines.stage import Runner
from pipelines.store import Store
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError, StageError
from schemas.tables import DOCUMENTS, TABLES, TOKENS

ENCODE = EncodeParams(tokenizer=HashedFile(path="none", hash="0"), eos_token="</s>")
SEEDS = range(6)


def digest(name):
    return blake2b(name.encode(), digest_size=16).hexdigest()


def corpus(seed, store, n_shards=3):
    """Documents of random lengths in three domains, some dropped; shards of DOCUMENTS and TOKENS, and all kept ids."""
    rng = np.random.default_rng(seed)
    documents, tokens, kept = [], [], {}
    for shard in range(n_shards):
        texts, ids = [], []
        for i in range(int(rng.integers(0, 30)) if shard else 30):
            name, domain = f"{seed}-{shard}-{i}", str(rng.choice(["a", "b", "c"], p=[0.6, 0.3, 0.1]))
            n = int(rng.choice([1, 3, 17, 60, 300]))
            input_ids = [*(int(x) for x in rng.integers(1, 1000, n)), 0] if rng.random() < 0.9 else None
            texts.append({
                "document_id": digest("id" + name), "content_hash": digest(name), "source": "s", "origin": None, "domain": domain,
                "license": None, "file": "f", "record": i, "n_bytes": 1, "text": name,
            })  # fmt: skip
            ids.append(
                {"document_id": digest("id" + name), "n_tokens": input_ids and len(input_ids), "input_ids": input_ids}
            )
            if input_ids:
                kept[digest("id" + name)] = (domain, input_ids)
        documents.append(store.write("DOCUMENTS", pa.Table.from_pylist(texts, schema=DOCUMENTS)))
        tokens.append(store.write("TOKENS", pa.Table.from_pylist(ids, schema=TOKENS)))
    return documents, tokens, kept


def rows_of(store, shards):
    return [row for shard in shards for row in store.read(shard).to_pylist()]


def built(seed, root, packer="best_fit", workers=1, **changes):
    store = Store(root)
    documents, tokens, kept = corpus(seed, store)
    total = sum(len(ids) for _, ids in kept.values())
    params = PlanParams(**{"budget_tokens": total // 2, "long_tokens": 50, "max_epochs": 3, **changes})
    runner = Runner(workers=workers)
    draws = plan.run(documents, tokens, [], params, store, runner)
    sequences = pack.run(tokens, draws, ENCODE, PackParams(packer=packer, sequence_tokens=128), store, runner)
    return store, kept, params, draws, sequences


def judged_corpus(seed, store, table, rows_for):
    """A corpus with scores, and the tokens of each domain. rows_for: document_id, domain -> a row of the table."""
    documents, tokens, kept = corpus(seed, store)
    scores = []
    for shard in documents:
        rows = [rows_for(row["document_id"], row["domain"]) for row in store.read(shard).to_pylist()]
        filled = [dict.fromkeys(TABLES[table].names) | row for row in rows]
        scores.append(store.write(table, pa.Table.from_pylist(filled, schema=TABLES[table])))
    held = {name: sum(len(ids) for domain, ids in kept.values() if domain == name) for name in "abc"}
    return documents, tokens, scores, kept, held


def test_what_the_scores_keep_out_counts_in_its_domains_share(tmp_path):
    """Half of domain a is kept out, and none of the others: its share of the mix stays as it was."""
    for seed in SEEDS:
        store = Store(tmp_path / str(seed))

        def gain(name, domain):
            score = int(name, 16) % 97 / 97 if domain == "a" else None
            status = (
                {"status": "scored", "score": score} if domain == "a" else {"status": "not_scored", "reason": "short"}
            )
            return {"document_id": name, "n_near": 0, "n_far": 0, "n_chunks": 0, "pairs": [], **status}

        documents, tokens, scores, kept, held = judged_corpus(seed, store, "SCORES_CHUNK_GAIN", gain)
        select = {"by": "chunk_gain", "top_share": 0.5}
        budget = sum(held.values()) // 2
        params = PlanParams(budget_tokens=budget, long_tokens=50, max_epochs=3, select=select)
        drawn = rows_of(store, plan.run(documents, tokens, scores, params, store, Runner(workers=1)))
        tokens_of = {d: sum(r["document_stop"] for r in drawn if r["domain"] == d) for d in "abc"}
        for domain in "abc":
            assert abs(tokens_of[domain] - Fraction(budget * held[domain], sum(held.values()))) < 1, (
                f"{seed=} {domain=}"
            )
        assert len({r["document_id"] for r in drawn if r["domain"] == "a"}) < sum(d == "a" for d, _ in kept.values())


def test_a_document_that_the_cheap_tier_refuses_has_no_recurrence_to_be_chosen_by(tmp_path):
    """Repeats recur most of all."""
    store = Store(tmp_path)

    def cheap(name, _):
        refused = int(name, 16) % 3 == 0
        recurrence = 0.9 if refused else int(name, 16) % 97 / 970
        return {
            "document_id": name,
            "status": "scored",
            "refused": "repeats" if refused else None,
            "recurrence": recurrence,
        }

    documents, tokens, scores, kept, _ = judged_corpus(0, store, "SCORES_CHEAP", cheap)
    for drop, are_in in ((["repeats"], False), ([], True)):
        select = {"by": "recurrence", "top_share": 0.5, "drop": drop}
        params = PlanParams(budget_tokens=10**6, long_tokens=50, max_epochs=1, select=select)
        drawn = {
            r["document_id"]
            for r in rows_of(store, plan.run(documents, tokens, scores, params, store, Runner(workers=1)))
        }
        refused = {name for name in kept if int(name, 16) % 3 == 0}
        assert (refused <= drawn) == are_in
        assert bool(refused & drawn) == are_in
        others = set(kept) - refused
        assert 0 < len(others & drawn) < len(others)


@pytest.mark.parametrize("packer", PACKERS)
def test_every_row_holds_the_tokens_it_names(tmp_path, packer):
    for seed in SEEDS:
        store, kept, params, draws, sequences = built(seed, tmp_path / str(seed), packer)
        drawn, found = rows_of(store, draws), rows_of(store, sequences)
        assert sum(d["document_stop"] - d["document_start"] for d in drawn) == params.budget_tokens
        assert [row["sequence_id"] for row in found] == list(range(len(found)))
        seen = defaultdict(list)
        for row in found:
            ids = []
            for s in row["segments"]:
                domain, whole = kept[s["document_id"]]
                assert domain == s["domain"]
                ids += whole[s["document_start"] : s["document_stop"]]
                seen[s["document_id"], s["epoch"]] += range(s["document_start"], s["document_stop"])
            assert row["input_ids"] == ids, f"{seed=}"
            assert row["n_tokens"] == len(ids) <= 128
            lengths = [s["document_stop"] - s["document_start"] for s in row["segments"]]
            assert row["cu_seqlens"] == np.cumsum([0, *lengths]).tolist()
        wanted = {(d["document_id"], d["epoch"]): list(range(d["document_start"], d["document_stop"])) for d in drawn}
        assert {key: sorted(places) for key, places in seen.items()} == wanted, f"{seed=}"


def test_shares_and_rates_are_those_of_the_formula(tmp_path):
    for seed in SEEDS:
        store, kept, params, draws, _ = built(seed, tmp_path / str(seed))
        held, got = defaultdict(int), defaultdict(int)
        for domain, ids in kept.values():
            held[domain, len(ids) >= 50] += len(ids)
        for d in rows_of(store, draws):
            got[d["domain"], d["n_tokens"] >= 50] += d["document_stop"] - d["document_start"]
        total = sum(held.values())
        for domain in {d for d, _ in held}:
            short, long = held[domain, False], held[domain, True]
            budget = Fraction(params.budget_tokens * (short + long), total)
            rate = budget / (long + Fraction(1, 10) * short)
            assert abs(got[domain, True] + got[domain, False] - budget) <= 1, f"{seed=}"
            if rate <= 3:
                assert abs(got[domain, True] - rate * long) <= 2, f"{seed=} {domain}"


def test_workers_runner_and_division_cannot_show(tmp_path):
    one = built(1, tmp_path / "one")
    for workers in (2, 4):
        other = built(1, tmp_path / str(workers), workers=workers)
        assert (other[3], other[4]) == (one[3], one[4])


def test_several_groups_are_several_shards_with_ids_that_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 400)
    store, _, params, draws, sequences = built(2, tmp_path)
    assert len(draws) > 2
    assert len(sequences) == len(draws)
    found = rows_of(store, sequences)
    assert [row["sequence_id"] for row in found] == list(range(len(found)))
    assert sum(row["n_tokens"] for row in found) == params.budget_tokens
    groups = [{d["content_hash"] for d in store.read(shard).to_pylist() if d["epoch"] == 0} for shard in draws]
    assert not set.intersection(*groups)


def test_copies_never_share_a_row(tmp_path):
    store, kept, _, draws, sequences = built(3, tmp_path, "concat", budget_tokens=2 * 10**4, max_epochs=3)
    assert max(d["epoch"] for d in rows_of(store, draws)) == 2
    for row in rows_of(store, sequences):
        copies = {(s["document_id"], s["epoch"]) for s in row["segments"]}
        assert len({d for d, _ in copies}) == len(copies)
    assert kept


def test_the_cases_that_the_tests_above_must_reach(tmp_path):
    cut = dropped = split = 0
    for seed in SEEDS:
        store, kept, _, draws, sequences = built(seed, tmp_path / str(seed))
        cut += sum(d["why"] == "cut" for d in rows_of(store, draws))
        split += any(s["document_start"] > 0 for row in rows_of(store, sequences) for s in row["segments"])
        dropped += len(kept) < sum(s.n_rows for s in corpus(seed, store)[0])
    assert min(cut, dropped, split) >= 3


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="not one token can be drawn"):
        built(1, tmp_path, shares={"nowhere": 1.0})


def test_tokens_that_were_not_written_stop_the_stage():
    check_all_written(0, 7, 7)
    with pytest.raises(StageError, match="6 tokens of group 0 were written, not the 7 planned"):
        check_all_written(0, 6, 7)


@pytest.mark.parametrize(
    ("shares", "said"),
    [({"a": 0.5, "b": 0.6}, "sum to 1.1, not 1"), ({"a": -1.0, "b": 2.0}, "greater than or equal to 0")],
)
def test_shares_that_are_none(shares, said):
    with pytest.raises(ValidationError, match=said):
        PlanParams(budget_tokens=1, max_epochs=1, shares=shares)
    PlanParams(budget_tokens=1, max_epochs=1, normalise_shares=True, shares={"a": 0.5, "b": 0.6})
