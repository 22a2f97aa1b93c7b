"""Tables in which no two figures agree that stand beside each other, and plain counts of them.

A mix of three domains in two shards; some documents are dropped or refused. Texts and tokens are left out.
"""

import random
from itertools import accumulate

from schemas.lengths import BUCKETS
from tests.schemas.test_laws import cheap
from tests.tokens import refused_row, token_row

DOMAINS = {"web": ("pages", "copies"), "wiki": ("articles",), "book": ("speeches",)}
SEQUENCE_TOKENS = 4096
LISTED = {
    "plan.select.drop": "dropped",
    "plan.select.top_share": "not_selected",
    "plan.max_document_share": "over_share",
}


def mix():
    """Documents of three domains in two shards, some of them dropped or refused; draws, and rows without a path."""
    draw = random.Random(5)
    shards = [[], []]
    for k in range(90):
        domain = draw.choice(["web", "web", "web", "wiki", "wiki", "book"])
        verdict = draw.choices(["kept", "exact", "near"], [7, 2, 1])[0]
        n_tokens = int(300 * 2 ** draw.uniform(0, 6)) if verdict == "kept" and draw.random() < 0.9 else None
        shards[k % 2].append(
            {"id": f"d{k:02}", "domain": domain, "source": draw.choice(DOMAINS[domain]), "verdict": verdict,
             "n_tokens": n_tokens, "license": draw.choice(["CC0", "MIT", None]), "n_bytes": draw.randrange(1000, 99_000),
             "refused": draw.choice(["list", "repeats", "stitched"]) if n_tokens and draw.random() < 0.3 else None,
             "shuffled": draw.random() < 0.2, "decodes": draw.choice([None, True, False]) if n_tokens else None}
        )  # fmt: skip
    documents = [document for shard in shards for document in shard]
    drawn = [
        {**document, "epoch": epoch, "stop": document["n_tokens"] - (epoch and 7)}
        for document in documents
        if document["n_tokens"] and document["refused"] != "list"
        for epoch in range(draw.choice([0, 1, 1, 2]))
    ]
    return draw, shards, documents, drawn


DRAW, SHARDS, ALL, DRAWN = mix()
KEPT = [document for document in ALL if document["verdict"] == "kept"]
ENCODED = [document for document in ALL if document["n_tokens"]]
REFUSED = [document for document in KEPT if not document["n_tokens"]]
REJECTED = [("not_json", "pages")] * 4 + [("not_json", "articles")] * 3 + [("text_missing", "speeches")]
PIECES = [
    (copy, start, min(start + SEQUENCE_TOKENS, copy["stop"]))
    for copy in DRAWN
    for start in range(0, copy["stop"], SEQUENCE_TOKENS)
]
SEQUENCES = [[]]
for piece in PIECES:
    if sum(stop - start for _, start, stop in [*SEQUENCES[-1], piece]) > SEQUENCE_TOKENS:
        SEQUENCES.append([])
    SEQUENCES[-1].append(piece)
TARGETS = [
    {"domain": domain, "kind": kind, "rate": DRAW.uniform(0.1, 3), "target_tokens": DRAW.randrange(10_000, 90_000),
     "available_tokens": DRAW.randrange(10_000, 90_000), "drawn_tokens": DRAW.randrange(1_000, 9_999),
     **{f"{name}_{what}": DRAW.randrange(1, 999) for name in LISTED.values() for what in ("documents", "tokens")}}
    for domain in sorted(DOMAINS)
    for kind in ("short", "long")
]  # fmt: skip


def tables():
    def row(document, record):
        return {
            "document_id": document["id"], "content_hash": f"hash of {document['id']}", "source": document["source"],
            "origin": None, "domain": document["domain"], "license": document["license"], "file": "a.jsonl",
            "record": record, "n_bytes": document["n_bytes"], "text": "",
        }  # fmt: skip

    def tokens(document):
        if document["verdict"] != "kept":
            return token_row(document["id"], None)
        if not document["n_tokens"]:
            return refused_row(document["id"])
        return token_row(document["id"], [], n_tokens=document["n_tokens"], decodes=document["decodes"])

    def verdict(document):
        kept = document["verdict"] == "kept"
        return {"document_id": document["id"], "verdict": document["verdict"], "kept_id": None if kept else "d00",
                "similarity": None if kept else 1.0}  # fmt: skip

    def sequence(number, pieces):
        cuts = [0, *accumulate(stop - start for _, start, stop in pieces)]
        segments = [
            {"document_id": copy["id"], "domain": copy["domain"], "document_start": start, "document_stop": stop,
             "epoch": copy["epoch"], "path_position": None, "similarity_to_previous": None, "n_pad": 0}
            for copy, start, stop in pieces
        ]  # fmt: skip
        return {"sequence_id": number, "input_ids": [], "n_tokens": cuts[-1], "cu_seqlens": cuts, "segments": segments}

    def rejected(k, reason, source):
        return {
            "source": source,
            "file": "b",
            "record": k,
            "reason": reason,
            "detail": "",
            "head": b"",
            "n_bytes": 0,
            "record_hash": "0",
        }

    def judged(document):
        scored = document["n_tokens"] is not None
        own = cheap(document["id"], "scored" if scored else "not_scored")
        return own | {"refused": document["refused"], "shuffled": document["shuffled"] if scored else None}

    def drawn(copy):
        return {"document_id": copy["id"], "content_hash": f"hash of {copy['id']}", "domain": copy["domain"], "why": "short",
                "n_tokens": copy["n_tokens"], "epoch": copy["epoch"], "document_start": 0, "document_stop": copy["stop"]}  # fmt: skip

    return {
        "DOCUMENTS": [[row(document, k) for k, document in enumerate(shard)] for shard in SHARDS],
        "REJECTED": [[], [rejected(k, *each) for k, each in enumerate(REJECTED)]],
        "DUPLICATES": [[verdict(document) for document in shard] for shard in SHARDS],
        "TOKENS": [[tokens(document) for document in shard] for shard in SHARDS],
        "SCORES_CHEAP": [[judged(document) for document in shard] for shard in SHARDS],
        "DRAWS": [[drawn(copy) for copy in DRAWN]],
        "TARGETS": [TARGETS],
        "SEQUENCES": [[sequence(k, pieces) for k, pieces in enumerate(SEQUENCES)]],
    }


def shown(value) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def bucket(n_tokens):
    return BUCKETS[sum(n_tokens >= 1024 << k for k in range(8))]
