"""Sentences on rejected records and on the encoding: counts are added over sources, and nothing is said of nothing."""

from pipelines.findings import encoding, rejected


def rejection(reason, records, source="a", stage="ingest"):
    return {"stage": stage, "reason": reason, "source": source, "records": records}


def source(name, **values):
    return {"source": name, "refused": 0, "sampled": 0, "lossy": 0, "fell_back_shards": 0, **values}


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
