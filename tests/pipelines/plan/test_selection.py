"""The top of a domain by tokens, document by document; controls that choose as many tokens without the score."""

import random
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines.documents import Documents
from pipelines.keys import salt
from pipelines.plan import PlanParams, read_kept, reads_of
from pipelines.plan.selection import SELECTORS, Judged, SelectParams, chosen
from pipelines.store import Store
from schemas.errors import RecipeError
from schemas.lengths import bucket_of
from schemas.tables import DOCUMENTS, TABLES
from tests.pipelines.plan.test_upsample import slow_key
from tests.tokens import refused_row, token_row

SEEDS = range(200)
DOMAINS = ("a", "b", "c", "empty")
KINDS = ("chunk_gain", "recurrence", "random", "length_matched_random")
CONTROLS = ("random", "length_matched_random")
SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)  # exact in binary


def case(seed, by=None):
    """Documents with few different scores, some without one, for one reason or another."""
    rng = random.Random(seed)
    n = rng.randint(0, 30)
    has_score = np.array([rng.random() < 0.7 for _ in range(n)], bool)
    by = by or rng.choice(KINDS)
    reasons = ["stitched", "list"] if by == "recurrence" else ["short", "budget"]
    params = SelectParams(
        by=by, top_share=rng.choice(SHARES), top_shares={"b": rng.choice(SHARES)},
        drop=tuple(rng.sample([*reasons, "repeats"], rng.randint(0, 3))),
    )  # fmt: skip
    return SimpleNamespace(
        score=np.array([rng.choice([-10, 0, 1, 1, 2, 10**6]) if has else 0 for has in has_score], np.int64),
        has_score=has_score,
        reason=np.array(["" if has else rng.choice([*reasons, "other"]) for has in has_score], object),
        domain=np.array([rng.randrange(3) for _ in range(n)], np.int64),
        n_tokens=np.array([rng.choice([1, 100, 1023, 1024, 2047, 2048, 5000]) for _ in range(n)], np.int64),
        hashes=[f"{rng.getrandbits(128):032x}" for _ in range(n)],
        params=params,
        seed=rng.randrange(3),
    )


def fast(c):
    hashes = pa.chunked_array([pa.array(c.hashes, pa.string())])
    documents = Documents(hashes, hashes, DOMAINS, c.domain, c.n_tokens)
    return chosen(documents, Judged(c.score, c.has_score, c.reason), c.params, c.seed)


def slow_top(order, n_tokens, share):
    wanted, taken, found = share * sum(int(n_tokens[k]) for k in order), 0, []
    for k in order:
        if taken >= wanted:
            break
        found.append(k)
        taken += int(n_tokens[k])
    return found


def slow_chosen(c):
    found = {k for k in range(len(c.hashes)) if not c.has_score[k] and c.reason[k] not in c.params.drop}
    for d, name in enumerate(DOMAINS):
        here = [k for k in range(len(c.hashes)) if c.domain[k] == d and c.has_score[k]]
        share = c.params.top_shares.get(name, c.params.top_share)
        by_score = sorted(here, key=lambda k: (-int(c.score[k]), c.hashes[k]))
        at_random = sorted(here, key=lambda k: (slow_key(c.hashes[k], salt("select", c.seed)), c.hashes[k]))
        best = slow_top(by_score, c.n_tokens, share)
        if c.params.by == "random":
            best = slow_top(at_random, c.n_tokens, share)
        if c.params.by == "length_matched_random":
            left = {}
            for k in best:
                left[int(bucket_of(c.n_tokens[k]))] = left.get(int(bucket_of(c.n_tokens[k])), 0) + int(c.n_tokens[k])
            best = []
            for k in at_random:
                bucket = int(bucket_of(c.n_tokens[k]))
                if left.get(bucket, 0) > 0:
                    best.append(k)
                    left[bucket] -= int(c.n_tokens[k])
        found |= set(best)
    return sorted(found)


def test_the_choice_is_the_slow_one():
    for seed in SEEDS:
        for by in KINDS:
            found = fast(case(seed, by))
            assert found.dtype == bool
            assert np.flatnonzero(found).tolist() == slow_chosen(case(seed, by)), f"{seed=} {by=}"


def test_the_order_of_the_documents_does_not_matter():
    for seed in SEEDS:
        for by in KINDS:
            c = case(seed, by)
            before = fast(c)
            order = np.random.default_rng(seed).permutation(len(c.hashes))
            for name in ("score", "has_score", "reason", "domain", "n_tokens"):
                setattr(c, name, getattr(c, name)[order])
            c.hashes = [c.hashes[k] for k in order]
            assert np.array_equal(fast(c), before[order]), f"{seed=} {by=}"


def alike(n, by="chunk_gain", n_tokens=100, **changes):
    """n documents of a domain with scores that fall."""
    values = {
        "score": np.arange(n, 0, -1), "has_score": np.ones(n, bool), "reason": np.array([""] * n, object),
        "domain": np.zeros(n, np.int64), "n_tokens": np.full(n, n_tokens), "seed": 0,
        "hashes": [f"{random.Random(k).getrandbits(128):032x}" for k in range(n)],
        "params": SelectParams(by=by, top_share=0.25),
    }  # fmt: skip
    return SimpleNamespace(**values | changes)


def test_it_is_the_tokens_that_count_and_the_last_document_crosses_the_line():
    c = alike(4, n_tokens=np.array([50, 10, 10, 10]))
    assert fast(c).tolist() == [True, False, False, False]  # 20 of 80 were wanted
    c = alike(4, n_tokens=np.array([10, 10, 50, 10]))
    assert fast(c).tolist() == [True, True, False, False]
    c = alike(4, n_tokens=np.array([10, 5, 50, 15]))
    assert fast(c).tolist() == [True, True, True, False]


def test_a_tie_goes_to_the_lower_hash():
    c = alike(8, score=np.full(8, 3))
    assert np.flatnonzero(fast(c)).tolist() == sorted(np.argsort(c.hashes)[:2].tolist())
    late = ["0" * 16 + f"{k:016x}" for k in range(8)][::-1]  # the first half of the hash ties as well
    assert np.flatnonzero(fast(alike(8, score=np.full(8, 3), hashes=late))).tolist() == [6, 7]


def test_decimal_shares_are_exact():
    for percent in range(1, 101):
        c = alike(100, n_tokens=1, params=SelectParams(by="chunk_gain", top_share=percent / 100))
        assert fast(c).sum() == percent, f"{percent=}"


def test_a_domain_has_its_own_share():
    params = SelectParams(by="chunk_gain", top_share=0.25, top_shares={"b": 0.75, "nowhere": 1.0})
    c = alike(8, domain=np.array([0, 1] * 4), params=params)
    assert fast(c).tolist() == [True, True, False, True, False, True, False, False]
    assert [params.share(name) for name in "abc"] == [0.25, 0.75, 0.25]


def test_who_has_no_score_stays_unless_the_reason_is_dropped():
    reason = np.array(["", "short", "budget", "", "short", "budget"], object)
    for by in set(KINDS) - {"recurrence"}:
        for drop, gone in (((), []), (("short",), [1, 4]), (("short", "budget"), [1, 2, 4, 5])):
            params = SelectParams(by=by, top_share=1.0, drop=drop)
            c = alike(6, reason=reason, has_score=reason == "", params=params)
            assert np.flatnonzero(~fast(c)).tolist() == gone, f"{by=} {drop=}"
    nothing = alike(3, has_score=np.zeros(3, bool), reason=np.array(["short"] * 3, object))
    assert fast(nothing).all()


def test_a_document_without_a_score_takes_no_share():
    """Nor do its tokens count."""
    c = alike(5, score=np.array([4, 3, 2, 1, 10**6]), n_tokens=np.array([1, 1, 1, 1, 1000]))
    c.has_score, c.reason = np.array([True] * 4 + [False]), np.array([""] * 4 + ["budget"], object)
    assert fast(c).tolist() == [True, False, False, False, True]


def test_random_does_not_look_at_the_score_and_another_seed_is_another_choice():
    for by in ("random", "length_matched_random"):
        c = alike(400, by)
        first = fast(c)
        assert first.sum() == 100
        assert np.array_equal(fast(alike(400, by, score=np.arange(400))), first)
        assert np.array_equal(fast(c), first)
        other = fast(alike(400, by, seed=1))
        assert 5 < (first & other).sum() < 50
    assert np.array_equal(fast(alike(400, "random")), fast(alike(400, "length_matched_random")))
    assert not np.array_equal(fast(alike(400, "random")), fast(alike(400)))


def test_length_matched_random_has_the_tokens_of_the_chosen_in_each_bucket():
    rng = np.random.default_rng(0)
    n_tokens = rng.integers(1, 5_000, 400)
    score = n_tokens + rng.integers(0, 500, 400)  # the best are long
    best = fast(alike(400, n_tokens=n_tokens, score=score))
    matched = fast(alike(400, "length_matched_random", n_tokens=n_tokens, score=score))
    plain = fast(alike(400, "random", n_tokens=n_tokens, score=score))
    assert not np.array_equal(best, matched)
    for bucket in range(4):
        here = bucket_of(n_tokens) == bucket
        wanted, found = n_tokens[best & here].sum(), n_tokens[matched & here].sum()
        assert wanted <= found <= wanted + n_tokens[here].max() * bool(wanted)
    assert n_tokens[plain].sum() / plain.sum() < 0.8 * n_tokens[matched].sum() / matched.sum()


@pytest.mark.parametrize("bad", [{"top_share": 0}, {"top_share": 1.1}, {"top_shares": {"a": 0}}, {"more": 1}])
def test_a_share_that_is_none_is_refused(bad):
    with pytest.raises(ValidationError):
        SelectParams(**{"by": "random", "top_share": 0.5} | bad)


def test_an_unknown_selector_is_refused_with_the_closest_one_or_with_all():
    with pytest.raises(ValidationError, match="unknown selector 'chunkgain'; did you mean chunk_gain"):
        SelectParams(by="chunkgain", top_share=0.5)
    with pytest.raises(ValidationError, match="unknown selector 'lds'; choose one of chunk_gain, recurrence, random, "):
        SelectParams(by="lds", top_share=0.5)


# -- the columns that a plan selects by


def test_a_selector_names_a_column_of_its_table():
    assert set(SELECTORS) == set(KINDS)
    for by, (table, score) in SELECTORS.items():
        assert table.startswith("SCORES_")
        assert TABLES[table].field(score).type == pa.float64()
        assert TABLES[table].field("reason").type == pa.string()
        assert SelectParams(by=by, top_share=0.5).table == table
    assert SELECTORS["chunk_gain"] == ("SCORES_CHUNK_GAIN", "score")
    assert SELECTORS["recurrence"] == ("SCORES_CHEAP", "recurrence")
    assert {SELECTORS[by] for by in CONTROLS} == {SELECTORS["chunk_gain"]}  # of the same documents


def test_the_tables_and_columns_that_a_plan_selects_by():
    gain = SelectParams(by="chunk_gain", top_share=0.5)
    assert gain.tables == ("SCORES_CHEAP", "SCORES_CHUNK_GAIN")
    assert [gain.columns(name) for name in gain.tables] == [("refused",), ("reason", "score")]
    recurrence = SelectParams(by="recurrence", top_share=0.5)
    assert recurrence.tables == ("SCORES_CHEAP",)
    assert recurrence.columns("SCORES_CHEAP") == ("refused", "recurrence")
    assert SelectParams(by="recurrence", top_share=0.5, drop=()).tables == ("SCORES_CHEAP",)  # refused are not ranked
    assert SelectParams().tables == ("SCORES_CHEAP",)
    assert SelectParams().columns("SCORES_CHEAP") == ("refused",)
    assert SelectParams(drop=()).tables == ()


def test_by_default_repeats_and_lists_leave_the_mix_and_nothing_is_ranked():
    reason = np.array(["", "repeats", "list", "stitched", ""], object)
    c = alike(5, reason=reason, has_score=np.zeros(5, bool), params=SelectParams())
    assert fast(c).tolist() == [True, False, False, True, True]
    c = alike(5, reason=reason, has_score=np.zeros(5, bool), params=SelectParams(drop=["stitched"]))
    assert fast(c).tolist() == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"by": "recurrence"}, "by = 'recurrence' keeps the top of each domain; add top_share"),
        ({"top_share": 0.5}, "rank documents; add by, the score that ranks them"),
        ({"top_shares": {"a": 0.5}}, "rank documents; add by"),
        ({"drop": ["list", "short"]}, "drop: short is a reason of the model; set by to a score of the model"),
        ({"by": "recurrence", "top_share": 0.5, "drop": ["budget"]}, "drop: budget is a reason of the model"),
    ],
)
def test_a_selection_that_is_not_complete_is_refused_with_the_remedy(params, message):
    with pytest.raises(ValidationError, match=message):
        SelectParams(**params)


def test_reasons_of_the_model_may_be_dropped_where_a_score_of_the_model_ranks():
    assert SelectParams(by="chunk_gain", top_share=0.5, drop=["short", "list"]).drop == ("short", "list")


def judged(params, **columns):
    return Judged.of(pa.table({name: pa.chunked_array([values]) for name, values in columns.items()}), params)


def strings(*values):
    return pa.array(values, pa.string())


def test_a_document_with_a_reason_is_not_ranked_even_where_it_has_a_score():
    found = judged(
        SelectParams(by="recurrence", top_share=0.5),
        refused=strings(None, "repeats", "list", None), recurrence=pa.array([0.1234567, None, -2.5, 0.0]),
    )  # fmt: skip
    assert found.score.tolist() == [123_457, 0, -2_500_000, 0]
    assert found.has_score.tolist() == [True, False, False, True]
    assert found.reason.tolist() == ["", "repeats", "list", ""]


def test_the_cheap_tiers_reason_comes_before_the_models():
    params = SelectParams(by="chunk_gain", top_share=0.5)
    found = judged(
        params,
        refused=strings("list", None, "list", None),
        reason=strings("refused", "short", None, None), score=pa.array([None, None, 1.0, 2.0]),
    )  # fmt: skip
    assert found.reason.tolist() == ["list", "short", "list", ""]
    assert found.has_score.tolist() == [False, False, False, True]
    assert found.dropped(params).tolist() == [True, False, True, False]


def test_without_a_ranking_no_document_has_a_score():
    found = judged(SelectParams(), refused=strings("list", None))
    assert found.has_score.tolist() == [False, False]
    assert found.dropped(SelectParams()).tolist() == [True, False]


def test_a_tokenizer_that_refuses_every_document_is_named(tmp_path):
    store = Store(tmp_path)
    rows = dict.fromkeys(DOCUMENTS.names, "x") | {"record": 0, "n_bytes": 1}
    names = [f"{k:032x}" for k in range(4)]
    texts = [rows | {"document_id": n, "content_hash": n} for n in names]
    reasons = [None, "no_token", "eos_in_text", "no_token"]
    tokens = [refused_row(n, why) if why else token_row(n, None) for n, why in zip(names, reasons, strict=True)]
    params = PlanParams(budget_tokens=5, max_epochs=1)

    def kept(*rows):
        shards = [
            [store.write(name, pa.Table.from_pylist(each, schema=TABLES[name]))]
            for name, each in (("DOCUMENTS", texts[: len(rows)]), ("TOKENS", rows))
        ]
        return read_kept(reads_of(*shards, {}, params), params, store)

    said = r"it refuses all documents that dedup kept \(1 eos_in_text, 2 no_token\); use another tokenizer"
    with pytest.raises(RecipeError, match=said):
        kept(*tokens)
    documents, _ = kept(*tokens[:3], token_row(names[3], [0]))
    assert documents.document_id.to_pylist() == names[3:]
    documents, _ = kept(tokens[0])  # dropped alone: the plan says that nothing can be drawn
    assert len(documents) == 0


@pytest.mark.parametrize("by", [*KINDS, None])
@pytest.mark.parametrize("is_screened", [True, False])
def test_a_plan_reads_the_columns_that_it_selects_by_and_of_kept_documents_alone(by, is_screened, tmp_path):
    store = Store(tmp_path)
    names = [f"{k:032x}" for k in (3, 1, 2)]
    rows = dict.fromkeys(DOCUMENTS.names, "x") | {"record": 0, "n_bytes": 1}
    texts = [rows | {"document_id": n, "content_hash": n, "domain": d} for n, d in zip(names, "bab", strict=True)]
    tokens = [token_row(names[0], [1, 2, 3, 4, 0]), token_row(names[1], None), token_row(names[2], [1, 0])]
    select = SelectParams(by=by, top_share=0.5) if by else SelectParams()
    tables = {"DOCUMENTS": texts, "TOKENS": tokens}
    for table in select.tables if is_screened else ():
        columns = select.columns(table)
        own = [dict.fromkeys(TABLES[table].names, 0) | {"document_id": n, "status": "scored"} for n in names]
        for row, value, why in zip(own, (0.25, 9.0, 0.5), (None, "dropped", "repeats"), strict=True):
            row.update({"shuffled": None, "refused": None, "reason": None, "pairs": []} | {columns[0]: why})
            row.update(dict.fromkeys(columns[1:], value))
        tables[table] = own
    shards = {
        name: [store.write(name, pa.Table.from_pylist(each, schema=TABLES[name]))] for name, each in tables.items()
    }
    params = PlanParams(budget_tokens=5, max_epochs=1, shares={"a": 0.5, "b": 0.25, "c": 0.25}, select=select)
    reads = reads_of(shards["DOCUMENTS"], shards["TOKENS"], shards, params)
    assert [read.columns for read in reads[0]][2:] == list(map(select.columns, select.tables if is_screened else ()))
    documents, found = read_kept(reads, params, store)
    assert documents.document_id.to_pylist() == [names[0], names[2]]
    assert (documents.domains, documents.domain.tolist()) == (("a", "b", "c"), [1, 1])
    assert documents.n_tokens.tolist() == [5, 2]
    if not is_screened:
        assert found is None
        return
    assert found.score.tolist() == ([250_000, 500_000] if by else [0, 0])
    assert found.has_score.tolist() == [bool(by), False]
    assert found.reason.tolist() == ["", "repeats"]


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    cases = [case(seed, by) for seed in SEEDS for by in KINDS]
    assert any(not len(c.hashes) for c in cases)
    assert any(set(c.reason) & set(c.params.drop) for c in cases)
    assert any(not c.has_score.any() and len(c.hashes) for c in cases)
    tied = 0
    for c in cases:
        found = fast(c)
        for d in range(3):
            here = (c.domain == d) & c.has_score
            tied += c.params.by == "chunk_gain" and bool(set(c.score[here & found]) & set(c.score[here & ~found]))
    assert tied > 10
    by = {kind: [fast(case(seed, kind)).tolist() for seed in SEEDS] for kind in KINDS}
    assert by["random"] != by["length_matched_random"] != by["chunk_gain"] == by["recurrence"]
