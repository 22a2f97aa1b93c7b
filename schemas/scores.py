"""The tables of scores. To add one, declare a SCORES_ table here and name it in tables.TABLES: views, laws, the report and
the help of `longmix query` then include it.

The first float64 column of such a table is its score. Parts that are marked as shown are columns of the view `scores`.
"""

import pyarrow as pa

from schemas.columns import column, many, part

STATUS = column(
    "status",
    pa.string(),
    "scored, too_short, not_scored, dropped (by dedup) or error; score is non-NULL exactly when status = 'scored'",
)
REASON = column("reason", pa.string(), "why there is no score, NULL if there is one", nullable=True)


BUDGET = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("n_pairs", pa.int32(), "pairs of chunks that the model reads, 0 if it does not read the document"),
        column(
            "why",
            pa.string(),
            "first or more: the round that assigned the last pair; else why there is none: dropped, too_short, short, "
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
        part("repeat_share", "share of words in verbatim repeats of at least 32 words"),
        part("recurrence", "rate at which rare words recur far away, minus the rate expected by chance in its domain"),
        part("order_z", "similarity of near blocks, as a z-score over random orders of the blocks"),
        part("list_share", "share of bytes in rows of a list or table"),
        column(
            "shuffled", pa.bool_(), "order_z is as low as in a random order; NULL if order_z is NULL", nullable=True
        ),
        column(
            "refused",
            pa.string(),
            "why no model needs to read it: repeats, list, stitched (rare words do not recur); NULL without a reason",
            nullable=True,
        ),
    ]
)

PAIR = pa.struct(
    [
        column("target", pa.int32(), "index of the chunk that is predicted, from 0"),
        column("context", pa.int32(), "index of the earlier chunk that is read first"),
        column("alone", pa.float64(), "nll of the target alone, nats per token"),
        column("after", pa.float64(), "nll of the target right after the context, nats per token"),
    ]
)

SCORES_CHUNK_GAIN = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        STATUS,
        REASON,
        part("score", "estimated mean gain over all far pairs, nats per token"),
        part("error", "standard error of the score"),
        part("near", "estimated mean gain over all pairs less than 4 chunks apart, nats per token"),
        part("near_error", "standard error of near"),
        column("n_near", pa.int32(), "number of measured near pairs"),
        column("n_far", pa.int32(), "number of measured far pairs"),
        column("n_chunks", pa.int32(), "number of full chunks of the document"),
        part("uncorrected", "mean gain of the measured far pairs, without the correction"),
        part("uncorrected_near", "mean gain of the measured near pairs, without the correction"),
        part("strong_share", "share of strong pairs: measured pairs that remove more than a tenth of the perplexity"),
        part(
            "strength",
            "mean share of the perplexity that a measured pair removes; pairs that are not strong count as 0",
        ),
        part(
            "distance",
            "mean distance of measured pairs, as a share of the document; pairs that are not strong count as 0",
        ),
        part(
            "entropy_factor",
            "mean over targets with at least two contexts: 1 if a single context helps, 0 if all help equally",
        ),
        column("pairs", many(PAIR), "measured pairs, in the order of the document's sequence of pairs"),
    ]
)


def scores_of(*parts: pa.Field) -> pa.Schema:
    """A table of scores with the same rows as DOCUMENTS: the common columns, then its parts, the score first."""
    return pa.schema([column("document_id", pa.string(), "as in DOCUMENTS"), STATUS, REASON, *parts])


SCORES_PROLONG = scores_of(
    part("lds", "LDS of Chen et al. as in their code, with each document first in its file: dst + ddi"),
    part("dst", "sum over counted pairs of the share of perplexity removed, times dsp"),
    part("ddi", "sum over counted pairs of the distance, times dsp"),
    part("dsp", "mean over chunks with a pair of how unevenly their contexts help"),
    part("n_chunks", "number of chunks read"),
    part("n_pairs", "number of pairs measured"),
    part("n_counted", "number of pairs above the threshold"),
)

SCORES_INFOGAIN = scores_of(
    part("infogain", "LongFilter: mean of exp(-nll_long) * (nll_short - nll_long), nats"),
    part("key_share", "LongPPL: share of key tokens, which only the long context makes likely", shown=True),
    part("nll_long", "mean nll with the long context, nats"),
    part("nll_short", "mean nll with the short context, nats"),
    part("context_tokens", "mean length of the long context"),
    part("n_tokens", "number of tokens that have a long context"),
    part("n_key", "number of key tokens among them"),
)

SCORES_LONGATTN = scores_of(
    part("ds", "LongAttn: share of the first layer's attention at a distance of at least a quarter of the window"),
    part("du", "minus the variance of that attention", shown=True),
    part("window_tokens", "length of each window"),
    part("n_windows", "number of windows read"),
)

SCORES_HMG = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        STATUS,
        REASON,
        part("nll_gain", "HMG: nll_short - nll_long, nats per token of the response"),
        part("nll_long", "mean nll of the response with the long window, nats", shown=True),
        part("nll_short", "mean nll of the response with the short window or the model of short context, nats"),
        part("nll_no_context", "mean nll of the response after the instruction alone, nats", shown=True),
        part("nll_alone", "mean nll of the response alone, nats"),
        part("ifd", "IFD: exp(nll_long - nll_alone)"),
        part("context_tokens", "tokens of the context that were read"),
        part("response_tokens", "tokens of the response that were scored"),
        column("is_cut", pa.bool_(), "the end of the context was cut to fit the window; NULL if not scored", True),
    ]
)

SCORES_CAM = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        STATUS,
        REASON,
        part("alignment", "CAM: cosine of importance and attention over segments; attention is the mean per token"),
        part("alignment_mass", "the same with the attention summed over each segment"),
        part("spearman", "rank correlation of importance and attention"),
        part("divergence", "Jensen-Shannon divergence of importance and attention, nats"),
        part("n_segments", "number of segments of the context"),
        column("segment_nll", many(pa.float64()), "[n_segments] mean nll of the response with one segment, nats", True),
        column(
            "attention",
            many(many(pa.float32())),
            "[n_layers, n_segments] attention of the response to a token of a segment, mean over heads, rows and tokens",
            nullable=True,
        ),
        column("segment_tokens", many(pa.int32()), "[n_segments] tokens of each segment, without sink tokens", True),
    ]
)
