"""Sentences on rejected records, the encoding and the path: counts are added, and nothing is said of nothing."""

from pipelines.findings import choice, encoding, path, rejected, unfollowed
from pipelines.recipe import load


def rejection(reason, records, source="a", stage="ingest"):
    return {"stage": stage, "reason": reason, "source": source, "records": records}


def source(name, **values):
    return {"source": name, "documents": 1, "refused": 0, "sampled": 0, "lossy": 0, "fell_back_shards": 0, **values}


def test_records_are_counted_by_reason_over_all_sources_the_most_first():
    rows = [
        rejection("b", 2), rejection("no_token", 1_000, stage="encode"), rejection("a", 1), rejection("a", 1, "other"),
    ]  # fmt: skip
    assert rejected(rows) == "1,004 records (1,000 no_token, 2 a, 2 b)"
    assert rejected([rejection("not_json", 1)]) == "1 record (1 not_json)"


def test_nothing_is_said_where_all_went_well():
    assert encoding([]) == []
    assert encoding([source("a", sampled=5), source("b")]) == []


def test_each_fault_is_counted_by_source():
    rows = [
        source("a", refused=1, sampled=4), source("b", sampled=3, lossy=2, fell_back_shards=1),
        source("c", refused=1_000, sampled=1, lossy=1, fell_back_shards=1),
    ]  # fmt: skip
    refused, lossy, fell_back = encoding(rows)
    assert refused == "Refused by the tokenizer: 1,001 documents (a: 1, c: 1,000). The view rejected says why."
    assert lossy.startswith(
        "Lossy tokenizer: 3 of 8 sampled documents cannot be decoded to the same text (b: 2, c: 1)."
    )
    assert fell_back.startswith("Encoded by tokenizers, since fastokens gave other ids: 2 shards (b: 1, c: 1).")
    assert encoding([source("a", fell_back_shards=1)]) == [fell_back.replace("2 shards (b: 1, c: 1)", "1 shard (a: 1)")]


def test_sources_of_which_dedup_kept_nothing_are_named():
    """A source whose documents were all refused by the tokenizer is named as such alone."""
    rows = [source("a"), source("b", documents=0), source("c", documents=0, refused=2), source("d", documents=0)]
    (lost, refused) = encoding(rows)
    assert lost == "Dedup kept no document of 2 sources (b, d): each is a copy of a document of another source."
    assert refused.startswith("Refused by the tokenizer: 2 documents (c: 2).")


def group(**values):
    return {
        "on_path": 3, "restarts": 1, "mean_similarity": 0.5, "most_similarity": 0.75, "near_copies": 0,
        "largest_near_set": 0, **values,
    }  # fmt: skip


MEAN = "Mean cosine of consecutive documents:"


def packed(path_pairs=2, adjacent_pairs=1):
    return [{"path_pairs": path_pairs, "adjacent_pairs": adjacent_pairs}]


def test_a_path_is_summed_over_its_groups_weighted_by_their_pairs():
    assert path([], packed(None, None)) == []
    assert path([group()], packed()) == [
        f"Path: 3 documents, 1 restart. {MEAN} 0.500, of at most 0.750. Adjacent in a sequence: 1 of 2 consecutive pairs."
    ]
    near = {"near_copies": 1, "largest_near_set": 2}
    several = [group(**near), group(on_path=7, restarts=2, mean_similarity=0.1, most_similarity=0.15)]
    assert path(several, packed(8, 7)) == [
        f"Path: 10 documents, 3 restarts. {MEAN} 0.200, of at most 0.300. Adjacent in a sequence: 7 of 8 consecutive pairs.",
        "Near copies: 1 document left the path. No sequence has two documents of a near set; the largest set has 2.",
    ]


def test_no_cosine_is_stated_of_a_path_without_vectors():
    none = {"mean_similarity": None, "most_similarity": None}
    assert path([group(**none)], packed(None, None)) == ["Path: 3 documents, 1 restart."]
    assert "0.500, of at most 0.750. Adjacent" in path([group(on_path=1, **none), group()], packed())[0]


def test_a_packer_that_ignores_the_path_is_named():
    recipe = load("mixes/tiny.toml")
    assert unfollowed(recipe) == []
    ignored = recipe.model_copy(update={"pack": recipe.pack.model_copy(update={"packer": "best_fit"})})
    (note,) = unfollowed(ignored)
    assert note == 'pack.packer = "best_fit" does not follow the path of order.by = "greedy_edge"; "in_order" does'
    assert unfollowed(ignored.model_copy(update={"order": type(recipe.order)()})) == []


QUOTAS = [
    {"why": "top", "target": 9, "chosen": 9},
    {"why": "top", "target": 2, "chosen": 1},
    {"why": "short", "target": 5, "chosen": 2},
]


def test_sentences_on_a_choice():
    left = [{"reason": r, "samples": n} for r, n in (("similar", 2), ("similar", 3), ("budget", 1), ("outranked", 7))]
    assert choice(QUOTAS, left) == [
        "Shortfall: 1 of 11 samples that choose.top asks for cannot be supplied and are not substituted.",
        "Shortfall: 3 of 5 samples that choose.short_share asks for cannot be supplied and are not substituted.",
        "Passed over: 5 samples, each similar to a higher chosen one (choose.max_similarity).",
        "Not scored: 1 sample, since influence.budget_tokens was spent.",
    ]
    assert choice(QUOTAS[:1], left[3:]) == []
