"""LDS, the long-dependency score of Chen et al. 2024 ("Long Context is Not Long at All"), as implemented in ProLong.

LDS combines how much chunk j helps to predict chunk i, how far apart the two are, and whether j helps more than other
chunks. This module reproduces the values of the original code in float32, including its special cases and its random
stream, which makes a document's score depend on the documents before it. Use it for comparison; select by chunk_gain.
Not related to princeton-nlp/ProLong, a training recipe.

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
    """The settings of the original code, under its names. Sizes are in tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["prolong"] = "prolong"
    sample_size: int = Field(ge=-1)  # pairs per document; 0 and -1: all. The original scripts use 500, the paper 5,000
    chunk_size: PositiveInt = 128
    window_size: PositiveInt = 32_768
    threshold: float = 0.1  # pairs count where DST > threshold; dlt_ppl_threshold in the original
    seed: int = 11

    @property
    def chunk_num(self) -> int:
        """K: chunks per window. Distances are shares of it, whatever the number of chunks in the document."""
        return self.window_size // self.chunk_size

    def score(self, lm: LM, ids: np.ndarray) -> "Score":
        """The score of a document as the first of its file, with a new random stream."""
        return score(lm, ids, self, random.Random(self.seed))  # noqa: S311 the generator of the original

    def check(self, window_tokens: int, n_anchor: int) -> None:  # noqa: ARG002 the original has no anchor
        """See scorers.Scorer."""
        if 2 * self.chunk_size > window_tokens:
            raise RecipeError(
                f"prolong: two chunks of chunk_size = {self.chunk_size:,} exceed the model's window of {window_tokens:,} "
                "tokens; lower chunk_size"
            )


# -- from perplexities to the score


@dataclass(frozen=True, eq=False)
class Dependency:
    """The terms of LDS. Pairs are in row-major order: (1, 0), (2, 0), (2, 1), ...

    Attributes:
        pairs: [n, 2] int64, (target i, context j), j < i: the pairs with a finite perplexity.
        dst: [n] float64, the share of i's perplexity that context j removes: at most 1, negative where j misleads.
        ddi: [n] float64 in [0, 1], the distance of the two chunks.
        counted: [n] bool, dst > threshold.
        n_contexts: [s] int64, pairs per target.
        dsp: [s] float64 in [0, 1], unevenness over the target's contexts; 0 without a pair, 1 with one. NaN where a
            perplexity of the row is NaN.
        dst_sum: sum of dst * dsp over counted pairs.
        ddi_sum: sum of ddi * dsp over counted pairs.
        lds: dst_sum + ddi_sum. NaN where the dsp of a counted pair is NaN.
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
        single: [s] perplexity of each chunk alone, > 0; only the values of targets are read.
        pair: [n] perplexity of the target right after the context; inf: not sampled.
        pairs: [n, 2] (target, context), in any order.
        chunk_num: chunks of a full window.
        threshold: a pair counts where its DST exceeds the threshold.

    Raises:
        ZeroDivisionError: chunk_num is 1, so distances are undefined.
    """
    unit = 1 / (chunk_num - 1)
    single = np.asarray(single, np.float64)
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    pair = np.asarray(pair, np.float64)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    order = order[~np.isposinf(pair[order])]
    pairs, pair = pairs[order], pair[order]
    target = pairs[:, 0]
    with np.errstate(invalid="ignore"):  # inf - inf and inf / inf give NaN, which is never above the threshold
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
    """[n_rows] DSP: 1 - entropy / maximum entropy of the softmax over each row.

    The softmax is over plain differences of perplexity, so rows of high perplexity are uneven for any text.

    drop: [n] perplexity alone minus perplexity after the context; row: [n] int64, ascending.
    """
    dsp = np.zeros(n_rows)
    if not len(row):
        return dsp
    rows, start, n = np.unique(row, return_index=True, return_counts=True)
    q = np.exp(drop - np.repeat(np.maximum.reduceat(drop, start), n))
    q /= np.repeat(np.add.reduceat(q, start), n)
    has_zero = np.repeat(np.logical_or.reduceat(q == 0, start), n)  # one exact zero shifts all values of its row
    q[has_zero] += 1e-12
    total = np.repeat(np.add.reduceat(q, start), n)
    q[has_zero] /= total[has_zero]
    max_entropy = np.log(np.maximum(n, 2))
    share = (max_entropy + np.add.reduceat(q * np.log(q), start)) / max_entropy
    dsp[rows] = np.where(n == 1, 1.0, np.clip(share, 0, 1))
    return dsp


# -- the choice of chunks and pairs


def kept_chunks(n_tokens: int, params: ProLongParams, stream: random.Random) -> np.ndarray:
    """[s] int64 ascending: the full chunks that are read; a random sample where they exceed the window."""
    n_chunks = n_tokens // params.chunk_size
    if n_chunks > params.chunk_num:
        return np.array(sorted(stream.sample(range(n_chunks), params.chunk_num)), np.int64)
    return np.arange(n_chunks)


def drawn_pairs(n_chunks: int, sample_size: int, stream: random.Random) -> np.ndarray | None:
    """[n, 2] (target, context); None where there are fewer than `sample_size` pairs, which uses no random number.

    The original samples from the list (1, 0), (2, 0), (2, 1), ...; sampling indices of that list is equivalent.
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
    """The score of one document.

    Attributes:
        status: the original writes the score 0 for every status except `scored`.
        reason: why the document has no score.
        original: the value that the original writes.
        parts: by the names of PARTS, None where not measured: dst and ddi, the sums of Dependency; lds, their sum; dsp,
            the mean over rows with a pair; n_chunks read, n_pairs measured, n_counted above the threshold.
        chunks: [s] int64, the chunks of the document that were read.
        single_ppl: [s] perplexity of each of these chunks alone, NaN where no pair contains it.
        pair_ppl: [n] perplexity after the context.
        pairs: [n, 2] (target, context), as indices into `chunks`, row-major.
        dependency: the terms of LDS, None where nothing was measured.
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
    """The score of a document. Draws the same random numbers from the stream as the original.

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
    terms = dependency(single, pair, pairs, params.chunk_num, params.threshold)
    is_nan = np.isnan(terms.lds)
    rows = terms.n_contexts > 0
    parts = {
        "lds": None if is_nan else terms.lds,
        "dst": None if is_nan else terms.dst_sum,
        "ddi": None if is_nan else terms.ddi_sum,
        "dsp": None if is_nan or not rows.any() else float(terms.dsp[rows].mean()),
        "n_chunks": float(len(kept)),
        "n_pairs": float(len(terms.pairs)),
        "n_counted": float(terms.counted.sum()),
    }
    return Score(
        "error" if is_nan else "scored", "a perplexity is not a number" if is_nan else None,
        0.0 if is_nan else terms.lds, parts, kept, single, pair, pairs, terms,
    )  # fmt: skip


def scores(lm: LM, documents: Iterable[np.ndarray], params: ProLongParams) -> Iterator[Score]:
    """The scores of a file's documents, in order. They share one random stream, seeded once."""
    stream = random.Random(params.seed)  # noqa: S311 the generator of the original
    for ids in documents:
        yield score(lm, ids, params, stream)


def unscored(status: Literal["too_short", "error"], reason: str, kept: np.ndarray) -> Score:
    parts: dict[str, float | None] = {**dict.fromkeys(PARTS), "n_chunks": float(len(kept)), "n_pairs": 0.0}
    nothing = np.empty(0)
    return Score(status, reason, 0.0, parts, kept, nothing, nothing, np.empty((0, 2), np.int64), None)


def perplexities(chunks: Chunks, pairs: np.ndarray, n_chunks: int) -> tuple[np.ndarray, np.ndarray]:
    """[s] perplexity alone, NaN where no pair contains the chunk, and [n] perplexity after the context.

    Both are over tokens 2.. of the target, so that they are comparable. The pairs of one context are run together, so
    each context is read once.
    """
    order = np.lexsort((pairs[:, 0], pairs[:, 1]))
    after = np.empty(len(pairs))
    after[order] = np.exp(chunks.after([(int(i), int(j)) for i, j in pairs[order]]))
    touched = np.unique(pairs)
    alone = np.full(n_chunks, np.nan)
    alone[touched] = np.exp(chunks.alone(touched.tolist()))
    return alone, after
