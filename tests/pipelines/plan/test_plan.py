"""Plans of small random corpora, against code that looks at every document in turn."""

from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines import plan
from pipelines.plan import LEFT_OUT, PlanParams, targets_table
from pipelines.plan.cells import cells_of
from pipelines.plan.upsample import solve
from pipelines.stage import Engine
from schemas.errors import NotMade, RecipeError
from schemas.tables import TABLES
from tests.pipelines.corpora import SEEDS, Corpus, corpus, engine_in, rows_of


def planned(corpus: Corpus, engine: Engine, scores=None, **params) -> tuple[list[dict], list[dict]]:
    """Rows of DRAWS and TARGETS."""
    params = PlanParams(**{"budget_tokens": corpus.total // 2, "long_tokens": 50, "max_epochs": 3, **params})
    draws, targets = plan.run(corpus.documents, corpus.tokens, scores or {}, params, engine)
    return rows_of(engine.store, draws), rows_of(engine.store, targets)


def scores_of(corpus: Corpus, engine: Engine, table: str, row_of) -> list:
    """Shards of a table that judges documents. row_of: document_id, domain -> some columns of a row."""
    shards = []
    for shard in corpus.documents:
        rows = [row_of(row["document_id"], row["domain"]) for row in engine.store.read(shard).to_pylist()]
        filled = [dict.fromkeys(TABLES[table].names) | row for row in rows]
        shards.append(engine.store.write(table, pa.Table.from_pylist(filled, schema=TABLES[table])))
    return shards


def gain_in_domain_a(name, domain):
    """A row of SCORES_CHUNK_GAIN: only documents of domain a have a score."""
    score = int(name, 16) % 97 / 97
    status = {"status": "scored", "score": score} if domain == "a" else {"status": "not_scored", "reason": "short"}
    return {"document_id": name, "n_near": 0, "n_far": 0, "n_chunks": 0, "pairs": [], **status}


def gains_of(corpus: Corpus, engine: Engine) -> dict[str, list]:
    """Scores of the model in domain a, and no document that the cheap tier refuses."""
    return {
        "SCORES_CHEAP": scores_of(corpus, engine, "SCORES_CHEAP", lambda name, _: cheap(name, None)),
        "SCORES_CHUNK_GAIN": scores_of(corpus, engine, "SCORES_CHUNK_GAIN", gain_in_domain_a),
    }


def cheap(name, refused, recurrence=None):
    """A row of SCORES_CHEAP."""
    return {"document_id": name, "status": "scored", "refused": refused, "recurrence": recurrence}


def lists_in_domain_a(corpus: Corpus, engine: Engine) -> tuple[dict[str, list], set[str]]:
    """A third of the documents of domain a are lists, others are stitched. The scores, and the names of the lists."""

    def row_of(name, domain):
        reason = ("list", "stitched", None)[int(name, 16) % 3]
        return cheap(name, reason if domain == "a" else None)

    lists = {name for name, (domain, _) in corpus.kept.items() if domain == "a" and int(name, 16) % 3 == 0}
    return {"SCORES_CHEAP": scores_of(corpus, engine, "SCORES_CHEAP", row_of)}, lists


def drawn_by_cell(draws: list[dict], long_tokens: int = 50) -> Counter:
    """(domain, kind) -> tokens, one copy after another."""
    tokens = Counter()
    for row in draws:
        kind = "long" if row["n_tokens"] >= long_tokens else "short"
        tokens[row["domain"], kind] += row["document_stop"] - row["document_start"]
    return tokens


def test_shares_and_rates_are_those_of_the_formula(tmp_path):
    for seed in SEEDS:
        engine = engine_in(tmp_path / str(seed))
        made = corpus(seed, engine.store)
        draws, _ = planned(made, engine)
        drawn = drawn_by_cell(draws)
        for domain in "abc":
            short, long = made.n_tokens(domain, is_long=False), made.n_tokens(domain, is_long=True)
            budget = Fraction((made.total // 2) * (short + long), made.total)
            rate = budget / (long + Fraction(1, 10) * short) if budget else 0
            assert abs(drawn[domain, "long"] + drawn[domain, "short"] - budget) <= 1, f"{seed=}"
            if rate <= 3:
                assert abs(drawn[domain, "long"] - rate * long) <= 2, f"{seed=} {domain}"


def test_targets_are_counted_one_document_after_another(tmp_path):
    """With a domain that only the shares name, a budget that some cells cannot meet, and both ways to be left out."""
    n_short = n_met = n_over = n_not_selected = n_copies = 0
    for seed in SEEDS:
        engine = engine_in(tmp_path / str(seed))
        made = corpus(seed, engine.store)
        scores = gains_of(made, engine)
        params = {
            "budget_tokens": made.total, "max_epochs": 2, "shares": {"a": 0.3, "b": 0.3, "c": 0.3, "nowhere": 0.1},
            "max_document_share": 0.15, "select": {"by": "chunk_gain", "top_share": 0.5}, "short_rate": 0.25,
        }  # fmt: skip
        draws, targets = planned(made, engine, scores, **params)
        assert [(row["domain"], row["kind"]) for row in targets] == [
            (domain, kind) for domain in ("a", "b", "c", "nowhere") for kind in ("short", "long")
        ]
        assert sum(row["target_tokens"] for row in targets) == made.total
        over, copies = Counter(), Counter(row["document_id"] for row in draws)
        for domain, ids in made.kept.values():
            if len(ids) > params["max_document_share"] * made.n_tokens(domain):
                over[domain, "long" if len(ids) >= 50 else "short"] += len(ids)
        drawn = drawn_by_cell(draws)
        for row in targets:
            cell = row["domain"], row["kind"]
            left_out = row["over_share_tokens"] + row["not_selected_tokens"]
            assert row["dropped_documents"] == row["dropped_tokens"] == 0
            assert (row["not_selected_documents"] > 0) == (row["not_selected_tokens"] > 0)
            kept = made.n_tokens(row["domain"], is_long=row["kind"] == "long")
            assert row["over_share_tokens"] == over[cell], f"{seed=} {cell}"
            assert row["available_tokens"] == 2 * (kept - left_out), f"{seed=} {cell}"
            assert row["drawn_tokens"] == drawn[cell] == min(row["target_tokens"], row["available_tokens"])
            assert cell[0] == "a" or not row["not_selected_tokens"], f"{seed=} {cell}"
        scored = made.n_tokens("a") - sum(n for (domain, _), n in over.items() if domain == "a")
        not_selected = sum(row["not_selected_tokens"] for row in targets)
        assert not_selected < scored
        for row in targets[:2]:  # what a document of domain a gives where each selected one is drawn
            if row["target_tokens"] >= row["available_tokens"]:
                whole = [d for d in made.kept if made.kept[d][0] == "a" and copies[d]]
                kind = row["kind"] == "long"
                mine = sum(len(made.kept[d][1]) for d in whole if (len(made.kept[d][1]) >= 50) == kind)
                assert mine == row["available_tokens"] // 2, f"{seed=}"
        n_short += any(row["target_tokens"] > row["available_tokens"] > 0 for row in targets)
        n_met += any(0 < row["target_tokens"] < row["available_tokens"] for row in targets)
        n_over, n_not_selected = n_over + bool(over), n_not_selected + bool(not_selected)
        n_copies += max(copies.values()) == 2
    assert min(n_short, n_met, n_over, n_not_selected, n_copies) >= 2, "the cases that this test must reach"


def test_rates_of_targets():
    """52 = q (100 + r 40) with r = 0.1, so q = 0.5; a domain without a document has no rate."""
    cells = cells_of(["a", "b"], np.array([0, 0]), np.array([100, 40]), np.array([100, 40]), 50)
    targets = solve(cells, 52, {"a": 1.0}, 0.1, 4)
    over, dropped, outranked = (
        cells_of(["a", "b"], np.array([domain] * len(n)), np.array(n), np.array(n), 50)
        for domain, n in ((0, [7, 8]), (1, [3]), (1, [60, 50, 51]))
    )
    rows = targets_table(targets, dict(zip(LEFT_OUT, (over, dropped, outranked), strict=True))).to_pylist()
    assert [list(row.values()) for row in rows] == [
        ["a", "short", 2, 160, 2, 0.05, 2, 15, 0, 0, 0, 0],
        ["a", "long", 50, 400, 50, 0.5, 0, 0, 0, 0, 0, 0],
        ["b", "short", 0, 0, 0, None, 0, 0, 1, 3, 0, 0],
        ["b", "long", 0, 0, 0, None, 0, 0, 0, 0, 3, 161],
    ]


def test_a_document_that_is_over_its_share_is_not_counted_as_not_selected(tmp_path):
    engine = engine_in(tmp_path)
    made = corpus(0, engine.store)
    scores = gains_of(made, engine)
    select = {"by": "chunk_gain", "top_share": 0.01}  # of most documents the score is too low
    _, alone = planned(made, engine, scores, select=select)
    _, both = planned(made, engine, scores, select=select, max_document_share=0.03)
    over = sum(row["over_share_tokens"] for row in both if row["domain"] == "a")
    before, after = (sum(row["not_selected_tokens"] for row in rows) for rows in (alone, both))
    assert over > 0
    assert after <= before
    assert before < over + after <= made.n_tokens("a")


def test_what_a_ranking_leaves_out_counts_in_its_domains_share(tmp_path):
    """Half of domain a is left out, and nothing of the others: its share of the mix stays as it was."""
    for seed in SEEDS:
        engine = engine_in(tmp_path / str(seed))
        made = corpus(seed, engine.store)
        scores = gains_of(made, engine)
        draws, _ = planned(made, engine, scores, select={"by": "chunk_gain", "top_share": 0.5})
        tokens = Counter()
        for row in draws:
            tokens[row["domain"]] += row["document_stop"]
        for domain in "abc":
            share = Fraction((made.total // 2) * made.n_tokens(domain), made.total)
            assert abs(tokens[domain] - share) < 1, f"{seed=} {domain=}"
        n_in_a = sum(domain == "a" for domain, _ in made.kept.values())
        assert len({row["document_id"] for row in draws if row["domain"] == "a"}) < n_in_a


def test_what_is_dropped_is_counted_and_does_not_count_in_its_domains_share(tmp_path):
    """By default lists leave the mix and stitched documents stay, in a recipe that has no selection of its own."""
    n_dropped = 0
    for seed in SEEDS:
        engine = engine_in(tmp_path / str(seed))
        made = corpus(seed, engine.store)
        scores, lists = lists_in_domain_a(made, engine)
        draws, targets = planned(made, engine, scores, max_epochs=100)
        gone = Counter()
        for name in lists:
            gone["long" if len(made.kept[name][1]) >= 50 else "short", "documents"] += 1
            gone["long" if len(made.kept[name][1]) >= 50 else "short", "tokens"] += len(made.kept[name][1])
        n_gone = gone["long", "tokens"] + gone["short", "tokens"]
        for row in targets:
            found = {what: row[f"dropped_{what}"] for what in ("documents", "tokens")}
            of_cell = {what: gone[row["kind"], what] if row["domain"] == "a" else 0 for what in found}
            assert found == of_cell, f"{seed=} {row['domain']} {row['kind']}"
            assert row["not_selected_documents"] == 0
        assert not lists & {row["document_id"] for row in draws}, f"{seed=}"
        drawn = Counter()
        for row in draws:
            drawn[row["domain"]] += row["document_stop"]
        for domain in "abc":
            own = made.n_tokens(domain) - (n_gone if domain == "a" else 0)
            share = Fraction((made.total // 2) * own, made.total - n_gone)
            assert abs(drawn[domain] - share) < 1, f"{seed=} {domain=}"
        n_dropped += bool(n_gone)
    assert n_dropped > 2


def test_a_document_is_over_its_share_of_what_is_not_dropped(tmp_path):
    n_over = 0
    for seed in SEEDS:
        engine = engine_in(tmp_path / str(seed))
        made = corpus(seed, engine.store)
        scores, lists = lists_in_domain_a(made, engine)
        _, targets = planned(made, engine, scores, max_document_share=0.2)
        rest = {name: len(ids) for name, (domain, ids) in made.kept.items() if domain == "a" and name not in lists}
        over = [n for n in rest.values() if n > 0.2 * sum(rest.values())]
        rows = [row for row in targets if row["domain"] == "a"]
        assert sum(row["over_share_documents"] for row in rows) == len(over), f"{seed=}"
        assert sum(row["over_share_tokens"] for row in rows) == sum(over), f"{seed=}"
        of_all = [n for n in rest.values() if n > 0.2 * made.n_tokens("a")]
        n_over += len(over) > len(of_all)
    assert n_over, "a case in which the dropped documents matter"


def test_a_document_that_the_cheap_tier_refuses_is_not_selected_by_its_recurrence(tmp_path):
    """Repeats recur most of all."""
    engine = engine_in(tmp_path)
    made = corpus(0, engine.store)

    def row_of(name, _):
        refused = int(name, 16) % 3 == 0
        return cheap(name, "repeats" if refused else None, 0.9 if refused else int(name, 16) % 97 / 970)

    scores = {"SCORES_CHEAP": scores_of(made, engine, "SCORES_CHEAP", row_of)}
    for drop, are_in in ((["repeats"], False), ([], True)):
        select = {"by": "recurrence", "top_share": 0.5, "drop": drop}
        draws, _ = planned(made, engine, scores, budget_tokens=10**6, max_epochs=1, select=select)
        drawn = {row["document_id"] for row in draws}
        refused = {name for name in made.kept if int(name, 16) % 3 == 0}
        assert (refused <= drawn) == are_in
        assert bool(refused & drawn) == are_in
        others = set(made.kept) - refused
        assert 0 < len(others & drawn) < len(others)


def test_groups_divide_documents_by_their_content(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 400)
    engine = engine_in(tmp_path)
    made = corpus(2, engine.store)
    params = PlanParams(budget_tokens=made.total // 2, long_tokens=50, max_epochs=3)
    draws, targets = plan.run(made.documents, made.tokens, {}, params, engine)
    assert len(draws) > 2
    assert {shard.table for shard in draws} == {"DRAWS"}
    assert [shard.table for shard in targets] == ["TARGETS"]
    groups = defaultdict(set)
    for k, shard in enumerate(draws):
        for row in engine.store.read(shard).to_pylist():
            groups[row["content_hash"], row["epoch"]].add(k)
    assert all(len(places) == 1 for places in groups.values())


def test_a_second_run_looks_up_both_tables(tmp_path):
    engine = engine_in(tmp_path)
    made = corpus(2, engine.store)
    params = PlanParams(budget_tokens=made.total // 2, long_tokens=50, max_epochs=3)
    arguments = (made.documents, made.tokens, {}, params)
    with pytest.raises(NotMade):
        plan.run(*arguments, engine.look())
    first = plan.run(*arguments, engine)
    assert plan.run(*arguments, engine.look()) == first


def test_nothing_to_draw_is_refused(tmp_path):
    engine = engine_in(tmp_path)
    with pytest.raises(RecipeError, match="not one token can be drawn"):
        planned(corpus(1, engine.store), engine, shares={"nowhere": 1.0})


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"a": 0.5, "b": 0.6}, "sum to 1.1, not 1"), ({"a": -1.0, "b": 2.0}, "greater than or equal to 0")],
)
def test_invalid_shares_are_refused(shares, message):
    with pytest.raises(ValidationError, match=message):
        PlanParams(budget_tokens=1, max_epochs=1, shares=shares)
    assert PlanParams(budget_tokens=1).max_epochs == 4
    PlanParams(budget_tokens=1, max_epochs=1, normalise_shares=True, shares={"a": 0.5, "b": 0.6})
