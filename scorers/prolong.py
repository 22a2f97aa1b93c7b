"""LDS, the long-dependency score of Chen et al. 2024 ("Long Context is Not Long at All"), as October2001/ProLong has it.

How much does reading chunk j first help with chunk i, how far apart are they, and does j help more than the others do?
Value for value what the original's code gives in float32, with its corner rules, and the stream of random numbers that
makes a document's score depend on the documents before it. To compare with it, not to select by: see chunk_gain for
that. Not to be confused with princeton-nlp/ProLong, a training recipe.

Source: October2001/ProLong at 9cf2f20, prolong/run.py.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from schemas.errors import RecipeError
from scorers.chunks import Chunks
from scorers.lm import LM

PARTS = ("lds", "dst", "ddi", "dsp", "n_chunks", "n_pairs", "n_counted")


class ProLongParams(BaseModel):
    """The original's settings under the original's names. Sizes are in tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["prolong"] = "prolong"
    sample_size: int = Field(
        ge=-1
    )  # pairs of a document, 0 and -1: all; the original's scripts say 500, the paper 5,000
    chunk_size: PositiveInt = 128
    window_size: PositiveInt = 32_768
    threshold: float = 0.1  # of DST, strictly: dlt_ppl_threshold
    seed: int = 11

    @property
    def chunk_num(self) -> int:
        """K: the chunks that a window holds. Distances are shares of it, however many chunks a document has."""
        return self.window_size // self.chunk_size

    def score(self, lm: LM, ids: np.ndarray) -> "Score":
        """The score of a document as the first of its file: the original's stream of random numbers begins anew."""
        return score(lm, ids, self, random.Random(self.seed))  # noqa: S311 the original's

    def check(self, window_tokens: int, n_anchor: int) -> None:  # noqa: ARG002 the original has no anchor
        """See scorers.Scorer."""
        if 2 * self.chunk_size > window_tokens:
            raise RecipeError(
                f"prolong: two chunks of chunk_size = {self.chunk_size:,} pass the model's window of {window_tokens:,} "
                "tokens; lower it"
            )


# -- from perplexities to the score


@dataclass(frozen=True, eq=False)
class Dependency:
    """What LDS is put together from. Pairs are in row-major order: (1, 0), (2, 0), (2, 1), ...

    Attributes:
        pairs: [n, 2] int64, (target i, context j), j < i: those with a finite perplexity.
        dst: [n] float64, the share of i's perplexity that j takes away: at most 1, negative where j misleads.
        ddi: [n] float64 in [0, 1], how far apart they are.
        counted: [n] bool, dst > threshold.
        n_contexts: [s] int64, the pairs of each row.
        dsp: [s] float64 in [0, 1], how uneven the row is; 0 without a pair, 1 with one. NaN if a perplexity of it is.
        dst_sum: the sum of dst * dsp over counted pairs.
        ddi_sum: the sum of ddi * dsp over counted pairs.
        lds: the sum of both. NaN where a row with a counted pair is.
    """

    pairs: np.ndarray
    dst: np.ndarray
    ddi: np.ndarray
    counted: np.ndarray
    n_contexts: np.ndarray
    dsp: np.ndarray
    dst_sum: float
    ddi_sum: float
    lds: float


def dependency(single: np.ndarray, pair: np.ndarray, pairs: np.ndarray, chunk_num: int, threshold: float) -> Dependency:
    """LDS and its parts.

    Args:
        single: [s] perplexity of each chunk by itself, > 0; read where it is a target.
        pair: [n] perplexity of the target right after the context; inf: not sampled.
        pairs: [n, 2] (target, context), in any order.
        chunk_num: the chunks of a full window.
        threshold: a pair counts if its DST is above it.

    Raises:
        ZeroDivisionError: chunk_num is 1: there is no distance.
    """
    unit = 1 / (chunk_num - 1)
    single = np.asarray(single, np.float64)
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    pair = np.asarray(pair, np.float64)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    order = order[~np.isposinf(pair[order])]
    pairs, pair = pairs[order], pair[order]
    target = pairs[:, 0]
    with np.errstate(invalid="ignore"):  # inf - inf and inf / inf: NaN, which counts nowhere
        drop = single[target] - pair
        dst = drop / single[target]
        dsp = unevenness(drop, target, len(single))
        counted = dst > threshold
    ddi = np.clip((target - pairs[:, 1]) * unit, 0, 1)
    weight = dsp[target[counted]]
    return Dependency(
        pairs=pairs,
        dst=dst,
        ddi=ddi,
        counted=counted,
        n_contexts=np.bincount(target, minlength=len(single)),
        dsp=dsp,
        dst_sum=float((dst[counted] * weight).sum()),
        ddi_sum=float((ddi[counted] * weight).sum()),
        lds=float(((dst[counted] + ddi[counted]) * weight).sum()),
    )


def unevenness(drop: np.ndarray, row: np.ndarray, n_rows: int) -> np.ndarray:
    """[n_rows] DSP: how far the softmax of a row falls short of the largest entropy, as a share of that.

    The softmax is over differences of perplexities as they are, so a row of high perplexity is uneven whatever the text.

    drop: [n] perplexity alone less perplexity after; row: [n] int64, ascending.
    """
    dsp = np.zeros(n_rows)
    if not len(row):
        return dsp
    rows, start, n = np.unique(row, return_index=True, return_counts=True)
    q = np.exp(drop - np.repeat(np.maximum.reduceat(drop, start), n))
    q /= np.repeat(np.add.reduceat(q, start), n)
    zero = np.repeat(np.logical_or.reduceat(q == 0, start), n)  # one exact zero, and the whole row is lifted
    q[zero] += 1e-12
    total = np.repeat(np.add.reduceat(q, start), n)
    q[zero] /= total[zero]
    most = np.log(np.maximum(n, 2))
    dsp[rows] = np.where(n == 1, 1.0, np.clip((most + np.add.reduceat(q * np.log(q), start)) / most, 0, 1))
    return dsp


# -- which chunks, which pairs


def kept_chunks(n_tokens: int, params: ProLongParams, stream: random.Random) -> np.ndarray:
    """[s] int64 ascending: which full chunks of a document are read. Over the window, as many as it holds, at random."""
    n_chunks = n_tokens // params.chunk_size
    if n_chunks > params.chunk_num:
        return np.array(sorted(stream.sample(range(n_chunks), params.chunk_num)), np.int64)
    return np.arange(n_chunks)


def drawn_pairs(n_chunks: int, sample_size: int, stream: random.Random) -> np.ndarray | None:
    """[n, 2] (target, context), or None where there are fewer than wanted, which draws nothing.

    The original samples from the list (1, 0), (2, 0), (2, 1), ...; drawing places in it is the same draw.
    """
    n_pairs = n_chunks * (n_chunks - 1) // 2
    if sample_size <= 0:
        return np.stack(np.tril_indices(n_chunks, -1), axis=1)
    if n_pairs < sample_size:
        return None
    places = stream.sample(range(n_pairs), sample_size)
    targets = [(1 + isqrt(1 + 8 * place)) // 2 for place in places]
    return np.array([(i, place - i * (i - 1) // 2) for i, place in zip(targets, places, strict=True)], np.int64)


# -- a document


@dataclass(frozen=True, eq=False)
class Score:
    """One document's.

    Attributes:
        status: the original writes 0 for whatever is not `scored`.
        reason: why not.
        original: what the original writes.
        parts: by the names of PARTS, NULL where not measured: lds = dst + ddi as Dependency sums them, dsp the mean over
            rows with a pair, n_chunks read, n_pairs measured, n_counted above the threshold.
        chunks: [s] int64, which chunks of the document were kept.
        single_ppl: [s] perplexity of each kept chunk alone, NaN where no pair needs it.
        pair_ppl: [n] perplexity after the context.
        pairs: [n, 2] (target, context), numbered among the kept chunks, row-major.
        dependency: all else that was measured, None where nothing was.
    """

    status: Literal["scored", "too_short", "error"]
    reason: str | None
    original: float
    parts: dict[str, float | None]
    chunks: np.ndarray
    single_ppl: np.ndarray
    pair_ppl: np.ndarray
    pairs: np.ndarray
    dependency: Dependency | None


def score(lm: LM, ids: np.ndarray, params: ProLongParams, stream: random.Random) -> Score:
    """The score of a document, which takes from the stream what the original takes.

    ids: [n_tokens], without special tokens.
    """
    kept = kept_chunks(len(ids), params, stream)
    pairs = drawn_pairs(len(kept), params.sample_size, stream)
    n_pairs = len(kept) * (len(kept) - 1) // 2
    if params.chunk_num == 1:
        return unscored("error", f"a window of {params.window_size:,} tokens is one chunk: there is no distance", kept)
    if pairs is None:
        return unscored("too_short", f"{n_pairs:,} pairs of chunks, {params.sample_size:,} wanted", kept)
    if not n_pairs:
        return unscored("too_short", f"{len(kept)} full chunks of {params.chunk_size} tokens, two wanted", kept)
    chunks = np.asarray(ids)[: len(ids) // params.chunk_size * params.chunk_size].reshape(-1, params.chunk_size)[kept]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    single, pair = perplexities(Chunks(lm, chunks, None), pairs, len(kept))
    found = dependency(single, pair, pairs, params.chunk_num, params.threshold)
    wrong = np.isnan(found.lds)
    rows = found.n_contexts > 0
    parts = {
        "lds": None if wrong else found.lds,
        "dst": None if wrong else found.dst_sum,
        "ddi": None if wrong else found.ddi_sum,
        "dsp": None if wrong or not rows.any() else float(found.dsp[rows].mean()),
        "n_chunks": float(len(kept)),
        "n_pairs": float(len(found.pairs)),
        "n_counted": float(found.counted.sum()),
    }
    return Score(
        "error" if wrong else "scored", "a perplexity is not a number" if wrong else None, 0.0 if wrong else found.lds,
        parts, kept, single, pair, pairs, found,
    )  # fmt: skip


def scores(lm: LM, documents: Iterable[np.ndarray], params: ProLongParams) -> Iterator[Score]:
    """The scores of a file's documents, in its order: they share one stream, seeded once."""
    stream = random.Random(params.seed)  # noqa: S311 the original's
    for ids in documents:
        yield score(lm, ids, params, stream)


def unscored(status: Literal["too_short", "error"], reason: str, kept: np.ndarray) -> Score:
    parts: dict[str, float | None] = {**dict.fromkeys(PARTS), "n_chunks": float(len(kept)), "n_pairs": 0.0}
    nothing = np.empty(0)
    return Score(status, reason, 0.0, parts, kept, nothing, nothing, np.empty((0, 2), np.int64), None)


def perplexities(chunks: Chunks, pairs: np.ndarray, n_chunks: int) -> tuple[np.ndarray, np.ndarray]:
    """[s] alone, NaN where no pair has the chunk, and [n] after the context.

    Over tokens 2.. of the target in both, so that they speak of the same tokens. Context by context: each is read once.
    """
    order = np.lexsort((pairs[:, 0], pairs[:, 1]))
    after = np.empty(len(pairs))
    after[order] = np.exp(chunks.after([(int(i), int(j)) for i, j in pairs[order]]))
    touched = np.unique(pairs)
    alone = np.full(n_chunks, np.nan)
    alone[touched] = np.exp(chunks.alone(touched.tolist()))
    return alone, after
