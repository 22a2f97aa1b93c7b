"""Which samples are chosen, against plain Python that looks at every sample; and that nothing is silent."""

import math
from collections import Counter
from fractions import Fraction

import pytest

from pipelines import choose, plan
from pipelines.choose import ChooseParams, Mixing, rank_samples
from pipelines.choose.quotas import RESPONSE_BUCKETS, response_bucket_of
from schemas.errors import RecipeError
from schemas.lengths import BUCKETS, bucket_of
from tests.pipelines.corpora import engine_in, rows_of
from tests.sft import joined, random_rows, written

MAX_TOKENS = 1_300
SEEDS = range(2)


def made(rows, root, **params):
    """The tables of a choice as lists of rows, and the engine."""
    engine = engine_in(root)
    tables = written(rows, engine.store)
    shards = choose.run(tables, ChooseParams(**params), MAX_TOKENS, engine)
    return {name: rows_of(engine.store, each) for name, each in shards.items()}


def is_candidate(sample, needs=("SCORES_HMG", "SCORES_CAM")):
    return (
        sample["SAMPLES"]["status"] == "encoded"
        and sample["SAMPLES"]["n_tokens"] <= MAX_TOKENS
        and sample["DOCUMENTS"]["source"] != "tips"
        and all(sample[table]["status"] == "scored" for table in needs)
    )


def cell_of(sample, quotas):
    s = sample["SAMPLES"]
    n_response = s["response_stop"] - s["response_start"]
    every = {
        "domain": sample["DOCUMENTS"]["domain"],
        "length_bucket": BUCKETS[int(bucket_of(s["n_tokens"]))],
        "response_bucket": RESPONSE_BUCKETS[int(response_bucket_of(n_response))],
    }
    return tuple(every[name] if name in quotas else None for name in every)


def is_similar(one, other, max_similarity):
    if not one["SIGNATURES"]["n_shingles"] or not other["SIGNATURES"]["n_shingles"]:
        return False
    signatures = zip(one["SIGNATURES"]["signature"], other["SIGNATURES"]["signature"], strict=True)
    return Fraction(sum(a == b for a, b in signatures), 128) >= Fraction(str(max_similarity))


def ranked(samples, params):
    """The candidates, the best first."""
    candidates = [sample for sample in samples if is_candidate(sample)]
    eligible = [sample for sample in samples if is_candidate(sample, ())]
    by_hash = sorted(eligible, key=lambda sample: sample["DOCUMENTS"]["content_hash"])
    columns = [
        [sample[table][name] for sample in by_hash]
        for table, name in (("SCORES_HMG", "nll_short"), ("SCORES_HMG", "nll_long"), ("SCORES_CAM", "alignment"))
    ]
    scopes = [sample["DOCUMENTS"]["domain"] for sample in by_hash] if params.scope == "domain" else None
    ranks = rank_samples(["x"] * len(by_hash), *columns, params.mixing, scopes)["rank"].to_pylist()
    order = sorted((k for k, rank in enumerate(ranks) if rank), key=lambda k: ranks[k])
    assert {id(by_hash[k]) for k in order} == {id(sample) for sample in candidates}
    return [by_hash[k] for k in order]


def slow_choice(samples, params):
    """Go down the ranks, and hold each candidate against all that are chosen."""
    order = ranked(samples, params)
    sizes = Counter(cell_of(sample, params.quotas) for sample in order)
    cells = sorted(sizes, key=lambda cell: [*map(str, cell[:1]), *(BUCKETS.index(x) if x in BUCKETS else -1 for x in cell[1:2]),
                                            *(RESPONSE_BUCKETS.index(x) if x in RESPONSE_BUCKETS else -1 for x in cell[2:])])  # fmt: skip
    n = min(len(order), params.n_top(len(order)))
    quotas = [Fraction(n * sizes[cell], len(order)) for cell in cells]
    room = {cell: int(quota) for cell, quota in zip(cells, quotas, strict=True)}
    by_remainder = sorted(range(len(cells)), key=lambda i: (int(quotas[i]) - quotas[i], i))
    for i in by_remainder[: n - sum(room.values())]:
        room[cells[i]] += 1
    chosen, similar = [], {}
    for sample in order:
        cell = cell_of(sample, params.quotas)
        if not room[cell] or not any(room.values()):
            continue
        near = [c for c in chosen if params.max_similarity and is_similar(sample, c, params.max_similarity)]
        if near:
            similar[sample["DOCUMENTS"]["document_id"]] = near[0]["DOCUMENTS"]["document_id"]
            continue
        chosen.append(sample)
        room[cell] -= 1
    return [sample["DOCUMENTS"]["document_id"] for sample in chosen], similar


CASES = [
    {},
    {"top": 7, "quotas": ()},
    {"top": 0.6, "quotas": ("domain", "length_bucket", "response_bucket"), "max_similarity": 0.5},
    {"top": 0.9, "normalise": "official", "direction": "difficulty", "max_similarity": 0.9, "scope": "domain"},
    {"top": 1.0, "max_similarity": None, "quotas": ("response_bucket",)},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_choice_is_the_slow_one(tmp_path, case):
    for seed in SEEDS:
        rows = random_rows(seed)
        params = {"short_sources": ("tips",), **case}
        tables = made(rows, tmp_path / str(seed), **params)
        chosen, similar = slow_choice(joined(rows), ChooseParams(**params))
        top = [row for row in tables["CHOSEN"] if row["why"] == "top"]
        assert [row["document_id"] for row in top] == chosen, seed
        assert [row["rank"] for row in top] == list(range(1, len(top) + 1))
        assert {r["document_id"]: r["similar_id"] for r in tables["RANKS"] if r["similar_id"]} == similar


def test_the_cases_the_slow_choice_must_reach():
    n_similar = [
        len(slow_choice(joined(random_rows(seed)), ChooseParams(**case))[1]) for case in CASES[:4] for seed in SEEDS
    ]
    assert sum(n_similar) > 8
    samples = joined(random_rows(0))
    equal = [
        Fraction(sum(a == b for a, b in zip(x["SIGNATURES"]["signature"], y["SIGNATURES"]["signature"], strict=True)), 128)
        for x in samples for y in samples[:40] if x is not y
    ]  # fmt: skip
    assert Fraction(103, 128) in equal or Fraction(102, 128) in equal  # on both sides of 0.8
    assert any(not is_candidate(s) and is_candidate(s, ("SCORES_HMG",)) for s in joined(random_rows(0)))


def test_every_sample_that_is_not_chosen_has_a_reason(tmp_path):
    rows = random_rows(1)
    tables = made(rows, tmp_path, short_sources=("tips",), short_share=0.1)
    samples = joined(rows)
    assert [row["document_id"] for row in tables["RANKS"]] == [s["DOCUMENTS"]["document_id"] for s in samples]
    for sample, row in zip(samples, tables["RANKS"], strict=True):
        assert (row["why"] is None) != (row["reason"] is None)
        status, hmg, cam = sample["SAMPLES"]["status"], sample["SCORES_HMG"]["reason"], sample["SCORES_CAM"]["reason"]
        is_short = sample["DOCUMENTS"]["source"] == "tips"
        if status != "encoded":
            assert row["reason"] == status
        elif sample["SAMPLES"]["n_tokens"] > MAX_TOKENS:
            assert row["reason"] == "too_long"
        elif is_short:
            assert row["why"] == "short" or row["reason"] == "short_surplus"
        elif hmg or cam:
            assert row["reason"] == (hmg or cam)
        else:
            assert row["why"] == "top" or row["reason"] in ("outranked", "similar")
    assert {"dropped", "refused", "too_long", "short_surplus", "budget", "one_segment", "outranked"} <= {
        row["reason"] for row in tables["RANKS"]
    }


def test_short_instructions_are_mixed_in_by_a_keyed_hash(tmp_path):
    rows = random_rows(2)
    tables = made(rows, tmp_path, short_sources=("tips",), short_share=0.1)
    why = Counter(row["why"] for row in tables["CHOSEN"])
    assert why["short"] == round(why["top"] / 9) > 0
    tips = {s["DOCUMENTS"]["document_id"] for s in joined(rows) if s["DOCUMENTS"]["source"] == "tips"}
    short = [row for row in tables["CHOSEN"] if row["why"] == "short"]
    assert {row["document_id"] for row in short} <= tips
    assert all(row["rank"] is row["score"] is row["hmg"] is None for row in short)
    other = made(rows, tmp_path / "other", short_sources=("tips",), short_share=0.1, seed=1)
    assert [r["document_id"] for r in other["CHOSEN"] if r["why"] == "short"] != [r["document_id"] for r in short]


def test_a_shortfall_is_a_row_of_quotas(tmp_path):
    rows = random_rows(3)
    tables = made(rows, tmp_path, short_sources=("tips",), short_share=0.9, top=1000, max_similarity=None)
    n_candidates = sum(map(is_candidate, joined(rows)))
    n_tips = sum(r["why"] == "short" or r["reason"] == "short_surplus" for r in tables["RANKS"])
    beyond, short = tables["QUOTAS"][-1], tables["QUOTAS"][-2]
    assert (short["why"], short["target"], short["chosen"]) == ("short", 9 * n_candidates, n_tips)
    assert (beyond["why"], beyond["target"], beyond["chosen"]) == ("top", 1000 - n_candidates, 0)
    for why in ("top", "short"):
        n = sum(row["why"] == why for row in tables["CHOSEN"])
        assert n == sum(row["chosen"] for row in tables["QUOTAS"] if row["why"] == why)


def test_draws_and_messages_are_those_of_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUP_TOKENS", 8_000)
    rows, engine = random_rows(0), engine_in(tmp_path)
    written_tables = written(rows, engine.store)
    params = ChooseParams(short_sources=("tips",), short_share=0.2, top=1.0)
    shards = choose.run(written_tables, params, MAX_TOKENS, engine)
    chosen = {row["document_id"]: row for row in rows_of(engine.store, shards["CHOSEN"])}
    samples = {sample["DOCUMENTS"]["document_id"]: sample for sample in joined(rows)}
    assert len(shards["DRAWS"]) == len(shards["MESSAGES"]) > 2
    seen = []
    for draws, messages in zip(shards["DRAWS"], shards["MESSAGES"], strict=True):
        drawn, texts = rows_of(engine.store, [draws]), rows_of(engine.store, [messages])
        assert sorted(r["document_id"] for r in drawn) == sorted(r["document_id"] for r in texts)
        assert [r["content_hash"] for r in drawn] == sorted(r["content_hash"] for r in drawn)
        for row in drawn:
            own = chosen[row["document_id"]]
            assert {name: row[name] for name in ("content_hash", "domain", "n_tokens", "why")} == {
                name: own[name] for name in ("content_hash", "domain", "n_tokens", "why")
            }
            assert (row["epoch"], row["document_start"], row["document_stop"]) == (0, 0, row["n_tokens"])
        for row in texts:
            name = samples[row["document_id"]]["DOCUMENTS"]["text"].split('"q ')[1].split('"')[0]
            assert [m["content"] for m in row["messages"]] == ["q " + name, "a " + name]
            assert row["license"] == samples[row["document_id"]]["DOCUMENTS"]["license"]
            assert (row["rank"], row["why"]) == (chosen[row["document_id"]]["rank"], chosen[row["document_id"]]["why"])
        seen += [r["document_id"] for r in drawn]
    assert sorted(seen) == sorted(chosen)


def test_the_lengths_of_chosen_are_those_of_samples(tmp_path):
    rows = random_rows(1)
    samples = {sample["DOCUMENTS"]["document_id"]: sample["SAMPLES"] for sample in joined(rows)}
    for row in made(rows, tmp_path)["CHOSEN"]:
        s = samples[row["document_id"]]
        assert row["context_tokens"] == s["context_stop"] - s["context_start"]
        assert row["response_tokens"] == s["response_stop"] - s["response_start"]


@pytest.mark.parametrize(
    ("by", "table", "key"),
    [
        ("perplexity", "SCORES_HMG", lambda s: -s["nll_long"]),
        ("low_perplexity", "SCORES_HMG", lambda s: s["nll_long"]),
        ("ifd", "SCORES_HMG", lambda s: -s["ifd"]),
        ("hmg", "SCORES_HMG", lambda s: -(s["nll_short"] - s["nll_long"])),
        ("cam", "SCORES_CAM", lambda s: s["alignment"]),
    ],
)
def test_controls_rank_by_their_own_part(tmp_path, by, table, key):
    rows = random_rows(2)
    tables = made(rows, tmp_path, by=by, short_sources=("tips",), top=0.4, quotas=(), max_similarity=None)
    candidates = [sample for sample in joined(rows) if is_candidate(sample, (table,))]
    order = sorted(candidates, key=lambda s: (key(s[table]), s["DOCUMENTS"]["content_hash"]))
    expected = [s["DOCUMENTS"]["document_id"] for s in order[: math.ceil(len(order) * Fraction("0.4"))]]
    assert [row["document_id"] for row in tables["CHOSEN"]] == expected


def test_a_random_choice_has_as_many_of_the_candidates_of_influence(tmp_path):
    rows = random_rows(0)
    params = {"short_sources": ("tips",), "quotas": ("domain",), "max_similarity": None}
    tables = {by: made(rows, tmp_path / by, by=by, **params) for by in ("influence", "random", "length_matched")}
    chosen = {by: [row["document_id"] for row in t["CHOSEN"]] for by, t in tables.items()}
    samples = {sample["DOCUMENTS"]["document_id"]: sample for sample in joined(rows)}
    lengths = {by: Counter(cell_of(samples[i], ("domain", "length_bucket")) for i in ids) for by, ids in chosen.items()}
    assert lengths["length_matched"] == lengths["influence"]
    assert len({tuple(sorted(ids)) for ids in chosen.values()}) == 3
    for by in ("random", "length_matched"):
        assert len(chosen[by]) == len(chosen["influence"])
        assert all(is_candidate(samples[i]) for i in chosen[by])
        assert all(row["score"] is None for row in tables[by]["CHOSEN"])
        again = made(rows, tmp_path / by / "again", by=by, seed=1, **params)
        assert [row["document_id"] for row in again["CHOSEN"]] != chosen[by]


def test_length_matched_is_tried_at_lengths_that_differ():
    samples = [s for s in joined(random_rows(0)) if is_candidate(s)]
    assert len({cell_of(s, ("domain", "response_bucket")) for s in samples}) > 4


def test_samples_without_a_model_are_chosen_at_random_alone(tmp_path):
    rows = {name: table for name, table in random_rows(0).items() if not name.startswith("SCORES_")}
    tables = made(rows, tmp_path, by="random", top=5, short_sources=("tips",))
    assert len(tables["CHOSEN"]) == 5
    with pytest.raises(RecipeError, match=r"choose.by: influence needs hmg and cam, .* add \[influence\]"):
        made(rows, tmp_path / "other")


def test_a_part_without_weight_is_not_needed(tmp_path):
    rows = random_rows(0)
    for shard in rows["SCORES_CAM"]:
        for row in shard:
            if row["status"] == "scored":
                row |= {"alignment": None, "status": "not_scored", "reason": "one_segment"}
    tables = made(rows, tmp_path, alpha=1.0, top=9)
    assert len(tables["CHOSEN"]) == 9
    assert all(row["score"] == row["hmg"] for row in tables["CHOSEN"])
    with pytest.raises(RecipeError, match=r"choose: no sample can be chosen: .* one_segment"):
        made(rows, tmp_path / "other", alpha=0.8)


@pytest.mark.parametrize(
    ("params", "parts", "message"),
    [
        ({}, ("hmg",), "influence needs cam, .* influence.parts"),
        ({"by": "cam"}, ("hmg",), "cam needs cam"),
        ({"by": "perplexity"}, (), "perplexity needs hmg, .* choose.by to random"),
        ({"by": "length_matched"}, (), "length_matched needs hmg and cam"),
    ],
)
def test_a_choice_by_what_is_not_measured_is_refused(params, parts, message):
    with pytest.raises(RecipeError, match=message):
        choose.check(ChooseParams(**params), parts)


@pytest.mark.parametrize(
    ("params", "parts"),
    [({}, ("hmg", "cam")), ({"alpha": 1.0}, ("hmg",)), ({"by": "ifd"}, ("hmg",)), ({"by": "random"}, ())],
)
def test_a_choice_by_what_is_measured_is_not_refused(params, parts):
    choose.check(ChooseParams(**params), parts)
    assert ChooseParams().mixing == Mixing(0.8, "robust", "difficulty")


def test_shards_do_not_change_the_choice(tmp_path):
    """The same samples in one shard instead of three."""
    rows = random_rows(1)
    together = {name: [[row for shard in table for row in shard]] for name, table in rows.items()}
    one, other = (made(r, tmp_path / str(k), normalise="official") for k, r in enumerate((rows, together)))
    assert one == other


def test_a_choice_is_made_once(tmp_path):
    rows, engine = random_rows(1), engine_in(tmp_path)
    tables = written(rows, engine.store)
    first = choose.run(tables, ChooseParams(), MAX_TOKENS, engine)
    assert choose.run(tables, ChooseParams(), MAX_TOKENS, engine.look()) == first
