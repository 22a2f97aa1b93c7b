"""The tables of scores. A new one is a schema SCORES_<KIND> here: tables.TABLES, views, laws, report and the help of
`longmix query` pick it up.

The first float64 column of such a table is its score. Parts that are marked as shown are columns of the view `scores`.
"""

import pyarrow as pa

from schemas.columns import column, many, part

STATUS = column(
    "status",
    pa.string(),
    "scored, too_short, not_scored, dropped (by dedup) or error; score is non-NULL exactly when it is scored",
)
REASON = column("reason", pa.string(), "why there is no score, NULL where there is one", nullable=True)


BUDGET = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("n_pairs", pa.int32(), "pairs of its chunks that the model reads, 0 where it does not look at it"),
        column(
            "why",
            pa.string(),
            "first or more: the round that gave it its last pair; else why it gets none: dropped, too_short, short, "
            "repeats, list, stitched, budget",
        ),
    ]
)

SCORES_CHEAP = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        STATUS,
        REASON,
        part("n_words", "words and marks of the text"),
        part("repeat_share", "share of its words in exact repeats of 32 words and more"),
        part("recurrence", "how much more its rare words come back far away than in other documents of the domain"),
        part("order_z", "how far the order of its blocks is from chance, in standard deviations"),
        part("list_share", "share of its bytes in rows of a list or table"),
        column(
            "shuffled", pa.bool_(), "order_z is so low that its order may be chance; NULL: not decidable", nullable=True
        ),
        column(
            "refused",
            pa.string(),
            "why no model need look at it: repeats, list, stitched (rare words don't come back); NULL: no reason",
            nullable=True,
        ),
    ]
)

PAIR = pa.struct(
    [
        column("target", pa.int32(), "a chunk of the document, from 0"),
        column("context", pa.int32(), "the chunk before it that was read first"),
        column("alone", pa.float64(), "nll of the target by itself, nats per token"),
        column("after", pa.float64(), "nll of the target right after the context, nats per token"),
    ]
)

SCORES_CHUNK_GAIN = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        STATUS,
        REASON,
        part("score", "far: the mean gain over far pairs, nats per token"),
        part("error", "standard error of the score"),
        part("near", "mean gain over all pairs less than 4 chunks apart, nats per token"),
        part("near_error", "standard error of near"),
        column("n_near", pa.int32(), "near pairs measured"),
        column("n_far", pa.int32(), "far pairs measured"),
        column("n_chunks", pa.int32(), "whole chunks of the document"),
        part("uncorrected", "plain mean gain of the measured far pairs"),
        part("uncorrected_near", "plain mean gain of the measured near pairs"),
        part("strong_share", "share of the measured pairs that take away over a tenth of the perplexity"),
        part("strength", "mean share of the perplexity taken away, counting such pairs alone"),
        part("distance", "mean distance as a share of the document, counting such pairs alone"),
        part("entropy_factor", "mean over chunks with two contexts and more: 1 where one context alone helps"),
        column("pairs", many(PAIR), "what was measured, in the document's fixed sequence"),
    ]
)


def scores_of(*parts: pa.Field) -> pa.Schema:
    """A table of scores beside DOCUMENTS: the columns that all of them have, and its own parts, the score first."""
    return pa.schema([column("document_id", pa.string(), "as in DOCUMENTS"), STATUS, REASON, *parts])


SCORES_PROLONG = scores_of(
    part("lds", "LDS of Chen et al. as their code has it, each document first in its file; dst + ddi"),
    part("dst", "sum over counted pairs of the share of perplexity taken away, times dsp"),
    part("ddi", "sum over counted pairs of the distance, times dsp"),
    part("dsp", "mean over chunks with a pair: how uneven its contexts help"),
    part("n_chunks", "chunks read"),
    part("n_pairs", "pairs measured"),
    part("n_counted", "pairs over the threshold"),
)

SCORES_INFOGAIN = scores_of(
    part("infogain", "LongFilter: mean of exp(-nll_long) * (nll_short - nll_long), nats"),
    part("key_share", "LongPPL: share of tokens that only the long context makes likely", shown=True),
    part("nll_long", "mean nll with the long context, nats"),
    part("nll_short", "mean nll with the short one, nats"),
    part("context_tokens", "mean length of the long context"),
    part("n_tokens", "tokens that have a long context"),
    part("n_key", "key tokens among them"),
)

SCORES_LONGATTN = scores_of(
    part("ds", "LongAttn: share of the first layer's attention that falls a quarter of the window away and more"),
    part("du", "minus the variance of that attention", shown=True),
    part("window_tokens", "length of each window"),
    part("n_windows", "windows read"),
)
