"""The tables of instruction samples. A sample is a row of DOCUMENTS whose text is its messages in canonical JSON:

    {"messages":[{"role":"user","content":"..."},{"role":"assistant","content":"..."}],"context_chars":1234}

The first context_chars characters of the first user message are the context, the rest of it is the instruction. SAMPLES has
the same rows as DOCUMENTS and stands in the place of TOKENS. RANKS has these rows, too: which samples are chosen, and why
the others are not. CHOSEN, MESSAGES and SFT_SEQUENCES hold chosen samples only.
"""

import pyarrow as pa

from schemas.columns import column, many

SPAN = pa.struct([column("start", pa.int32(), "first token"), column("stop", pa.int32(), "one past the last")])

SAMPLES = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("status", pa.string(), "encoded, dropped (by dedup) or refused (the tokenizer cannot encode the text)"),
        column("reason", pa.string(), "as in TOKENS, or marker_in_text; NULL unless refused", nullable=True),
        column("n_responses", pa.int32(), "number of assistant turns; NULL unless encoded", nullable=True),
        column("n_tokens", pa.int32(), "length of input_ids; NULL unless encoded", nullable=True),
        column("input_ids", many(pa.int32()), "the sample as its template renders it; NULL unless encoded", True),
        column("context_start", pa.int32(), "first token of the context; NULL unless encoded", nullable=True),
        column("context_stop", pa.int32(), "one past its last; equals context_start without a context", nullable=True),
        column("response_start", pa.int32(), "first token of the scored response; NULL unless encoded", nullable=True),
        column("response_stop", pa.int32(), "one past its last, without the token that ends the turn", nullable=True),
        column(
            "responses",
            many(SPAN),
            "tokens that are trained on: each response and the token that ends its turn, ascending; NULL unless encoded",
            nullable=True,
        ),
        column(
            "has_marker", pa.bool_(), "a text looks like a marker of the template; it is encoded as plain text", True
        ),
    ]
)

RANKS = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("why", pa.string(), "as in CHOSEN; NULL if it is not chosen", nullable=True),
        column(
            "reason",
            pa.string(),
            "why it is not chosen: dropped, refused, too_long (for a sequence), short_surplus, outranked, similar, "
            "not_measured, or the reason of SCORES_HMG or SCORES_CAM; NULL if it is chosen",
            nullable=True,
        ),
        column("place", pa.int32(), "among all candidates by score, from 1; NULL unless a candidate", nullable=True),
        column("score", pa.float64(), "as in CHOSEN; NULL unless a candidate", nullable=True),
        column("hmg", pa.float64(), "as in CHOSEN", nullable=True),
        column("cam", pa.float64(), "as in CHOSEN", nullable=True),
        column("similar_id", pa.string(), "document_id of the chosen sample that it is similar to, else NULL", True),
    ]
)

QUOTAS = pa.schema(
    [
        column("why", pa.string(), "as in CHOSEN"),
        column("domain", pa.string(), "as in DOCUMENTS; NULL without a quota by domain", nullable=True),
        column("length_bucket", pa.string(), "of n_tokens; NULL without a quota by it", nullable=True),
        column("response_bucket", pa.string(), "of the scored response; NULL without a quota by it", nullable=True),
        column("candidates", pa.int64(), "samples of the cell that may be chosen"),
        column("target", pa.int64(), "samples of the cell that the recipe asks for"),
        column("chosen", pa.int64(), "samples of the cell in CHOSEN, at most target"),
        column("similar", pa.int64(), "candidates that were passed over, since a higher chosen sample is similar"),
    ]
)

CHOSEN = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("content_hash", pa.string(), "as in DOCUMENTS"),
        column("domain", pa.string(), "as in DOCUMENTS"),
        column("why", pa.string(), "top (by its score), or short: one of the sources in choose.short_sources"),
        column("rank", pa.int32(), "1 for the highest score; NULL for why = 'short'", nullable=True),
        column(
            "score",
            pa.float64(),
            "by which it was chosen; NULL for why = 'short' and for a random choice",
            nullable=True,
        ),
        column("hmg", pa.float64(), "normalised part of the score; NULL if not measured", nullable=True),
        column("cam", pa.float64(), "normalised part of the score; NULL if not measured", nullable=True),
        column("n_tokens", pa.int32(), "as in SAMPLES"),
        column("context_tokens", pa.int32(), "tokens of the context"),
        column("response_tokens", pa.int32(), "tokens of the scored response"),
    ]
)

MESSAGE = pa.struct(
    [column("role", pa.string(), "system, user, assistant or tool"), column("content", pa.string(), "")]
)

MESSAGES = pa.schema(
    [
        column("document_id", pa.string(), "as in CHOSEN"),
        column("domain", pa.string(), "as in CHOSEN"),
        column("license", pa.string(), "as in DOCUMENTS", nullable=True),
        column("why", pa.string(), "as in CHOSEN"),
        column("rank", pa.int32(), "as in CHOSEN", nullable=True),
        column("score", pa.float64(), "as in CHOSEN", nullable=True),
        column("messages", many(MESSAGE), "the sample, for trainers that apply a template themselves"),
        column(
            "tools",
            pa.string(),
            'JSON: {"tools": [...], "messages": {"1": {"tool_calls": [...]}}}: the tools, and the keys of a message besides '
            "role and content by its index; NULL without any",
            nullable=True,
        ),
    ]
)


def sft_sequences(sequences: pa.Schema) -> pa.Schema:
    """SFT_SEQUENCES: the columns of SEQUENCES, whose documents are samples, and labels after input_ids."""
    labels = column("labels", many(pa.int32()), "[n_tokens] input_ids, -100 where there is no loss")
    at = sequences.get_field_index("input_ids") + 1
    return pa.schema([*list(sequences)[:at], labels, *list(sequences)[at:]])
