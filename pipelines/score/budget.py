"""How much of the model each document gets: two rounds, decided over integers from small columns of all documents.

The first round gives every document that is worth a look one near and one far pair, the longest first while the budget
lasts. The second spends what is left where a few more pairs change the plan most: a document near the cut of its
domain, long, and not yet well known. Ties go by content hash, so neither the order of files nor of workers matters.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

from pipelines.shares import share_of
from scorers.chunk_gain.pairs import first_pairs, n_far, n_near

FIRST = 2  # pairs of the first round: one near, one far
STEP = 4  # pairs at a time in the second: one near, three far


@dataclass(frozen=True)
class Budgeted:
    """[n] pairs of each document, 0 where the model does not look at it, and why."""

    n_pairs: np.ndarray
    why: np.ndarray  # object, of str


def cost(s: int, content_hash: str, n_pairs: int, chunk_tokens: int, n_known: int = 0) -> int:
    """Model tokens of the first n pairs but for those known: of each target all but one, each chunk read and its anchor.

    n_known: pairs of an earlier run, of which the nll is kept and keys and values are not: a context is read again.
    """
    pairs = first_pairs(s, content_hash, n_pairs)
    told = {target for target, _ in pairs[:n_known]}
    new = pairs[n_known:]
    read = {context for _, context in new} | {target for target, _ in new if target not in told}
    return len(new) * (chunk_tokens - 1) + len(read) * (chunk_tokens + 1)


def first_round(
    refused: np.ndarray, n_chunks: np.ndarray, n_tokens: np.ndarray, content_hash: Sequence[str], budget_tokens: int,
    chunk_tokens: int,
) -> Budgeted:  # fmt: skip
    """One near and one far pair for every document that nothing speaks against.

    Args:
        refused: [n] object, a reason for which the model does not look at the document, or "".
    """
    n_pairs, why = np.zeros(len(refused), np.int32), refused.copy()
    spent = 0
    for k in sorted(np.flatnonzero(refused == "").tolist(), key=lambda k: (-n_tokens[k], content_hash[k])):
        price = cost(int(n_chunks[k]), content_hash[k], FIRST, chunk_tokens)
        if spent + price > budget_tokens:
            why[k] = "budget"  # a shorter one may still fit
            continue
        n_pairs[k], why[k] = FIRST, "first"
        spent += price
    return Budgeted(n_pairs, why)


def second_round(
    first: Budgeted, n_chunks: np.ndarray, n_tokens: np.ndarray, content_hash: Sequence[str], budget_tokens: int,
    chunk_tokens: int, most_pairs: int, gap: np.ndarray | None, variance: np.ndarray,
) -> Budgeted:  # fmt: skip
    """More pairs for those whose place in the plan they may change.

    A document of n tokens, d from its domain's cut, whose score has variance v after its pairs, may stand on the wrong
    side of it; see risk(). A step is worth what it takes off that, for its price.

    Args:
        gap: [n] int64 millionths of a nat from the score to its domain's cut; None where the plan selects nothing, and
            only length and error count.
        variance: [n] int64 millionths of a nat squared, of one far pair.
    """
    n_pairs, why = first.n_pairs.copy(), first.why.copy()
    looked_at = np.flatnonzero(n_pairs).tolist()
    known = {k: int(n_pairs[k]) for k in looked_at}
    left = budget_tokens - sum(cost(int(n_chunks[k]), content_hash[k], known[k], chunk_tokens) for k in looked_at)
    spent = dict.fromkeys(looked_at, 0)

    def step(k: int) -> tuple[int, str, int, int, int] | None:
        now, all_pairs = int(n_pairs[k]), n_near(int(n_chunks[k])) + n_far(int(n_chunks[k]))
        after = min(now + STEP, most_pairs, all_pairs)
        if after <= now:
            return None
        price = cost(int(n_chunks[k]), content_hash[k], after, chunk_tokens, known[k]) - spent[k]
        d = 0 if gap is None else int(gap[k])
        before, then = (risk(int(n_tokens[k]), int(variance[k]) // max(1, n_far_of(n)), d) for n in (now, after))
        return -(((before - then) << 20) // max(1, price)), content_hash[k], k, after, price

    heap = [found for k in spent if (found := step(k))]
    heapq.heapify(heap)
    while heap:
        _, _, k, after, price = heapq.heappop(heap)
        if price > left:
            continue
        n_pairs[k], why[k] = after, "more"
        spent[k] += price
        left -= price
        if found := step(k):
            heapq.heappush(heap, found)
    return Budgeted(n_pairs, why)


def n_far_of(n_pairs: int) -> int:
    """Far pairs among the first n of a sequence whose every fourth is near."""
    return n_pairs - (n_pairs + 3) // 4


def risk(n_tokens: int, v: int, d: int) -> int:
    """About n_tokens * (what is lost, in millionths of a nat, if the document is taken for one of the wrong side).

    For a normal error s = sqrt(v) that is n s (phi(z) - z Phi(-z)), z = d / s; here n s / (1 + z z)**2, in integers:
    1, 1/4 and 1/25 of its highest at z = 0, 1 and 2, where the normal one has 1, 1/5 and 1/47.
    """
    s = isqrt(v)
    return n_tokens * s**5 // max(1, (s * s + d * d) ** 2)


def cuts(
    score: np.ndarray,
    n_tokens: np.ndarray,
    domain: np.ndarray,
    content_hash: Sequence[str],
    share: Callable[[str], float],
) -> np.ndarray:
    """[n] int64: of each document's domain, the score at which the top `share` of its tokens end."""
    found = np.zeros(len(score), np.int64)
    for name in sorted(set(domain)):
        here = np.flatnonzero(domain == name).tolist()
        order = sorted(here, key=lambda k: (-score[k], content_hash[k]))
        total = np.cumsum(n_tokens[order])
        found[here] = score[order[int(np.searchsorted(total, share_of(int(total[-1]), share(name))))]]
    return found
