"""How much of the model each document gets: two rounds, decided over integers from small columns of all documents.

The first round gives every eligible document one near and one far pair, the longest first while the budget lasts. The
second spends the rest where a few more pairs change the plan most: on a long document near the cut of its domain whose
score is still uncertain. Ties are broken by content hash, so the order of files and workers has no effect.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
import pyarrow as pa

from pipelines.documents import Chunking, Documents
from pipelines.shares import MICRO, share_of
from scorers.chunk_gain.pairs import first_pairs, n_far, n_near, price

FIRST = 2  # pairs of the first round: one near, one far
STEP = 4  # pairs at a time in the second: one near, three far


@dataclass(frozen=True)
class Budgeted:
    """[n] pairs of each document, 0 where the model does not read it, and why."""

    n_pairs: np.ndarray
    why: np.ndarray  # object, of str


@dataclass(frozen=True)
class Limits:
    """The sizes that both rounds keep to."""

    budget_tokens: int  # of model passes, for all documents
    chunking: Chunking
    most_pairs: int  # of a document, in the second round


def cost(s: int, content_hash: str, n_pairs: int, chunk_tokens: int, n_before: int = 0) -> int:
    """Model tokens of the first n pairs of a document of `s` chunks, without the `n_before` pairs measured earlier.

    Of an earlier pair the nll is kept, keys and values are not: its context is read again.
    """
    pairs = first_pairs(s, content_hash, n_pairs)
    targets_before = {target for target, _ in pairs[:n_before]}
    new = pairs[n_before:]
    read = {context for _, context in new} | {target for target, _ in new if target not in targets_before}
    return price(len(new), len(read), chunk_tokens)


def costs(documents: Documents, n_pairs: np.ndarray, chunking: Chunking) -> list[int]:
    """[n] model tokens of the first `n_pairs` [n] of each document."""
    chunks = chunking.n_chunks(documents.n_tokens).tolist()
    each = zip(chunks, documents.content_hash.to_pylist(), n_pairs.tolist(), strict=True)
    return [cost(s, content_hash, n, chunking.chunk_tokens) for s, content_hash, n in each]


def first_round(documents: Documents, refused: np.ndarray, limits: Limits) -> Budgeted:
    """One near and one far pair for every document that is not refused.

    Args:
        refused: [n] object, a reason for which the model does not read the document, or "".
    """
    n_pairs, why = np.zeros(len(documents), np.int32), refused.copy()
    eligible = np.flatnonzero(refused == "")
    mine = documents.take(refused == "")
    n_tokens, content_hash = mine.n_tokens.tolist(), mine.content_hash.to_pylist()
    prices = costs(mine, np.full(len(mine), FIRST), limits.chunking)
    spent = 0
    for k in sorted(range(len(mine)), key=lambda k: (-n_tokens[k], content_hash[k])):
        if spent + prices[k] > limits.budget_tokens:
            why[eligible[k]] = "budget"  # a shorter one may still fit
            continue
        n_pairs[eligible[k]], why[eligible[k]] = FIRST, "first"
        spent += prices[k]
    return Budgeted(n_pairs, why)


def second_round(
    documents: Documents, first: Budgeted, gap: np.ndarray | None, variance: np.ndarray, limits: Limits
) -> Budgeted:
    """More pairs for the documents whose place in the plan they may change.

    A document of n tokens, d from its domain's cut, whose score has variance v after its pairs, may be on the wrong side
    of the cut; see risk(). The value of a step is the risk that it removes, divided by its price.

    Args:
        gap: [n] int64 millionths of a nat from the score to its domain's cut; None where the plan selects nothing, and
            only length and error count.
        variance: [n] int64 millionths of a nat squared, of one far pair.
    """
    n_pairs, why = first.n_pairs.copy(), first.why.copy()
    read = np.flatnonzero(n_pairs)
    mine, before = documents.take(n_pairs > 0), n_pairs[read].tolist()
    left = limits.budget_tokens - sum(costs(mine, n_pairs[read], limits.chunking))
    chunks, content_hash = limits.chunking.n_chunks(mine.n_tokens).tolist(), mine.content_hash.to_pylist()
    now, spent = list(before), [0] * len(before)

    def step(k: int) -> tuple[int, str, int, int, int] | None:
        """Minus its value, the tie-breaker, the document, its pairs after the step and the price; None: no pair is left."""
        after = min(now[k] + STEP, limits.most_pairs, n_near(chunks[k]) + n_far(chunks[k]))
        if after <= now[k]:
            return None
        tokens = cost(chunks[k], content_hash[k], after, limits.chunking.chunk_tokens, before[k]) - spent[k]
        one, d = int(variance[read[k]]), 0 if gap is None else int(gap[read[k]])
        risks = [risk(int(mine.n_tokens[k]), one // max(1, n_far_of(n)), d) for n in (now[k], after)]
        return -(((risks[0] - risks[1]) << 20) // max(1, tokens)), content_hash[k], k, after, tokens

    heap = [ahead for k in range(len(before)) if (ahead := step(k))]
    heapq.heapify(heap)
    while heap:
        _, _, k, after, tokens = heapq.heappop(heap)
        if tokens > left:
            continue
        now[k], why[read[k]] = after, "more"
        spent[k] += tokens
        left -= tokens
        if ahead := step(k):
            heapq.heappush(heap, ahead)
    n_pairs[read] = now
    return Budgeted(n_pairs, why)


def n_far_of(n_pairs: int) -> int:
    """Far pairs among the first n of a sequence whose every fourth is near."""
    return n_pairs - (n_pairs + 3) // 4


def risk(n_tokens: int, v: int, d: int) -> int:
    """About n_tokens * (the expected loss, in millionths of a nat, if the document is taken for one of the wrong side).

    For a normal error s = sqrt(v) that is n s (phi(z) - z Phi(-z)), z = d / s; here n s / (1 + z z)**2, in integers:
    1, 1/4 and 1/25 of its highest at z = 0, 1 and 2, where the normal one has 1, 1/5 and 1/47.
    """
    s = isqrt(v)
    return n_tokens * s**5 // max(1, (s * s + d * d) ** 2)


def cuts(documents: Documents, score: np.ndarray, share: Callable[[str], float]) -> np.ndarray:
    """[n] int64: of each document's domain, the score at which the top `share` of its tokens end."""
    cut = np.zeros(len(score), np.int64)
    content_hash = documents.content_hash.to_pylist()
    for d, name in enumerate(documents.domains):
        here = np.flatnonzero(documents.domain == d).tolist()
        if not here:
            continue
        order = sorted(here, key=lambda k: (-score[k], content_hash[k]))
        total = np.cumsum(documents.n_tokens[order])
        cut[here] = score[order[int(np.searchsorted(total, share_of(int(total[-1]), share(name))))]]
    return cut


def spend(
    documents: Documents, first: Budgeted, score: pa.ChunkedArray, aim_share: float | None, variance: float, limits: Limits
) -> Budgeted:  # fmt: skip
    """The second round, from the scores of the first.

    A document that was read and has no score, since its nll is not a number, gets no more pairs; its price is paid.

    Args:
        score: [n] float64 of SCORES_CHUNK_GAIN, in nats.
        aim_share: the share of each domain's tokens above the cut; None: no cut.
        variance: of one far pair's gain, in nats squared.
    """
    has_score = score.is_valid().to_numpy()
    gap = None
    if aim_share is not None and has_score.any():
        gap = np.rint(score.fill_null(0).to_numpy() * MICRO).astype(np.int64)
        gap[has_score] -= cuts(documents.take(has_score), gap[has_score], lambda _: aim_share)
    failed = (first.n_pairs > 0) & ~has_score
    paid = sum(costs(documents.take(failed), first.n_pairs[failed], limits.chunking))
    rest = Budgeted(np.where(failed, 0, first.n_pairs), first.why)
    variances = np.full(len(documents), round(variance * MICRO * MICRO), np.int64)
    limits = replace(limits, budget_tokens=limits.budget_tokens - paid)
    final = second_round(documents, rest, gap, variances, limits)
    return Budgeted(np.where(failed, first.n_pairs, final.n_pairs), final.why)
