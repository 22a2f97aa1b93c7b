"""Which documents a plan may draw, by score: the top of each domain by tokens, never by documents.

A document without a score is not judged by one: it stays, unless the recipe names the reason why it has none. The
controls choose the same number of tokens without looking at the score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pipelines.keys import ascending, keyed, salt
from pipelines.shares import Top, share_of
from schemas.lengths import bucket_of

Reason = Literal["repeats", "list", "stitched", "short", "too_short", "budget"]


class SelectParams(BaseModel):
    """The recipe's [plan.select]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["chunk_gain", "recurrence", "random", "length_matched_random"]
    top_share: Top  # of the tokens of each domain's documents that have a score
    top_shares: dict[str, Top] = Field(default_factory=dict)  # domain -> its own
    drop: tuple[Reason, ...] = ()  # reasons for having no score for which a document leaves the mix

    def share(self, domain: str) -> float:
        return self.top_shares.get(domain, self.top_share)


@dataclass(frozen=True)
class Judged:
    """What is known of each document.

    Attributes:
        score: [n] int64 millionths; `has_score` [n] bool tells where it is one.
        reason: [n] object, why there is none, or "".
    """

    score: np.ndarray
    has_score: np.ndarray
    reason: np.ndarray


def chosen(
    judged: Judged, domains: Sequence[str], domain: np.ndarray, n_tokens: np.ndarray, content: np.ndarray,
    params: SelectParams, seed: int,
) -> np.ndarray:  # fmt: skip
    """[n] bool: the documents that a plan may draw.

    Args:
        domain: [n] place in `domains`.
        content: [n, 2] uint64, content hashes as numbers: ties go to the lower.
    """
    stays = ~np.isin(judged.reason, params.drop) & ~judged.has_score
    noise = keyed(content, salt("select", seed))
    for d, name in enumerate(domains):
        here = np.flatnonzero((domain == d) & judged.has_score)
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


def matched(wanted: np.ndarray, order: np.ndarray, n_tokens: np.ndarray) -> np.ndarray:
    """In the given order, and in each length bucket, as many tokens as the wanted documents have there."""
    found = []
    for bucket in np.unique(bucket_of(n_tokens[wanted])):
        tokens = int(n_tokens[wanted][bucket_of(n_tokens[wanted]) == bucket].sum())
        here = order[bucket_of(n_tokens[order]) == bucket]
        before = np.cumsum(n_tokens[here]) - n_tokens[here]
        found.append(here[before < tokens])
    return np.concatenate([np.empty(0, np.int64), *found])
