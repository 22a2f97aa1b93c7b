"""DOCUMENTS, DUPLICATES -> BACKGROUND, SCORES_CHEAP: what can be told of every document without a model.

BACKGROUND, what documents are compared with, is a declared input: made once from the documents of the build that has no
base, kept by every refresh after it, and made anew where the recipe changes `background_seed`. So the scores of a
document that stays do too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, Store, name_of
from schemas.tables import BACKGROUND, SCORES_CHEAP
from scorers.cheap import background as words
from scorers.cheap import cheap
from scorers.cheap.background import MAX_BYTES, MAX_DOCUMENTS, Background, background, choose, middle
from scorers.cheap.block_order import MIN_ORDER_Z
from scorers.cheap.lists import MAX_LIST_SHARE
from scorers.cheap.repeats import MAX_REPEAT_SHARE

VERSION = 2  # raise when the same params would give other rows


class ScreenParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    max_repeat_share: float = Field(MAX_REPEAT_SHARE, ge=0, le=1)
    max_list_share: float = Field(MAX_LIST_SHARE, ge=0, le=1)
    gate: bool = True  # refuse what recurs less than nine of ten intact documents of its domain
    background_seed: int = 0  # another one: other documents to compare with


def screen_shard(documents: pa.Table, duplicates: pa.Table, known: pa.Table, params: ScreenParams) -> pa.Table:
    """SCORES_CHEAP: a row for each row of `documents`, without scores where it was dropped."""
    kept = pc.equal(duplicates["verdict"], "kept")
    texts, domains = (documents[name].filter(kept) for name in ("text", "domain"))
    found = Background.of(known)
    scores = cheap(texts.combine_chunks(), domains.to_pylist(), found)
    scores = scores.append_column("shuffled", pc.less(scores["order_z"], MIN_ORDER_Z))
    scores = scores.append_column("refused", refusals(scores, domains.to_pylist(), found, params))
    rows = pa.array(np.cumsum(kept.to_numpy()) - 1, mask=~kept.to_numpy())
    dropped = pc.if_else(kept, None, "dropped")
    columns = {
        "document_id": duplicates["document_id"],
        "status": pc.if_else(kept, "scored", "dropped"),
        "reason": dropped,
    }
    columns |= {name: scores[name].take(rows) for name in scores.column_names}
    return pa.table(columns).select(SCORES_CHEAP.names)


def refusals(scores: pa.Table, domains: Sequence[str], known: Background, params: ScreenParams) -> pa.Array:
    """[n] why no model need look at a document, NULL where nothing speaks against it."""
    repeats, listed, recurs = (scores[name].to_numpy() for name in ("repeat_share", "list_share", "recurrence"))
    gates = {name: domain.min_recurrence for name, domain in known.domains.items()}
    lowest = np.array([gates[name] if params.gate and gates[name] is not None else -np.inf for name in domains], float)
    reasons = np.full(len(domains), None, object)  # NaN compares false: what can't be told is no reason
    reasons[recurs < lowest] = "stitched"
    reasons[listed > params.max_list_share] = "list"
    reasons[repeats > params.max_repeat_share] = "repeats"
    return pa.array(reasons, pa.string())


SCREEN = ShardStage("screen", VERSION, "SCORES_CHEAP", screen_shard)


def run(
    documents: list[Shard],
    duplicates: list[Shard],
    params: ScreenParams,
    base: Mapping[str, list[Shard]],
    engine: Engine,
) -> dict[str, list[Shard]]:
    """BACKGROUND, and SCORES_CHEAP beside each shard of DOCUMENTS.

    base: the tables of the base version, whose background is kept.
    """
    known = background_of(documents, duplicates, params, base.get("BACKGROUND", []), engine)
    reads = (
        (
            Read(text, ("text", "domain")),
            Read(verdict, ("document_id", "verdict")),
            Read(known[0], tuple(BACKGROUND.names)),
        )
        for text, verdict in zip(documents, duplicates, strict=True)
    )
    return {"BACKGROUND": known, "SCORES_CHEAP": engine.shards(SCREEN, params, reads)}


def background_of(
    documents: Sequence[Shard], duplicates: Sequence[Shard], params: ScreenParams, before: Sequence[Shard],
    engine: Engine,
) -> list[Shard]:  # fmt: skip
    """The base's background, with the domains that it does not know; all of them anew where the base chose by another seed."""
    reads = [Read(s, ("content_hash", "n_bytes", "domain")) for s in documents] + [
        Read(s, ("verdict",)) for s in duplicates
    ]
    kept = [s.content_hash for s in before]
    name = name_of("background", VERSION, params.background_seed, kept, [r.key() for r in reads])
    store = engine.store

    def make() -> list[Shard]:
        made_by = f"{words.VERSION}, {salt_of(params)}"
        base = {}
        if before:
            table = store.read(before[0])
            base = {**Background.of(table.filter(pc.equal(table["made_by"], made_by))).domains}
        chosen = {domain: rows for domain, rows in choice(reads, params, store).items() if domain not in base}
        texts = texts_of(documents, chosen, store)
        described = {
            domain: (
                [content for content, _, _ in rows],
                pa.array([texts[place, row] for _, place, row in rows], pa.string()),
            )
            for domain, rows in chosen.items()
        }
        made = Background(base | dict(background(described).domains))
        return [store.write("BACKGROUND", made.table(made_by))]

    return engine.once("background", name, make)


def salt_of(params: ScreenParams) -> str:
    return f"background {params.background_seed}"


def choice(reads: Sequence[Read], params: ScreenParams, store: Store) -> dict[str, list[tuple[str, int, int]]]:
    """By domain the documents that it is known by: content hash, shard and row, lowest key first."""
    half = len(reads) // 2
    pieces: dict[str, list[tuple[str, int, int, int]]] = {}
    for place, (own, verdict) in enumerate(zip(reads[:half], reads[half:], strict=True)):
        table, kept = store.read(own.shard, own.columns), store.read(verdict.shard, verdict.columns)["verdict"]
        columns = (table[name].to_pylist() for name in ("content_hash", "n_bytes", "domain"))
        for row, (content, n_bytes, domain, is_kept) in enumerate(zip(*columns, kept.to_pylist(), strict=True)):
            if is_kept == "kept":
                pieces.setdefault(domain, []).append((content, n_bytes, place, row))
    found = {}
    for domain, rows in sorted(pieces.items()):
        sizes = np.array([n_bytes for _, n_bytes, _, _ in rows])
        best = choose([row[0] for row in rows], sizes, salt_of(params), MAX_DOCUMENTS)
        found[domain] = [(rows[k][0], rows[k][2], rows[k][3]) for k in best]
    return found


def texts_of(
    documents: Sequence[Shard], chosen: Mapping[str, list[tuple[str, int, int]]], store: Store
) -> dict[tuple[int, int], str]:
    """The middles of the chosen documents' texts, by shard and row; a shard's text is in memory at a time."""
    wanted = sorted({(place, row) for rows in chosen.values() for _, place, row in rows})
    found = {}
    for place in sorted({place for place, _ in wanted}):
        text = store.read(documents[place], ["text"])["text"]
        for row in (row for at, row in wanted if at == place):
            raw = np.frombuffer(text[row].as_buffer(), np.uint8)
            found[place, row] = (middle(raw) if len(raw) > MAX_BYTES else raw).tobytes().decode()
    return found
