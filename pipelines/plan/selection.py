"""Which documents a plan may draw: none that the cheap tier refuses for a reason in `drop`; the top of each domain by score.

`by` ranks the documents that have a score and keeps the top of each domain by tokens, never by documents. A document
without a score stays, unless `drop` names the reason. The controls choose the same number of tokens without regard to
the score.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipelines.documents import Documents
from pipelines.keys import ascending, keyed, salt
from pipelines.shares import MICRO, Top, share_of
from schemas.lengths import bucket_of

CheapReason = Literal["repeats", "list", "stitched"]
ModelReason = Literal["short", "too_short", "budget", "refused"]
CHEAP = "SCORES_CHEAP"  # the table whose column `refused` has the cheap reasons


class Selector(NamedTuple):
    """The column that a plan ranks by. The table has a column `reason`, too: why a document has no score."""

    table: str
    score: str


SELECTORS = {  # a row for each value of plan.select.by
    "chunk_gain": Selector("SCORES_CHUNK_GAIN", "score"),
    "recurrence": Selector(CHEAP, "recurrence"),
    "random": Selector("SCORES_CHUNK_GAIN", "score"),  # a control: as many tokens, at random
    "length_matched_random": Selector("SCORES_CHUNK_GAIN", "score"),  # as many in each length bucket
}


class SelectParams(BaseModel):
    """The recipe's [plan.select]. Without [screen] there is no reason and no score, and a plan may draw every document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str | None = None  # a name of SELECTORS; None: documents are not ranked
    top_share: Top | None = None  # of the tokens of each domain's documents that have a score; needed with `by`
    top_shares: dict[str, Top] = Field(default_factory=dict)  # domain -> its own
    drop: tuple[CheapReason | ModelReason, ...] = ("repeats", "list")  # reasons for which a document leaves the mix

    @field_validator("by")
    @classmethod
    def is_selector(cls, by: str | None) -> str | None:
        if by is not None and by not in SELECTORS:
            close = get_close_matches(by, SELECTORS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(SELECTORS)}"
            raise ValueError(f"unknown selector {by!r}; {hint}")
        return by

    @model_validator(mode="after")
    def is_complete(self) -> Self:
        """A ranking has a share to keep, shares have a ranking, and reasons of the model have a score of the model."""
        if self.by and self.top_share is None:
            raise ValueError(f"by = {self.by!r} keeps the top of each domain; add top_share, in (0, 1]")
        if not self.by and (self.top_share is not None or self.top_shares):
            raise ValueError("top_share and top_shares rank documents; add by, the score that ranks them")
        of_model = sorted({*self.drop} & {*get_args(ModelReason)})
        if of_model and self.table in (None, CHEAP):
            raise ValueError(
                f"drop: {of_model[0]} is a reason of the model; set by to a score of the model, or remove it"
            )
        return self

    @property
    def table(self) -> str | None:
        """Of the score that ranks documents."""
        return SELECTORS[self.by].table if self.by else None

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables that a plan selects by; none where it may draw every document."""
        cheap = (CHEAP,) if self.drop or self.by else ()
        return (*cheap, self.table) if self.table and self.table != CHEAP else cheap

    def columns(self, table: str) -> tuple[str, ...]:
        """Those that a plan reads of one of its tables."""
        own = (SELECTORS[self.by].score,) if self.by and table == self.table else ()
        return ("refused", *own) if table == CHEAP else ("reason", *own)

    def share(self, domain: str) -> float:
        return self.top_shares.get(domain, self.top_share or 1.0)


@dataclass(frozen=True)
class Judged:
    """What scorers say of documents.

    Attributes:
        score: [n] int64 millionths, valid where `has_score` [n] bool: those that are ranked.
        reason: [n] object, why a document is not ranked, or "".
    """

    score: np.ndarray
    has_score: np.ndarray
    reason: np.ndarray

    @classmethod
    def of(cls, table: pa.Table, params: SelectParams) -> Self:
        """The columns of the plan's tables. A document with a reason is not ranked, even where it has a score.

        The cheap tier's reason comes first: the model's is another where its own tokenizer cannot encode the text.
        """
        columns = [table[name] for name in ("refused", "reason") if name in table.column_names]
        reasons = pc.coalesce(*columns, "").to_numpy(zero_copy_only=False)
        if not params.by:
            return cls(np.zeros(len(reasons), np.int64), np.zeros(len(reasons), bool), reasons)
        score = table[SELECTORS[params.by].score]
        micro = np.rint(score.fill_null(0).to_numpy() * MICRO).astype(np.int64)
        return cls(micro, score.is_valid().to_numpy() & (reasons == ""), reasons)

    def dropped(self, params: SelectParams) -> np.ndarray:
        """[n] bool: the documents that leave the mix for their reason."""
        return np.isin(self.reason, params.drop)


def chosen(documents: Documents, judged: Judged, params: SelectParams, seed: int) -> np.ndarray:
    """[n] bool: the documents that a plan may draw. Of equal scores the lower content hash comes first."""
    n_tokens, content = documents.n_tokens, documents.content
    stays = ~judged.dropped(params) & ~judged.has_score
    noise = keyed(content, salt("select", seed))
    for d, name in enumerate(documents.domains):
        here = np.flatnonzero((documents.domain == d) & judged.has_score)
        share = params.share(name)
        by_score = here[np.lexsort((content[here, 1], content[here, 0], -judged.score[here]))]
        at_random = here[ascending(noise[here], content[here])]
        if params.by == "random":
            stays[top(at_random, n_tokens, share)] = True
        elif params.by == "length_matched_random":
            stays[matched(top(by_score, n_tokens, share), at_random, n_tokens)] = True
        else:
            stays[top(by_score, n_tokens, share)] = True
    return stays


def top(order: np.ndarray, n_tokens: np.ndarray, share: float) -> np.ndarray:
    """The first of the order whose tokens make up `share` of all; the document that crosses the line is the last."""
    before = np.cumsum(n_tokens[order]) - n_tokens[order]
    return order[before < share_of(int(n_tokens[order].sum()), share)]


def matched(best: np.ndarray, order: np.ndarray, n_tokens: np.ndarray) -> np.ndarray:
    """The first of the order in each length bucket, with as many tokens as the best documents have there."""
    places = [np.empty(0, np.int64)]
    for bucket in np.unique(bucket_of(n_tokens[best])):
        tokens = int(n_tokens[best][bucket_of(n_tokens[best]) == bucket].sum())
        here = order[bucket_of(n_tokens[order]) == bucket]
        before = np.cumsum(n_tokens[here]) - n_tokens[here]
        places.append(here[before < tokens])
    return np.concatenate(places)
