"""The schema of every Parquet table, with a description of each column.

The text of a document is stored once, in DOCUMENTS. SIGNATURES, DUPLICATES, TOKENS, BUDGET and the tables of scores have
the same shards as DOCUMENTS, with the same rows in the same order. From DRAWS on, tables contain only drawn documents.
"""

import pyarrow as pa

from schemas import samples, scores
from schemas.columns import HOLDS, column, many, part
from schemas.scores import BUDGET

DOCUMENTS = pa.schema(
    [
        column(
            "document_id",
            pa.string(),
            "blake2b-128 of source, the record's id (its file if it has none) and content_hash, hex",
        ),
        column("content_hash", pa.string(), "blake2b-128 of the text in UTF-8, hex"),
        column("source", pa.string(), "name of the source in the recipe"),
        column("record_id", pa.string(), "the record's own id as text, NULL if it has none", nullable=True),
        column("origin", pa.string(), "source as stated by the record", nullable=True),
        column("domain", pa.string(), "label of the source in the recipe"),
        column("license", pa.string(), "as stated by the record or the recipe", nullable=True),
        column("file", pa.string(), "path relative to the source's root"),
        column("record", pa.int64(), "index among the records of the shard, rejected ones included, from 0"),
        column("n_bytes", pa.int64(), "length of the text in UTF-8"),
        column("text", pa.large_string(), "as in the source"),
    ]
)

REJECTED = pa.schema(
    [
        column("source", pa.string(), "name of the source in the recipe"),
        column("file", pa.string(), "path relative to the source's root"),
        column("record", pa.int64(), "index among the records of the shard, rejected ones included, from 0"),
        column("reason", pa.string(), "code, such as not_json"),
        column("detail", pa.string(), "what was found, and what was expected"),
        column("head", pa.binary(), "first 65,536 bytes of the record, or 256 after 1 MiB of heads in a shard"),
        column("n_bytes", pa.int64(), "length of the record, NULL if it could not be read to its end", nullable=True),
        column("record_hash", pa.string(), "blake2b-128 of all bytes of the record that could be read, hex"),
    ]
)

SIGNATURES = pa.schema(
    [
        column("n_shingles", pa.int32(), "number of distinct shingles of the text; 5 words each by default"),
        column(
            "signature",
            pa.list_(pa.field("element", pa.uint32(), nullable=False), 128),
            "MinHash of the shingles; all 2^32 - 1 if there are none",
        ),
        column(
            "sketch", many(pa.uint64()), "shingles sampled by a fixed rule, ascending; for estimates of containment"
        ),
    ]
)

NEAR = pa.schema(
    [
        column("content_hash", pa.string(), "of a text that dedup dropped as a near duplicate"),
        column("kept_hash", pa.string(), "content_hash of the kept text that it duplicates"),
        column("similarity", pa.float64(), "Jaccard similarity of the shingle sets of both texts"),
    ]
)

DUPLICATES = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("verdict", pa.string(), "kept, exact (same text as a kept document) or near"),
        column(
            "kept_id", pa.string(), "document_id of the kept document that it duplicates, NULL if kept", nullable=True
        ),
        column("similarity", pa.float64(), "Jaccard similarity with kept_id, NULL if kept", nullable=True),
    ]
)

TOKENS = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("status", pa.string(), "encoded, dropped (by dedup) or refused (the tokenizer cannot encode the text)"),
        column(
            "reason",
            pa.string(),
            "no_token, eos_in_text, bos_in_text or tokenizer_error; NULL unless refused",
            nullable=True,
        ),
        column(
            "fell_back",
            pa.string(),
            "hostile or document: strings whose ids by fastokens and tokenizers differ, so that tokenizers encoded the "
            "shard; else NULL",
            nullable=True,
        ),
        column(
            "decodes",
            pa.bool_(),
            "input_ids decode to the text, as the tokenizer normalizes it; NULL if not sampled",
            nullable=True,
        ),
        column("n_tokens", pa.int32(), "length of input_ids, NULL unless encoded", nullable=True),
        column(
            "input_ids",
            many(pa.int32()),
            "BOS if the recipe has one, token ids of the text, EOS; NULL unless encoded",
            nullable=True,
        ),
    ]
)

BACKGROUND = pa.schema(
    [
        column("domain", pa.string(), "as in DOCUMENTS"),
        column("made_by", pa.string(), "version and seed; a refresh keeps the row if both equal its own"),
        column("documents", many(pa.string()), "content hashes of the sampled documents, lowest key first"),
        column("keys", many(pa.uint64()), "hashes of words that occur in at least two of them, ascending"),
        column("idf", many(pa.float32()), "[keys] minus the log of shares, at most unseen_idf"),
        column("shares", many(pa.float32()), "[keys] share of windows that contain the word, mean over documents"),
        column("unseen_idf", pa.float32(), "idf of a word that is not in keys"),
        column("unseen_share", pa.float32(), "share of a word that is not in keys"),
        part("min_recurrence", "10th percentile of the recurrence of intact documents of the domain"),
    ]
)

DRAWS = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("content_hash", pa.string(), "as in DOCUMENTS"),
        column("domain", pa.string(), "as in DOCUMENTS"),
        column("n_tokens", pa.int32(), "length of the complete document"),
        column("epoch", pa.int32(), "index of this copy of the document, from 0"),
        column("document_start", pa.int32(), "first token drawn"),
        column("document_stop", pa.int32(), "one past the last token drawn"),
        column("why", pa.string(), "long or short: the kind of the document; cut: truncated at the target of its cell"),
    ]
)

TARGETS = pa.schema(
    [
        column("domain", pa.string(), "as in DOCUMENTS, or a domain of plan.shares without documents"),
        column("kind", pa.string(), "short or long; a long document has at least plan.long_tokens tokens"),
        column("target_tokens", pa.int64(), "tokens that the plan requests from this domain and kind"),
        column("available_tokens", pa.int64(), "max_epochs times the tokens of the documents that may be drawn"),
        column("drawn_tokens", pa.int64(), "tokens in DRAWS: the smaller of target_tokens and available_tokens"),
        column(
            "rate",
            pa.float64(),
            "epochs that meet the target, before max_epochs limits them; NULL if the domain has nothing to draw",
            nullable=True,
        ),
        column("over_share_documents", pa.int64(), "documents excluded by plan.max_document_share"),
        column("over_share_tokens", pa.int64(), "their tokens"),
        column("dropped_documents", pa.int64(), "documents excluded for a reason in plan.select.drop"),
        column("dropped_tokens", pa.int64(), "their tokens"),
        column(
            "not_selected_documents", pa.int64(), "other documents, excluded since others rank higher by plan.select"
        ),
        column("not_selected_tokens", pa.int64(), "their tokens"),
    ]
)

EMBEDDINGS = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column(
            "status", pa.string(), "embedded, not_drawn (nobody asked for it) or empty (the encoder makes no token)"
        ),
        column("vector", many(pa.float32()), "[dimensions] of length 1; NULL unless embedded", nullable=True),
    ]
)

CENTROIDS = pa.schema(
    [
        column("partition", pa.int32(), "index of the partition, from 0"),
        column("group_number", pa.int32(), "the group of draws, a file of SEQUENCES, that the partition belongs to"),
        column(
            "made_by", pa.string(), "hash of encoder, seed and version; a refresh keeps the row if it equals its own"
        ),
        column("n_documents", pa.int64(), "drawn documents when the partition was made"),
        column("mean_similarity", pa.float64(), "their mean cosine with the centre; 0 if there were none"),
        column("vector", many(pa.float32()), "[dimensions] of length 1: the centre of the partition"),
    ]
)

ORDER = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS; the first copy of each drawn document"),
        column("partition", pa.int32(), "as in CENTROIDS; 0 if the order needs no vectors"),
        column("place", pa.int64(), "index in the group's path, from 0; NULL for a near copy, which leaves it", True),
        column("restarts", pa.bool_(), "the path begins here, or its previous document is not a neighbour"),
        column(
            "similarity_to_previous",
            pa.float32(),
            "cosine with the previous document of the path; NULL if there is none or no vector",
            True,
        ),
        column(
            "near_set",
            pa.string(),
            "document_id of the first of the documents that are joined by cosines of at least near_similarity; no two of "
            "them share a sequence; NULL if it has no near copy",
            True,
        ),
        column(
            "centre_similarity", pa.float32(), "cosine with the centre of its partition; NULL without vectors", True
        ),
        column(
            "neighbours", many(pa.int32()), "rows of this shard of its nearest documents, the nearest first, at most 10"
        ),
        column("similarities", many(pa.float32()), "[neighbours] cosine with each"),
    ]
)

CHUNKS = pa.schema(
    [
        column("document_id", pa.string(), "as in DOCUMENTS; the first copy of a document of the path, in its order"),
        column("document_start", pa.int32(), "first token of the document in the chunk"),
        column("document_stop", pa.int32(), "one past the last"),
        column(
            "is_near_copy", pa.bool_(), "an earlier chunk is a near copy (near_similarity); in no list and without one"
        ),
        column("neighbours", many(pa.int32()), "rows of this shard of its nearest chunks of other documents, in order"),
        column("similarities", many(pa.float32()), "[neighbours] cosine with each"),
    ]
)

SEGMENT = pa.struct(
    [
        column("document_id", pa.string(), "as in DOCUMENTS"),
        column("domain", pa.string(), "as in DOCUMENTS"),
        column("document_start", pa.int32(), "first token of the document in the segment"),
        column("document_stop", pa.int32(), "one past the last"),
        column("epoch", pa.int32(), "index of this copy of the document, from 0"),
        column("path_position", pa.int64(), "place in ORDER; NULL for a further copy or without a path", nullable=True),
        column("similarity_to_previous", pa.float32(), "as in ORDER, of the document's first copy", nullable=True),
        column(
            "n_pad", pa.int32(), "tokens of the segment that are not the document's: pad or marker tokens at its end"
        ),
    ]
)

SEQUENCES = pa.schema(
    [
        column(
            "sequence_id",
            pa.int64(),
            "(index of the file << 32) + row in the file; the training order is ascending",
        ),
        column("input_ids", many(pa.int32()), "[n_tokens] token ids"),
        column("n_tokens", pa.int32(), "length of input_ids, at most the recipe's sequence_tokens"),
        column("cu_seqlens", many(pa.int32()), "[n_segments + 1] offsets of the segments: 0 first, n_tokens last"),
        column("segments", many(SEGMENT), "[n_segments] document and token range of each segment"),
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
    "EMBEDDINGS": EMBEDDINGS,
    "CENTROIDS": CENTROIDS,
    "ORDER": ORDER,
    "CHUNKS": CHUNKS,
    "SEQUENCES": SEQUENCES,
    "SAMPLES": samples.SAMPLES,
    "RANKS": samples.RANKS,
    "QUOTAS": samples.QUOTAS,
    "CHOSEN": samples.CHOSEN,
    "MESSAGES": samples.MESSAGES,
    "SFT_SEQUENCES": samples.sft_sequences(SEQUENCES),
}

BESIDE_DOCUMENTS = (
    "SIGNATURES",
    "DUPLICATES",
    "TOKENS",
    "EMBEDDINGS",
    "SAMPLES",
)  # the same rows as DOCUMENTS, in the same order

# Columns with few distinct values, which are dictionary-encoded.
FEW_VALUES = {"source", "origin", "domain", "license", "file", "reason", "status", "fell_back", "verdict", "why"}

# Parquet encodings other than the library's choice. The high bytes of token ids are mostly equal: stored apart from the low
# ones, they take half the CPU seconds to compress. SEQUENCES keep the plain encoding, which every reader opens.
ENCODINGS = {"TOKENS": {"input_ids.list.element": "BYTE_STREAM_SPLIT"}}


def holds(schema: pa.Schema) -> dict[str, str]:
    """Column -> its description, from the Parquet metadata: {"text": "as in the source", ...}."""
    return {field.name: (field.metadata or {}).get(HOLDS.encode(), b"").decode() for field in schema}
