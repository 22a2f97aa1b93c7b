"""The tables of instruction samples. A sample is a row of DOCUMENTS whose text is its messages in canonical JSON:

    {"messages":[{"role":"user","content":"..."},{"role":"assistant","content":"..."}],"context_chars":1234}

The first context_chars characters of the first user message are the context, the rest of it is the instruction. SAMPLES has
the same rows as DOCUMENTS and stands in the place of TOKENS. CHOSEN, MESSAGES and SFT_SEQUENCES hold chosen samples only.
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

CHOSEN = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("content_hash", pa.string(), "as in DOCUMENTS"),
        column("domain", pa.string(), "as in DOCUMENTS"),
        column("why", pa.string(), "top (by its score), or short: one of the sources in choose.short_sources"),
        column("rank", pa.int32(), "1 for the highest score; NULL for why = 'short'", nullable=True),
        column("score", pa.float64(), "by which it was chosen; NULL for why = 'short'", nullable=True),
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
        column("tools", pa.string(), "tools and tool calls of the sample in JSON; NULL without any", nullable=True),
    ]
)


def sft_sequences(sequences: pa.Schema) -> pa.Schema:
    """SFT_SEQUENCES: the columns of SEQUENCES, whose documents are samples, and labels after input_ids."""
    labels = column("labels", many(pa.int32()), "[n_tokens] input_ids, -100 where there is no loss")
    at = sequences.get_field_index("input_ids") + 1
    return pa.schema([*list(sequences)[:at], labels, *list(sequences)[at:]])
