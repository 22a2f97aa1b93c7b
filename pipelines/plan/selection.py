"""Which documents a plan may draw, by score: the top of each domain by tokens, never by documents.

A document without a score stays, unless the recipe names the reason why it has none. The controls choose the same
number of tokens without regard to the score.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipelines.documents import Documents
from pipelines.keys import ascending, keyed, salt
from pipelines.shares import MICRO, Top, share_of
from schemas.lengths import bucket_of

Reason = Literal["repeats", "list", "stitched", "short", "too_short", "budget", "refused"]


class Selector(NamedTuple):
    """The columns that a plan selects by."""

    table: str
    score: str
    reason: str  # why a document has no score, or is not ranked by it


SELECTORS = {  # a row for each value of plan.select.by
    "chunk_gain": Selector("SCORES_CHUNK_GAIN", "score", "reason"),
    "recurrence": Selector("SCORES_CHEAP", "recurrence", "refused"),
    "random": Selector("SCORES_CHUNK_GAIN", "score", "reason"),  # a control: as many tokens, at random
    "length_matched_random": Selector("SCORES_CHUNK_GAIN", "score", "reason"),  # as many in each length bucket
}


class SelectParams(BaseModel):
    """The recipe's [plan.select]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str  # a name of SELECTORS
    top_share: Top  # of the tokens of each domain's documents that have a score
    top_shares: dict[str, Top] = Field(default_factory=dict)  # domain -> its own
    drop: tuple[Reason, ...] = ()  # reasons for having no score for which a document leaves the mix

    @field_validator("by")
    @classmethod
    def is_selector(cls, by: str) -> str:
        if by not in SELECTORS:
            close = get_close_matches(by, SELECTORS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(SELECTORS)}"
            raise ValueError(f"unknown selector {by!r}; {hint}")
        return by

    @property
    def selector(self) -> Selector:
        return SELECTORS[self.by]

    def share(self, domain: str) -> float:
        return self.top_shares.get(domain, self.top_share)


@dataclass(frozen=True)
class Judged:
    """The scores of documents.

    Attributes:
        score: [n] int64 millionths, valid where `has_score` [n] bool.
        reason: [n] object, why a document has no score, or "".
    """

    score: np.ndarray
    has_score: np.ndarray
    reason: np.ndarray

    @classmethod
    def of(cls, score: pa.ChunkedArray, reason: pa.ChunkedArray) -> Self:
        """The columns of a table of scores. A document with a reason is not ranked, even where it has a score."""
        reasons = reason.fill_null("").to_numpy(zero_copy_only=False)
        micro = np.rint(score.fill_null(0).to_numpy() * MICRO).astype(np.int64)
        return cls(micro, score.is_valid().to_numpy() & (reasons == ""), reasons)


def chosen(documents: Documents, judged: Judged, params: SelectParams, seed: int) -> np.ndarray:
    """[n] bool: the documents that a plan may draw. Of equal scores the lower content hash comes first."""
    n_tokens, content = documents.n_tokens, documents.content
    stays = ~np.isin(judged.reason, params.drop) & ~judged.has_score
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
