"""TOKENS, DOCUMENTS, SCORES -> DRAWS, TARGETS: which copies of which documents are in the mix.

All of the plan is arrays in one process: hash, domain and length of each kept document, about 125 bytes of it, and 225 at
the peak, while it draws. No text and no token is read. The draws are divided into groups, each a shard of DRAWS and later a published file, by a hash of
content and epoch: a document that comes or goes changes its own group, and copies of a document are far apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationInfo, field_validator

from pipelines.documents import Documents, side_by_side
from pipelines.keys import keyed, salt
from pipelines.plan.cells import KINDS, Cells, cells_of, kind_of
from pipelines.plan.selection import Judged, SelectParams, chosen
from pipelines.plan.upsample import Draws, Targets, draw, over_share, solve
from pipelines.shares import Top
from pipelines.stage import Engine, Read
from pipelines.store import Shard, Store, name_of
from schemas.errors import RecipeError
from schemas.tables import TARGETS

VERSION = 4  # raise when the same params would give other rows

GROUP_TOKENS = 1 << 27  # a group has at most about so many: a published file of about 500 MB


class PlanParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    budget_tokens: PositiveInt
    long_tokens: PositiveInt = 4096  # a document of at least so many is long
    short_rate: float = Field(
        0.1, ge=0, le=1e6, allow_inf_nan=False
    )  # r: a short document is drawn r times for a long one
    max_epochs: int = Field(4, gt=0, le=1_000_000)  # the most copies of a document
    normalise_shares: bool = False
    shares: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None  # None: the corpus's own
    max_document_share: Top | None = None  # a larger part of its domain is left out
    select: SelectParams = SelectParams()
    seed: int = 0

    @field_validator("shares")
    @classmethod
    def sum_to_one(cls, shares: dict[str, float] | None, info: ValidationInfo) -> dict[str, float] | None:
        total = sum((shares or {"": 1}).values())
        if abs(total - 1) > 1e-6 and not (info.data.get("normalise_shares") and total > 0):
            raise ValueError(f"they sum to {total:g}, not 1; mend them or set normalise_shares = true")
        return shares


Tables = Mapping[str, Sequence[Shard]]


def reads_of(
    documents: Sequence[Shard], tokens: Sequence[Shard], scores: Tables, params: PlanParams
) -> list[tuple[Read, ...]]:
    """For each shard of DOCUMENTS the small columns that a plan is made from.

    scores: the tables that the plan selects by; a plan selects nothing where they are missing.
    """
    tables = [name for name in params.select.tables if name in scores]
    columns = (("content_hash", "domain"), ("document_id", "n_tokens"), *map(params.select.columns, tables))
    beside = zip(documents, tokens, *(scores[name] for name in tables), strict=True)
    return [tuple(map(Read, shards, columns)) for shards in beside]


def read_kept(reads: Sequence[tuple[Read, ...]], params: PlanParams, store: Store) -> tuple[Documents, Judged | None]:
    """The encoded documents, and what the plan selects by: None where it selects nothing.

    Raises:
        RecipeError: the tokenizer refuses all of them.
    """
    parts = (
        side_by_side([each], store) for each in reads
    )  # one by one: all rows beside the kept ones are twice as much
    table = pa.concat_tables([part.filter(pc.greater(part["n_tokens"], 0)) for part in parts])
    if not len(table):
        check_refusals(reads, store)
    documents = Documents.of(table, sorted(params.shares or {}))
    return documents, Judged.of(table, params.select) if "refused" in table.column_names else None


def check_refusals(reads: Sequence[tuple[Read, ...]], store: Store) -> None:
    """
    Raises:
        RecipeError: the tokenizer refused a document. reads: see reads_of.
    """
    reasons = [r for _, ids, *_ in reads for r in store.read(ids.shard, ("reason",))["reason"].to_pylist() if r]
    if reasons:
        each = ", ".join(f"{reasons.count(reason):,} {reason}" for reason in sorted(set(reasons)))
        raise RecipeError(f"encode.tokenizer: it refuses all documents that dedup kept ({each}); use another tokenizer")


LEFT_OUT = ("over_share", "dropped", "not_selected")  # each with a column _documents and one _tokens in TARGETS
LeftOut = Mapping[str, Cells]  # a name of LEFT_OUT -> the documents that are left out


@dataclass(frozen=True)
class Mix:
    """A plan and its figures.

    Attributes:
        before, after: the documents to draw from, and their copies in the mix.
        left_out: the documents that may not be drawn.
    """

    before: Cells
    after: Cells
    targets: Targets
    draws: Draws
    left_out: LeftOut

    def table(self) -> pa.Table:
        return targets_table(self.targets, self.left_out)


def plan(kept: Documents, params: PlanParams, judged: Judged | None = None) -> Mix:
    """Solve for the budget and draw.

    A document that is dropped does not count in its domain's own share, as if dedup had dropped it. One that is outranked
    does: a selection by rank changes no share.

    Raises:
        RecipeError: there is nothing to draw.
    """
    dropped, over, outranked = np.zeros((3, len(kept)), bool)
    if judged:
        dropped = judged.dropped(params.select)
    if params.max_document_share is not None:
        over = over_share(kept.domain, np.where(dropped, 0, kept.n_tokens), params.max_document_share)
    if judged:
        outranked = ~chosen(kept, judged, params.select, params.seed) & ~dropped & ~over
    out = dropped | over | outranked
    before = cells_where(~out, kept, params)
    shares = params.shares or own_shares(kept, dropped | over)
    targets = solve(before, params.budget_tokens, shares, params.short_rate, params.max_epochs)
    if not targets.drawn.any():
        raise RecipeError(
            "plan: not one token can be drawn: no document of a domain with a share was kept and may be drawn; see "
            "sources, shares and select"
        )
    cell = np.where(out, -1, kept.domain * len(KINDS) + kind_of(kept.n_tokens, params.long_tokens))
    draws = draw(kept.n_tokens, cell, targets.drawn, kept.content, params.seed)
    of_document = kept.n_tokens[draws.document]
    after = cells_of(kept.domains, kept.domain[draws.document], of_document, draws.n_tokens, params.long_tokens)
    left_out = [cells_where(mask, kept, params) for mask in (over, dropped, outranked)]
    return Mix(before, after, targets, draws, dict(zip(LEFT_OUT, left_out, strict=True)))


def cells_where(mask: np.ndarray, kept: Documents, params: PlanParams) -> Cells:
    n_tokens = kept.n_tokens[mask]
    return cells_of(kept.domains, kept.domain[mask], n_tokens, n_tokens, params.long_tokens)


def own_shares(kept: Documents, out: np.ndarray) -> dict[str, int]:
    """The corpus's own: tokens of each domain, without those of documents that do not count, `out` [n]."""
    tokens = np.zeros(len(kept.domains), np.int64)
    np.add.at(tokens, kept.domain[~out], kept.n_tokens[~out])
    return dict(zip(kept.domains, tokens.tolist(), strict=True))


def groups(draws: Draws, content: np.ndarray) -> np.ndarray:
    """[k] the group of each draw, see group_of. content: [n, 2] of the documents."""
    return group_of(content[draws.document], draws.n_tokens, draws.epoch)


def group_of(content: np.ndarray, n_tokens: np.ndarray, epoch: np.ndarray) -> np.ndarray:
    """[k] the group of each copy: a power of two of them, of at most GROUP_TOKENS on average. content: [k, 2]."""
    n_groups = 1
    while int(n_tokens.sum()) > n_groups * GROUP_TOKENS:
        n_groups *= 2
    epochs = np.array([salt("group", e) for e in range(int(epoch.max(initial=-1)) + 1)], np.uint64)
    return (keyed(content, epochs[epoch]) % np.uint64(n_groups)).astype(np.int64)


def table_of(kept: Documents, draws: Draws, chosen: np.ndarray) -> pa.Table:
    """DRAWS of one group, in the order of content_hash and epoch."""
    content = kept.content[draws.document[chosen]]
    chosen = chosen[np.lexsort((draws.epoch[chosen], content[:, 1], content[:, 0]))]
    document, n_tokens = draws.document[chosen], draws.n_tokens[chosen]
    of_document = kept.n_tokens[document]
    why = np.where(n_tokens < of_document, 2, draws.kind[chosen])
    return pa.table(
        {
            "document_id": kept.document_id.take(pa.array(document)),
            "content_hash": kept.content_hash.take(pa.array(document)),
            "domain": pa.array(kept.domains, pa.string()).take(pa.array(kept.domain[document])),
            "n_tokens": of_document.astype(np.int32),
            "epoch": draws.epoch[chosen].astype(np.int32),
            "document_start": np.zeros(len(chosen), np.int32),
            "document_stop": n_tokens.astype(np.int32),
            "why": pa.array([*KINDS, "cut"]).take(pa.array(why)),
        }
    )


def targets_table(targets: Targets, left_out: LeftOut) -> pa.Table:
    """TARGETS: a row for each domain and kind."""
    n_domains, n_kinds = targets.target.shape
    columns = {
        "domain": pa.array(np.repeat(np.array(targets.domains, object), n_kinds), pa.string()),
        "kind": pa.array(KINDS * n_domains, pa.string()),
        "target_tokens": targets.target.reshape(-1),
        "available_tokens": targets.available.reshape(-1),
        "drawn_tokens": targets.drawn.reshape(-1),
        "rate": pa.array(targets.rates.reshape(-1), mask=np.isnan(targets.rates).reshape(-1)),
    }
    for name, cells in left_out.items():
        columns[f"{name}_documents"] = cells.documents.sum(axis=2).reshape(-1)
        columns[f"{name}_tokens"] = cells.tokens.sum(axis=2).reshape(-1)
    return pa.table(columns, schema=TARGETS)


def run(
    documents: list[Shard], tokens: list[Shard], scores: Tables, params: PlanParams, engine: Engine
) -> tuple[list[Shard], list[Shard]]:
    """DRAWS, a shard for each group, and TARGETS, one shard.

    Args:
        scores: the tables of scores; a plan selects nothing where those that it selects by are missing.

    Raises:
        RecipeError: there is nothing to draw.
        NotMade: the engine only looks.
    """
    reads = reads_of(documents, tokens, scores, params)
    name = name_of("plan", VERSION, params, [[read.key() for read in each] for each in reads])

    def make() -> list[Shard]:
        kept, judged = read_kept(reads, params, engine.store)
        mix = plan(kept, params, judged)
        group = groups(mix.draws, kept.content)
        members = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
        draws = [engine.store.write("DRAWS", table_of(kept, mix.draws, m)) for m in members if len(m)]
        return [*draws, engine.store.write("TARGETS", mix.table())]

    *draws, targets = engine.once("plan", name, make, sum(shard.n_rows for shard in documents))
    return draws, [targets]
