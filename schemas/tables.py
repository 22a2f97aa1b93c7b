"""Every Parquet table: its columns, their types, and what each of them holds.

The text of a document is written once, in DOCUMENTS. SIGNATURES, DUPLICATES and TOKENS have the same division
into shards, and a row for each of its rows, in the same order. From DRAWS on, a table holds what was drawn.
"""

import pyarrow as pa

from schemas import scores
from schemas.columns import HOLDS, column, many, part
from schemas.scores import BUDGET

DOCUMENTS = pa.schema(
    [
        column(
            "document_id",
            pa.string(),
            "blake2b-128 of (source, the record's own id or else its file, content_hash), hex",
        ),
        column("content_hash", pa.string(), "blake2b-128 of the text as UTF-8, hex"),
        column("source", pa.string(), "the name of the recipe's entry"),
        column("origin", pa.string(), "what the record itself calls its source", nullable=True),
        column("domain", pa.string(), "the recipe's label for the source"),
        column("license", pa.string(), "as the record or the recipe states it", nullable=True),
        column("file", pa.string(), "where it was found, relative to the source's root"),
        column("record", pa.int64(), "its place among the shard's records, documents and rejected ones, from 0"),
        column("n_bytes", pa.int64(), "of the text as UTF-8"),
        column("text", pa.large_string(), "as found"),
    ]
)

REJECTED = pa.schema(
    [
        column("source", pa.string(), "the name of the recipe's entry"),
        column("file", pa.string(), "where it was found, relative to the source's root"),
        column("record", pa.int64(), "its place among the shard's records, documents and rejected ones, from 0"),
        column("reason", pa.string(), "a short code, such as not_json"),
        column("detail", pa.string(), "what was found and what was wanted"),
        column("head", pa.binary(), "its first 65,536 bytes"),
        column("n_bytes", pa.int64(), "its length in bytes, NULL where it could not be read to its end", nullable=True),
        column("record_hash", pa.string(), "blake2b-128 of all its bytes that could be read, hex"),
    ]
)

SIGNATURES = pa.schema(
    [
        column("n_shingles", pa.int32(), "distinct 5-word shingles of the text"),
        column(
            "signature",
            pa.list_(pa.field("element", pa.uint32(), nullable=False), 128),
            "MinHash of the shingles; all 2^32 - 1 where there is none",
        ),
        column("sketch", many(pa.uint64()), "the shingles that a fixed rule samples, for containment; ascending"),
    ]
)

NEAR = pa.schema(
    [
        column("content_hash", pa.string(), "of a text that dedup dropped, though no other text is equal to it"),
        column("kept_hash", pa.string(), "content_hash of the kept text that it repeats"),
        column("similarity", pa.float64(), "Jaccard of the shingle sets of both"),
    ]
)

DUPLICATES = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("verdict", pa.string(), "kept, exact (its text is a kept one's) or near"),
        column("kept_id", pa.string(), "the kept document it repeats, NULL where it is kept", nullable=True),
        column(
            "similarity", pa.float64(), "Jaccard of the shingle sets with kept_id, NULL where it is kept", nullable=True
        ),
    ]
)

TOKENS = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("n_tokens", pa.int32(), "length of input_ids, NULL where the document was dropped", nullable=True),
        column("input_ids", many(pa.int32()), "the text's tokens, EOS last; NULL where it was dropped", nullable=True),
    ]
)

BACKGROUND = pa.schema(
    [
        column("domain", pa.string(), "as in DOCUMENTS"),
        column(
            "made_by",
            pa.string(),
            "how its documents were chosen and its words cut; a refresh keeps what was made by its own",
        ),
        column("documents", many(pa.string()), "content hashes of the documents that it is known by, lowest key first"),
        column("keys", many(pa.uint64()), "words of at least two of them, by hash, ascending"),
        column("idf", many(pa.float32()), "[keys] minus the log of the share"),
        column("shares", many(pa.float32()), "[keys] of windows that hold the word, mean over documents"),
        column("unseen_idf", pa.float32(), "of a word that is not among the keys"),
        column("unseen_share", pa.float32(), "likewise"),
        part("min_recurrence", "what nine of ten intact documents of the domain reach"),
    ]
)

DRAWS = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("content_hash", pa.string(), "as in DOCUMENTS"),
        column("domain", pa.string(), "as in DOCUMENTS"),
        column("n_tokens", pa.int32(), "of the whole document"),
        column("epoch", pa.int32(), "which copy of the document this is, from 0"),
        column("document_start", pa.int32(), "first token drawn"),
        column("document_stop", pa.int32(), "one past the last token drawn"),
        column("why", pa.string(), "long or short: the cell that drew it; cut: the last draw of its cell"),
    ]
)

TARGETS = pa.schema(
    [
        column("domain", pa.string(), "as in DOCUMENTS, or named by the recipe's shares alone"),
        column("kind", pa.string(), "short or long; a long document has at least plan.long_tokens tokens"),
        column("target_tokens", pa.int64(), "tokens that the plan asks of this domain and kind"),
        column("available_tokens", pa.int64(), "max_epochs times the tokens of the documents that may be drawn"),
        column("drawn_tokens", pa.int64(), "tokens in DRAWS: the smaller of target_tokens and available_tokens"),
        column(
            "rate",
            pa.float64(),
            "epochs that meet the target, before max_epochs limits them; NULL where the domain has nothing to draw",
            nullable=True,
        ),
        column("over_share_tokens", pa.int64(), "tokens of the documents that plan.max_document_share leaves out"),
        column("not_selected_tokens", pa.int64(), "tokens of the other documents that plan.select leaves out"),
    ]
)

SEGMENT = pa.struct(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("domain", pa.string(), "as in DOCUMENTS"),
        column("document_start", pa.int32(), "first token of the document in this segment"),
        column("document_stop", pa.int32(), "one past the last"),
        column("epoch", pa.int32(), "which copy of the document this is, from 0"),
        column(
            "path_position", pa.int64(), "place in a path through related documents, NULL without one", nullable=True
        ),
        column("similarity_to_previous", pa.float32(), "to the document before it in the path", nullable=True),
    ]
)

SEQUENCES = pa.schema(
    [
        column("sequence_id", pa.int64(), "its place in the training order, from 0"),
        column("input_ids", many(pa.int32()), "[n_tokens]"),
        column("n_tokens", pa.int32(), "at most the recipe's sequence_tokens"),
        column("cu_seqlens", many(pa.int32()), "[n_segments + 1], 0 first, n_tokens last"),
        column("segments", many(SEGMENT), "[n_segments], which tokens of which document"),
    ]
)

TABLES = {
    "DOCUMENTS": DOCUMENTS,
    "REJECTED": REJECTED,
    "SIGNATURES": SIGNATURES,
    "NEAR": NEAR,
    "DUPLICATES": DUPLICATES,
    "TOKENS": TOKENS,
    "BACKGROUND": BACKGROUND,
    "BUDGET": BUDGET,
    **{name: schema for name, schema in vars(scores).items() if name.startswith("SCORES_")},
    "DRAWS": DRAWS,
    "TARGETS": TARGETS,
    "SEQUENCES": SEQUENCES,
}

BESIDE_DOCUMENTS = ("SIGNATURES", "DUPLICATES", "TOKENS")  # a row for each row of DOCUMENTS, in its order

# Worth a dictionary page.
FEW_VALUES = {"source", "origin", "domain", "license", "file", "reason", "status", "verdict", "why"}


def holds(schema: pa.Schema) -> dict[str, str]:
    """What each column holds, read from the Parquet metadata: {"text": "as found", ...}."""
    return {field.name: (field.metadata or {}).get(HOLDS.encode(), b"").decode() for field in schema}
