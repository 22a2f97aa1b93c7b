"""DOCUMENTS, TOKENS -> BACKGROUND, SCORES_CHEAP: scores of every encoded document without a model.

BACKGROUND, which documents are compared with, is a declared input: the build without a base makes it from its
documents, every refresh keeps it, and another `background_seed` makes it anew. So a document that stays keeps its
scores.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pipelines.documents import side_by_side
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, Store, name_of
from schemas.scores import SCORES_CHEAP
from schemas.tables import BACKGROUND
from scorers.cheap import cheap
from scorers.cheap.background import MAX_BYTES, MAX_DOCUMENTS, Background, background, choose, middle
from scorers.cheap.background import VERSION as WORDS_VERSION
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


def screen_shard(documents: pa.Table, tokens: pa.Table, words: pa.Table, params: ScreenParams) -> pa.Table:
    """SCORES_CHEAP: a row for each row of `documents`, without scores where it was dropped or refused."""
    status, by_domain = tokens["status"], Background.of(words)
    encoded = pc.equal(status, "encoded")
    texts, domains = (documents[name].filter(encoded) for name in ("text", "domain"))
    scores = cheap(texts.combine_chunks(), domains.to_pylist(), by_domain)
    scores = scores.append_column("shuffled", pc.less(scores["order_z"], MIN_ORDER_Z))
    scores = scores.append_column("refused", refusals(scores, domains, by_domain, params))
    rows = pa.array(np.cumsum(encoded.to_numpy()) - 1, mask=~encoded.to_numpy())
    columns = {
        "document_id": tokens["document_id"],
        "status": pc.if_else(encoded, "scored", pc.if_else(pc.equal(status, "dropped"), "dropped", "not_scored")),
        "reason": pc.if_else(encoded, None, status),
    }
    columns |= {name: scores[name].take(rows) for name in scores.column_names}
    return pa.table(columns).select(SCORES_CHEAP.names)


def refusals(
    scores: pa.Table, domains: pa.ChunkedArray, by_domain: Background, params: ScreenParams
) -> pa.ChunkedArray:
    """[n] why no model needs to read a document; NULL where there is no reason, or where its score is NULL."""
    names = sorted(by_domain.domains)
    gates = pa.array([by_domain.domains[name].min_recurrence if params.gate else None for name in names], pa.float64())
    reasons = {  # the first that holds
        "repeats": pc.greater(scores["repeat_share"], params.max_repeat_share),
        "list": pc.greater(scores["list_share"], params.max_list_share),
        "stitched": pc.less(scores["recurrence"], gates.take(pc.index_in(domains, pa.array(names, pa.string())))),
    }
    holds = pc.make_struct(*(pc.fill_null(column, False) for column in reasons.values()))
    return pc.case_when(holds, *reasons)


SCREEN = ShardStage("screen", VERSION, "SCORES_CHEAP", screen_shard, same=("content_hash", "domain"))


def run(
    documents: list[Shard],
    tokens: list[Shard],
    params: ScreenParams,
    base: Mapping[str, list[Shard]],
    engine: Engine,
) -> dict[str, list[Shard]]:
    """BACKGROUND, and SCORES_CHEAP beside each shard of DOCUMENTS.

    base: the tables of the base version, whose background is kept.
    """
    background = background_of(documents, tokens, params, base.get("BACKGROUND", []), engine)
    words = Read(background[0], tuple(BACKGROUND.names))
    reads = (
        (Read(text, ("text", "domain")), Read(ids, ("document_id", "status")), words)
        for text, ids in zip(documents, tokens, strict=True)
    )
    return {"BACKGROUND": background, "SCORES_CHEAP": engine.shards(SCREEN, params, reads)}


def background_of(
    documents: Sequence[Shard], tokens: Sequence[Shard], params: ScreenParams, before: Sequence[Shard],
    engine: Engine,
) -> list[Shard]:  # fmt: skip
    """The base's background with the domains that it lacks; all domains anew where the base chose by another seed."""
    own = [Read(shard, ("content_hash", "n_bytes", "domain")) for shard in documents]
    statuses = [Read(shard, ("status",)) for shard in tokens]
    keys = [read.key() for read in (*own, *statuses)]
    name = name_of("background", VERSION, params.background_seed, [shard.content_hash for shard in before], keys)
    store = engine.store

    def make() -> list[Shard]:
        made_by = f"{WORDS_VERSION}, {salt_of(params)}"
        base = {}
        if before:
            table = store.read(before[0])
            base = {**Background.of(table.filter(pc.equal(table["made_by"], made_by))).domains}
        chosen = choice(list(zip(own, statuses, strict=True)), params, store)
        chosen = {domain: rows for domain, rows in chosen.items() if domain not in base}
        made = dict(base)
        for domain, rows in chosen.items():  # the texts of one domain are in memory at a time
            hashes = [content_hash for content_hash, _, _ in rows]
            made |= background({domain: (hashes, texts_of(documents, rows, store))}).domains
        return [store.write("BACKGROUND", Background(made).table(made_by))]

    return engine.once("background", name, make)


def salt_of(params: ScreenParams) -> str:
    return f"background {params.background_seed}"


Places = list[tuple[str, int, int]]  # content hash, shard and row of documents


def choice(reads: Sequence[tuple[Read, Read]], params: ScreenParams, store: Store) -> dict[str, Places]:
    """The documents that describe each domain, by domain, lowest key first."""
    pieces = []
    for k, own in enumerate(reads):
        table = side_by_side([own], store)
        places = {"shard": np.full(table.num_rows, k), "row": np.arange(table.num_rows)}
        for name, values in places.items():
            table = table.append_column(name, pa.array(values, pa.int64()))
        pieces.append(table.filter(pc.equal(table["status"], "encoded")))
    encoded = pa.concat_tables(pieces)
    chosen = {}
    for domain in sorted(encoded["domain"].unique().to_pylist()):
        mine = encoded.filter(pc.equal(encoded["domain"], domain))
        best = choose(mine["content_hash"].to_pylist(), mine["n_bytes"].to_numpy(), salt_of(params), MAX_DOCUMENTS)
        columns = (mine[name].take(pa.array(best, pa.int64())) for name in ("content_hash", "shard", "row"))
        chosen[domain] = list(zip(*(column.to_pylist() for column in columns), strict=True))
    return chosen


def texts_of(documents: Sequence[Shard], places: Places, store: Store) -> pa.Array:
    """The middle of each document's text, in the order of `places`. One shard's texts are in memory at a time."""
    texts: dict[tuple[int, int], bytes] = {}
    for shard, group in groupby(sorted((shard, row) for _, shard, row in places), key=itemgetter(0)):
        text = store.read(documents[shard], ["text"])["text"]
        for _, row in group:
            raw = np.frombuffer(text[row].as_buffer(), np.uint8)
            texts[shard, row] = (middle(raw) if len(raw) > MAX_BYTES else raw).tobytes()
    return pa.array([texts[shard, row] for _, shard, row in places], pa.binary()).cast(pa.string())
