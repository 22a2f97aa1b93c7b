"""A sound set of instruction samples, and what breaks the laws of such sets."""

import copy

from tests.sft import message_text, sample_row, scored_row

HMG = {"nll_gain": 1.0, "nll_long": 1.0, "nll_short": 2.0, "nll_no_context": 2.0, "nll_alone": 3.0, "ifd": 0.25,
       "context_tokens": 4.0, "response_tokens": 3.0, "is_cut": False}  # fmt: skip
CAM = {"alignment": 0.5, "n_segments": 2.0, "segment_nll": [1.0, 2.0], "attention": [[0.5, 0.5], [0.25, 0.75]],
       "segment_tokens": [2, 2]}  # fmt: skip
WHY = {"a": "top", "c": "top", "s": "short"}
PLACE = {"a": 1, "d": 2, "e": 3, "c": 4}
REASON = {"b": "dropped", "d": "similar", "e": "outranked", "r": "refused", "n": "one segment"}
SHARDS = (("a", "b", "s"), ("c", "d", "e", "r", "n"))


def document(name: str, record: int) -> dict:
    text = message_text("q", name)
    return {
        "document_id": name, "content_hash": "hash of " + ("a" if name == "b" else name), "source": "tips" if name == "s" else "web",
        "record_id": None, "origin": None, "domain": "tip" if name == "s" else "web", "license": None, "file": "f", "record": record,
        "n_bytes": len(text), "text": text,
    }  # fmt: skip


def sample(name: str) -> dict:
    """A row of SAMPLES of eight tokens; b is dropped, r refused. c has two responses."""
    if name in ("b", "r"):
        return sample_row(name, {"b": "dropped", "r": "refused"}[name])
    responses = [{"start": 1, "stop": 2}, {"start": 5, "stop": 8}] if name == "c" else [{"start": 5, "stop": 8}]
    return sample_row(
        name, n_tokens=8, input_ids=[1, 2, 3, 4, 5, 6, 7, 8], context_start=1 if name != "c" else 2, context_stop=4,
        response_start=5, response_stop=7, responses=responses, n_responses=len(responses),
    )  # fmt: skip


def why_not_scored(name: str) -> str | None:
    return {"b": "dropped", "r": "refused", "s": "short_source"}.get(name)


def values(name: str) -> dict:
    place = PLACE.get(name)
    parts = None if place is None else 1 / place
    return {"score": parts, "hmg": parts, "cam": parts}


def chosen(name: str, rank: int | None) -> dict:
    start = 2 if name == "c" else 1
    return {
        "document_id": name, "content_hash": f"hash of {name}", "domain": "tip" if name == "s" else "web", "why": WHY[name],
        "rank": rank, **values(name), "n_tokens": 8, "context_tokens": 4 - start, "response_tokens": 2,
    }  # fmt: skip


def rank(name: str) -> dict:
    return {
        "document_id": name, "why": WHY.get(name), "reason": REASON.get(name), "place": PLACE.get(name), **values(name),
        "similar_id": "a" if name == "d" else None,
    }  # fmt: skip


def message(name: str, rank: int | None) -> dict:
    own = chosen(name, rank)
    return {
        **{key: own[key] for key in ("document_id", "domain", "why", "rank", "score")}, "license": None, "tools": None,
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": name}],
    }  # fmt: skip


def draw(name: str) -> dict:
    own = chosen(name, None)
    return {
        **{key: own[key] for key in ("document_id", "content_hash", "domain", "n_tokens", "why")}, "epoch": 0,
        "document_start": 0, "document_stop": 8,
    }  # fmt: skip


def segment(name: str, start: int, stop: int) -> dict:
    return {
        "document_id": name, "domain": "tip" if name == "s" else "web", "document_start": start, "document_stop": stop,
        "epoch": 0, "path_position": None, "similarity_to_previous": None, "n_pad": 0,
    }  # fmt: skip


def sequence(number: int, *segments: tuple[str, int, int]) -> dict:
    ids, labels, cuts = [], [], [0]
    for name, start, stop in segments:
        own = sample(name)
        for k in range(start, stop):
            ids.append(own["input_ids"][k])
            labels.append(ids[-1] if any(s["start"] <= k < s["stop"] for s in own["responses"]) else -100)
        cuts.append(len(ids))
    return {
        "sequence_id": number, "input_ids": ids, "labels": labels, "n_tokens": len(ids), "cu_seqlens": cuts,
        "segments": [segment(*each) for each in segments],
    }  # fmt: skip


def quota(why: str, candidates: int, target: int, n_chosen: int, similar: int = 0) -> dict:
    return {
        "why": why, "domain": "web" if why == "top" else None, "length_bucket": None, "response_bucket": None,
        "candidates": candidates, "target": target, "chosen": n_chosen, "similar": similar,
    }  # fmt: skip


def sound() -> dict[str, list[list[dict]]]:
    """Two shards. a and c are chosen, s is a short instruction; b is a copy of a, d is similar to a, e is outranked by a quota.

    a is cut between two rows, inside its response.
    """
    hmg = {name: scored_row("SCORES_HMG", name, why_not_scored(name), **HMG) for names in SHARDS for name in names}
    cam = {name: scored_row("SCORES_CAM", name, why_not_scored(name), **CAM) for names in SHARDS for name in names}
    cam["n"] = scored_row("SCORES_CAM", "n", "one segment") | {"status": "too_short"}
    return {
        "DOCUMENTS": [[document(name, k) for k, name in enumerate(names)] for names in SHARDS],
        "DUPLICATES": [
            [
                {"document_id": name, "verdict": "exact" if name == "b" else "kept", "kept_id": "a" if name == "b" else None,
                 "similarity": 1.0 if name == "b" else None}
                for name in names
            ]
            for names in SHARDS
        ],
        "SAMPLES": [[sample(name) for name in names] for names in SHARDS],
        "SCORES_HMG": [[hmg[name] for name in names] for names in SHARDS],
        "SCORES_CAM": [[cam[name] for name in names] for names in SHARDS],
        "RANKS": [[rank(name) for name in names] for names in SHARDS],
        "QUOTAS": [[quota("top", 4, 3, 2, 1), quota("short", 1, 1, 1)]],
        "CHOSEN": [[chosen("a", 1), chosen("c", 2), chosen("s", None)]],
        "DRAWS": [[draw("a"), draw("c")], [draw("s")]],
        "MESSAGES": [[message("a", 1), message("c", 2)], [message("s", None)]],
        "SFT_SEQUENCES": [
            [sequence(0, ("a", 0, 6)), sequence(1, ("a", 6, 8)), sequence(2, ("c", 0, 8))],
            [sequence(1 << 32, ("s", 0, 8))],
        ],
    }  # fmt: skip


def put(table, shard, row, **changes):
    return but(lambda tables: tables[table][shard][row].update(changes))


def drop(table, shard, row):
    return but(lambda tables: tables[table][shard].pop(row))


def but(change):
    """A sound set of samples, and a change, in place of the tables that are given."""

    def changed(tables):
        tables.clear()
        tables.update(copy.deepcopy(sound()))
        change(tables)

    return changed


def add(table, shard, row):
    return but(lambda tables: tables[table][shard].append(row))


NAN = float("nan")

BREACHES = {
    "in SAMPLES, input_ids has n_tokens elements; context, scored response and responses are ordered inside them": [
        put("SAMPLES", 0, 0, n_tokens=9),
        put("SAMPLES", 0, 0, input_ids=None),
        put("SAMPLES", 0, 0, responses=None),
        put("SAMPLES", 0, 0, n_responses=None),
        put("SAMPLES", 0, 0, n_responses=0),
        put("SAMPLES", 0, 0, context_start=-1),
        put("SAMPLES", 0, 0, context_start=None),
        put("SAMPLES", 0, 0, context_stop=0),
        put("SAMPLES", 0, 0, response_start=3),
        put("SAMPLES", 0, 0, response_stop=4),
        put("SAMPLES", 0, 0, response_stop=9, responses=[{"start": 5, "stop": 8}]),
        put("SAMPLES", 0, 0, responses=[{"start": 5, "stop": 9}]),
        put("SAMPLES", 0, 0, responses=[{"start": -1, "stop": 8}]),
        put("SAMPLES", 0, 0, responses=[]),
        put("SAMPLES", 1, 0, responses=[{"start": 2, "stop": 2}, {"start": 5, "stop": 8}]),
        put("SAMPLES", 1, 0, responses=[{"start": 1, "stop": 6}, {"start": 5, "stop": 8}]),
        put("SAMPLES", 1, 0, responses=[{"start": 5, "stop": 8}, {"start": 1, "stop": 2}]),
        put("SAMPLES", 0, 1, responses=[{"start": 5, "stop": 8}]),
        put("SAMPLES", 0, 1, n_tokens=8),
    ],
    "the scored response of a sample is one of its responses": [
        put("SAMPLES", 0, 0, responses=[{"start": 6, "stop": 8}]),
        put("SAMPLES", 1, 0, responses=[{"start": 1, "stop": 2}, {"start": 5, "stop": 6}]),
    ],
    "in SCORES_CAM, segment_nll, segment_tokens and each layer of attention have n_segments elements, none is NaN": [
        put("SCORES_CAM", 0, 0, segment_nll=[1.0]),
        put("SCORES_CAM", 0, 0, segment_nll=[1.0, NAN]),
        put("SCORES_CAM", 0, 0, segment_nll=None),
        put("SCORES_CAM", 0, 0, segment_tokens=[1, 2, 3]),
        put("SCORES_CAM", 0, 0, attention=None),
        put("SCORES_CAM", 0, 0, attention=[[0.5, 0.5], [1.0]]),
        put("SCORES_CAM", 0, 0, attention=[[0.5, 0.5], [NAN, 1.0]]),
        put("SCORES_CAM", 0, 1, segment_nll=[1.0, 2.0]),
    ],
    "RANKS is empty, or has a row for each row of DOCUMENTS, in the same order; it has why or a reason, and no NaN": [
        drop("RANKS", 1, 4),
        but(lambda tables: tables["RANKS"][1].reverse()),
        put("RANKS", 0, 0, reason="outranked"),
        put("RANKS", 1, 2, reason=None),
        put("RANKS", 1, 2, score=NAN),
        put("RANKS", 1, 2, hmg=NAN),
        put("RANKS", 1, 2, cam=NAN),
        put("RANKS", 1, 2, place=None),
        put("RANKS", 0, 0, place=None),
        put("RANKS", 0, 2, place=9),
        put("RANKS", 1, 1, similar_id=None),
        put("RANKS", 1, 2, similar_id="a"),
    ],
    "a sample that dedup dropped or the tokenizer refused has that reason in RANKS": [
        put("RANKS", 0, 1, reason="refused"),
        put("RANKS", 1, 3, reason="too_long"),
        put("RANKS", 1, 4, reason="dropped"),
        put("RANKS", 0, 1, reason=None, why="short"),
    ],
    "CHOSEN has a row for each sample that RANKS chooses, with the lengths of SAMPLES; none is longer than a sequence": [
        drop("CHOSEN", 0, 2),
        put("RANKS", 0, 2, why=None, reason="short_surplus"),
        put("CHOSEN", 0, 2, why="top"),
        put("CHOSEN", 0, 0, document_id="e"),
        *(put("CHOSEN", 0, 0, **{name: 0.75}) for name in ("score", "hmg", "cam")),
        *(put("CHOSEN", 0, 0, **{name: 3 + k}) for k, name in enumerate(("n_tokens", "context_tokens", "response_tokens"))),
        put("CHOSEN", 0, 0, domain="tip"),
        put("CHOSEN", 0, 0, content_hash="other"),
        but(lambda t: (t["SAMPLES"][0][0].update(n_tokens=9), t["CHOSEN"][0][0].update(n_tokens=9))),
    ],
    "in CHOSEN, rank counts from 1 in the order of rows for why = 'top', as in RANKS, and is NULL for why = 'short'": [
        put("CHOSEN", 0, 1, rank=3),
        put("CHOSEN", 0, 0, rank=None),
        put("CHOSEN", 0, 2, rank=3),
        put("CHOSEN", 0, 2, why="both"),
        but(lambda tables: tables["CHOSEN"][0].reverse()),
        but(lambda t: (t["RANKS"][0][0].update(place=4), t["RANKS"][1][0].update(place=1))),
    ],
    "a set of samples draws each row of CHOSEN once and not cut, and no other": [
        drop("DRAWS", 1, 0),
        add("DRAWS", 1, draw("s") | {"document_id": "e", "content_hash": "hash of e", "domain": "web"}),
        put("DRAWS", 0, 0, document_stop=7),
        put("DRAWS", 0, 0, document_start=1),
        put("DRAWS", 0, 0, epoch=1),
        put("DRAWS", 0, 0, why="short"),
    ],
    "MESSAGES has a row for each row of CHOSEN, in the group of its draw": [
        drop("MESSAGES", 1, 0),
        add("MESSAGES", 1, message("s", None) | {"document_id": "e"}),
        but(lambda tables: tables["MESSAGES"].reverse()),
        put("MESSAGES", 0, 0, domain="tip"),
        put("MESSAGES", 0, 0, why="short"),
        put("MESSAGES", 0, 0, rank=2),
        put("MESSAGES", 0, 0, score=None),
        put("MESSAGES", 0, 0, messages=[]),
    ],
    "documents are in CHOSEN and in MESSAGES once": [
        add("CHOSEN", 0, chosen("s", None)),
        add("MESSAGES", 1, message("s", None)),
    ],
    "QUOTAS counts the rows of CHOSEN, at most target of a cell": [
        put("QUOTAS", 0, 0, chosen=3),
        put("QUOTAS", 0, 0, target=1),
        drop("QUOTAS", 0, 1),
        add("QUOTAS", 0, quota("middle", 1, 1, 1)),
    ],
    "labels are input_ids at the tokens of responses, by their number and the sum of their places, and -100 elsewhere": [
        put("SFT_SEQUENCES", 0, 1, labels=[7]),
        put("SFT_SEQUENCES", 0, 1, labels=[7, 9]),
        put("SFT_SEQUENCES", 0, 1, labels=[7, -100]),
        put("SFT_SEQUENCES", 0, 0, labels=[-100] * 6),
        put("SFT_SEQUENCES", 0, 0, labels=[-100, -100, -100, -100, 5, -100]),
        put("SFT_SEQUENCES", 1, 0, labels=[1, 2, 3, 4, 5, 6, 7, 8]),
        put("SAMPLES", 1, 0, responses=[{"start": 5, "stop": 8}]),
    ],
}  # fmt: skip
