"""TOKENS, DOCUMENTS, SCORES -> DRAWS, TARGETS: which copies of which documents are in the mix.

All of the plan is arrays in one process: hash, domain and length of each kept document, about 150 bytes of it. No text
and no token is read. The draws are divided into groups, each a shard of DRAWS and later a published file, by a hash of
content and epoch: a document that comes or goes changes its own group, and copies of a document are far apart.
"""

from collections.abc import Sequence
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

VERSION = 3  # raise when the same params would give other rows

GROUP_TOKENS = 1 << 27  # a group has at most about so many: a published file of about 500 MB


class PlanParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    budget_tokens: PositiveInt
    long_tokens: PositiveInt = 4096  # a document of at least so many is long
    short_rate: float = Field(0.1, ge=0, allow_inf_nan=False)  # r: a short document is drawn r times for a long one
    max_epochs: PositiveInt
    normalise_shares: bool = False
    shares: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None  # None: the corpus's own
    max_document_share: Top | None = None  # a larger part of its domain is left out
    select: SelectParams | None = None  # None: every document that was kept may be drawn
    seed: int = 0

    @field_validator("shares")
    @classmethod
    def sum_to_one(cls, shares: dict[str, float] | None, info: ValidationInfo) -> dict[str, float] | None:
        total = sum((shares or {"": 1}).values())
        if abs(total - 1) > 1e-6 and not (info.data.get("normalise_shares") and total > 0):
            raise ValueError(f"they sum to {total:g}, not 1; mend them or set normalise_shares = true")
        return shares


def reads_of(
    documents: Sequence[Shard], tokens: Sequence[Shard], scores: Sequence[Shard], params: PlanParams
) -> list[tuple[Read, ...]]:
    """For each shard of DOCUMENTS the small columns that a plan is made from.

    scores: of the selector's table; not read where the plan selects nothing.
    """
    own = [
        (Read(s, ("content_hash", "domain")), Read(t, ("document_id", "n_tokens")))
        for s, t in zip(documents, tokens, strict=True)
    ]
    if not params.select:
        return list(own)
    _, *columns = params.select.selector
    return [(*both, Read(s, tuple(columns))) for both, s in zip(own, scores, strict=True)]


def read_kept(reads: Sequence[tuple[Read, ...]], params: PlanParams, store: Store) -> tuple[Documents, Judged | None]:
    """The encoded documents and the scores that the plan selects by.

    Raises:
        RecipeError: the tokenizer refuses all of them.
    """
    table = side_by_side(reads, store)
    table = table.filter(pc.greater(table["n_tokens"], 0))
    if not len(table):
        check_refusals(reads, store)
    documents = Documents.of(table, sorted(params.shares or {}))
    if not params.select:
        return documents, None
    _, score, reason = params.select.selector
    return documents, Judged.of(table[score], table[reason])


def check_refusals(reads: Sequence[tuple[Read, ...]], store: Store) -> None:
    """
    Raises:
        RecipeError: the tokenizer refused a document. reads: see reads_of.
    """
    reasons = [r for _, ids, *_ in reads for r in store.read(ids.shard, ("reason",))["reason"].to_pylist() if r]
    if reasons:
        each = ", ".join(f"{reasons.count(reason):,} {reason}" for reason in sorted(set(reasons)))
        raise RecipeError(f"encode.tokenizer: it refuses all documents that dedup kept ({each}); use another tokenizer")


@dataclass(frozen=True)
class Mix:
    """A plan and its figures.

    Attributes:
        before, after: the documents to draw from, and their copies in the mix.
        over_share: [d, 2] int64 tokens of documents over max_document_share.
        not_selected: [d, 2] int64 tokens of the other documents that `select` leaves out.
    """

    before: Cells
    after: Cells
    targets: Targets
    draws: Draws
    over_share: np.ndarray
    not_selected: np.ndarray

    def table(self) -> pa.Table:
        return targets_table(self.targets, self.over_share, self.not_selected)


def plan(kept: Documents, params: PlanParams, judged: Judged | None = None) -> Mix:
    """Solve for the budget and draw.

    Raises:
        RecipeError: there is nothing to draw.
    """
    over = np.zeros(len(kept.domain), bool)
    if params.max_document_share is not None:
        over = over_share(kept.domain, kept.n_tokens, params.max_document_share)
    not_selected = np.zeros(len(over), bool)
    if params.select and judged:
        not_selected = ~chosen(kept, judged, params.select, params.seed) & ~over
    out = over | not_selected
    before = cells_where(~out, kept, params)
    shares = params.shares or own_shares(kept, over)  # what the scores leave out still counts in its domain's share
    targets = solve(before, params.budget_tokens, shares, params.short_rate, params.max_epochs)
    if not targets.drawn.any():
        raise RecipeError(
            "plan: not one token can be drawn: no document of a domain with a share was kept; see sources and shares"
        )
    cell = np.where(out, -1, kept.domain * len(KINDS) + kind_of(kept.n_tokens, params.long_tokens))
    draws = draw(kept.n_tokens, cell, targets.drawn, kept.content, params.seed)
    of_document = kept.n_tokens[draws.document]
    after = cells_of(kept.domains, kept.domain[draws.document], of_document, draws.n_tokens, params.long_tokens)
    left_out = [cells_where(mask, kept, params).tokens.sum(axis=2) for mask in (over, not_selected)]
    return Mix(before, after, targets, draws, *left_out)


def cells_where(mask: np.ndarray, kept: Documents, params: PlanParams) -> Cells:
    n_tokens = kept.n_tokens[mask]
    return cells_of(kept.domains, kept.domain[mask], n_tokens, n_tokens, params.long_tokens)


def own_shares(kept: Documents, over: np.ndarray) -> dict[str, int]:
    """The corpus's own: tokens of each domain, without documents over max_document_share."""
    tokens = np.zeros(len(kept.domains), np.int64)
    np.add.at(tokens, kept.domain[~over], kept.n_tokens[~over])
    return dict(zip(kept.domains, tokens.tolist(), strict=True))


def groups(draws: Draws, content: np.ndarray) -> np.ndarray:
    """[k] the group of each draw: a power of two of them, of at most GROUP_TOKENS on average."""
    n_groups = 1
    while int(draws.n_tokens.sum()) > n_groups * GROUP_TOKENS:
        n_groups *= 2
    epochs = np.array([salt("group", epoch) for epoch in range(int(draws.epoch.max(initial=-1)) + 1)], np.uint64)
    return (keyed(content[draws.document], epochs[draws.epoch]) % np.uint64(n_groups)).astype(np.int64)


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


def targets_table(targets: Targets, over_share: np.ndarray, not_selected: np.ndarray) -> pa.Table:
    """TARGETS: a row for each domain and kind.

    Args:
        over_share, not_selected: [d, 2] int64 tokens left out.
    """
    n_domains, n_kinds = targets.target.shape
    return pa.table(
        {
            "domain": pa.array(np.repeat(np.array(targets.domains, object), n_kinds), pa.string()),
            "kind": pa.array(KINDS * n_domains, pa.string()),
            "target_tokens": targets.target.reshape(-1),
            "available_tokens": targets.available.reshape(-1),
            "drawn_tokens": targets.drawn.reshape(-1),
            "rate": pa.array(targets.rates.reshape(-1), mask=np.isnan(targets.rates).reshape(-1)),
            "over_share_tokens": over_share.reshape(-1),
            "not_selected_tokens": not_selected.reshape(-1),
        },
        schema=TARGETS,
    )


def run(
    documents: list[Shard], tokens: list[Shard], scores: list[Shard], params: PlanParams, engine: Engine
) -> tuple[list[Shard], list[Shard]]:
    """DRAWS, a shard for each group, and TARGETS, one shard.

    Args:
        scores: of the table that the plan selects by; not read where it selects nothing.

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
