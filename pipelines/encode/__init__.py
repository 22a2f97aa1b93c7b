"""DOCUMENTS, DUPLICATES -> TOKENS: the input_ids of every document that dedup kept.

fastokens encodes (fast.py) where its ids are those of tokenizers, the reference (reference.py, pieces.py). Documents of
each shard, of a long one its head, are encoded by both (sample.py); any difference sends all documents of the shard
through the reference. EOS ends a document, BOS begins it if the recipe has one, and neither is anywhere else (marks.py).
A text for which a library raises an error or panics is refused; one that a library does not finish stops the build
(attempt.py).

Memory: the text of a shard, its ids twice, and in the reference about 150 bytes for each token of one batch.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.actions import ReadColumns
from pipelines.batches import batches
from pipelines.encode import fast
from pipelines.encode.attempt import span, within_limit
from pipelines.encode.chat import check_rendered as check_rendered  # for ingest
from pipelines.encode.ids import Ids
from pipelines.encode.library import REASON, Library, by_reference, either, spelled
from pipelines.encode.marks import decode as decode  # for `longmix show`
from pipelines.encode.params import EncodeParams, Encoding
from pipelines.encode.sample import decodes, heads, sampled
from pipelines.encode.samples import SamplesParams as SamplesParams  # for recipes of samples
from pipelines.encode.samples import n_tokens as n_sample_tokens  # noqa: F401
from pipelines.encode.samples import run as run_samples  # noqa: F401
from pipelines.encode.template import Template as Template  # for ingest
from pipelines.encode.template import Unrendered as Unrendered
from pipelines.encode.tokenizer import NEVER_IN_UTF8, bos_id, eos_id, load, lost_bytes
from pipelines.encode.tokenizer import id_of as id_of  # for tokens that other stages' keys name
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard
from schemas.conform import conform
from schemas.tables import TOKENS

BATCH_BYTES = 2 << 20  # of text for fastokens; the reference divides it again

VERSION = 3  # raise when the same params would give other rows


def encode_rows(
    documents: pa.Table, duplicates: pa.Table, encoding: Encoding, library: Library | None = None
) -> pa.Table:
    """TOKENS without fell_back and decodes, which depend on all rows of a shard: see `checked`.

    library: `either` unless named.
    """
    kept = pc.equal(duplicates["verdict"], "kept").to_numpy()
    document_ids = duplicates["document_id"].filter(pa.array(kept))
    encoded_batches: list[tuple[Ids, np.ndarray]] = []
    for texts in kept_texts(documents["text"], kept):
        place = partial(span, document_ids[sum(len(reasons) for _, reasons in encoded_batches) :][: len(texts)])
        call = partial(encode_batch, texts, encoding.params, library or either)
        encoded_batches.append(within_limit(call, texts.nbytes, place))
    ids = Ids.joined([batch for batch, _ in encoded_batches])
    reasons = np.concatenate([np.empty(0, REASON), *(batch for _, batch in encoded_batches)])
    n_tokens, encoded = np.zeros(len(kept), np.int32), np.zeros(len(kept), bool)
    n_tokens[kept], encoded[kept] = ids.lengths, reasons == ""
    rows = pa.array(np.cumsum(kept) - 1, mask=~kept)
    return pa.table(
        {
            "document_id": duplicates["document_id"],
            "status": np.select([encoded, kept], ["encoded", "refused"], "dropped"),
            "reason": pa.array(reasons, pa.string(), mask=reasons == "").take(rows),
            "fell_back": pa.nulls(len(kept), pa.string()),
            "decodes": pa.nulls(len(kept), pa.bool_()),
            "n_tokens": pa.array(n_tokens, mask=~encoded),
            "input_ids": pa.ListArray.from_arrays(
                np.concatenate([[0], n_tokens.cumsum()]).astype(np.int32), ids.values, mask=pa.array(~encoded)
            ),
        }
    )


def kept_texts(texts: pa.ChunkedArray, kept: np.ndarray) -> Iterator[pa.Array]:
    """The kept texts, in order, in batches of about BATCH_BYTES: no more is copied at a time."""
    first = 0
    for batch in batches(texts, BATCH_BYTES):
        mask = kept[first : first + len(batch)]
        first += len(batch)
        if mask.any():
            yield batch if mask.all() else batch.filter(pa.array(mask))


def encode_batch(texts: pa.Array, params: EncodeParams, library: Library) -> tuple[Ids, np.ndarray]:
    """The ids of each text with its marks, and why a text was refused; an empty string where it was not."""
    ids, reasons = spelled(texts, params, library)
    return ids.marked(bos_id(params), eos_id(params), reasons == ""), reasons


def checked(tokens: pa.Table, read: ReadColumns, encoding: Encoding) -> pa.Table:
    """TOKENS of a shard from its rows: sampled documents are compared with the reference, and decoded."""
    file, fell_back = encoding.params.tokenizer, None
    rows = sample_of(read(("content_hash", "n_bytes", "verdict")))
    sample, is_head = heads(read(("text", "document_id", "verdict"), rows).combine_chunks())
    made = rows_of_sample(sample, is_head, rows_of(tokens, rows), encoding)
    if not fast.refusal(file):
        if not fast.proven(file):
            fell_back = "hostile"
        elif differ(sample, made, encoding):
            documents = read(("text", "document_id", "verdict"))
            tokens, fell_back = encode_rows(documents, documents, encoding, by_reference), "document"
            made = encode_rows(sample, sample, encoding, by_reference)
    columns = {
        "fell_back": pc.if_else(pc.equal(tokens["status"], "encoded"), pa.scalar(fell_back, pa.string()), None),
        "decodes": decoded_rows(rows, tokens, sample["text"], made, encoding.params),
    }
    return pa.table({**dict(zip(tokens.column_names, tokens.columns, strict=True)), **columns}).select(TOKENS.names)


def rows_of_sample(sample: pa.Table, is_head: np.ndarray, tokens: pa.Table, encoding: Encoding) -> pa.Table:
    """TOKENS of sampled documents; those of a head are made here. tokens: of the whole documents, see rows_of."""
    if not is_head.any():
        return tokens
    begun = sample.filter(pa.array(is_head))
    tables = [tokens.filter(pa.array(~is_head)), encode_rows(begun, begun, encoding).select(TOKENS.names)]
    places = np.concatenate([np.flatnonzero(~is_head), np.flatnonzero(is_head)])
    return pa.concat_tables([conform(table, TOKENS, "TOKENS") for table in tables]).take(pa.array(np.argsort(places)))


def sample_of(documents: pa.Table) -> np.ndarray:
    """The rows of a shard that are checked, ascending."""
    kept = np.flatnonzero(pc.equal(documents["verdict"], "kept"))
    return kept[sampled(documents["n_bytes"].to_numpy()[kept], documents["content_hash"].take(kept))]


def differ(documents: pa.Table, tokens: pa.Table, encoding: Encoding) -> bool:
    """Whether the reference makes other rows of some documents. tokens: see rows_of."""
    expected = encode_rows(documents, documents, encoding, by_reference)
    return conform(expected, TOKENS, "TOKENS") != conform(tokens, TOKENS, "TOKENS")


def rows_of(tokens: pa.Table, rows: np.ndarray) -> pa.Table:
    """Some rows as encode_rows makes them."""
    columns = {name: tokens[name].take(rows) for name in TOKENS.names if name not in ("fell_back", "decodes")}
    nulls = {name: pa.nulls(len(rows), TOKENS.field(name).type) for name in ("fell_back", "decodes")}
    return pa.table({**columns, **nulls}).select(TOKENS.names)


def decoded_rows(
    rows: np.ndarray, tokens: pa.Table, texts: pa.ChunkedArray, made: pa.Table, params: EncodeParams
) -> pa.Array:
    """[n] bool: whether the ids of some rows decode to their texts; NULL for other rows, and where there are no ids.

    Args:
        texts: [len(rows)], the heads of long ones.
        made: their ids.
    """
    decoded, is_encoded = np.full(len(tokens), None), tokens["input_ids"].is_valid().to_numpy()
    for text, ids, row in zip(texts, made["input_ids"], rows.tolist(), strict=True):
        if ids.is_valid and is_encoded[row]:
            text_ids = ids.values.to_numpy()[params.n_marks - 1 : -1]
            decoded[row] = decodes(load(params.tokenizer), text.as_py(), text_ids)
    return pa.array(decoded, pa.bool_())


def n_tokens(texts: pa.Array, params: EncodeParams) -> np.ndarray:
    """[n] int64: the tokens of each text, marks included."""
    lengths = [encode_batch(batch, params, either)[0].lengths for batch in batches(texts, BATCH_BYTES)]
    return np.concatenate([np.empty(0, np.int64), *lengths])


ENCODE = ShardStage("encode", VERSION, "TOKENS", encode_rows, same=("content_hash",), finish=checked)


def run(documents: list[Shard], duplicates: list[Shard], params: EncodeParams, engine: Engine) -> list[Shard]:
    """TOKENS, a shard beside each shard of DOCUMENTS."""
    if not engine.looks_only:  # a look-up need not load the tokenizer
        eos_id(params), bos_id(params)
    reads = (
        (Read(text, ("text", "content_hash", "n_bytes")), Read(verdict, ("document_id", "verdict")))
        for text, verdict in zip(documents, duplicates, strict=True)
    )
    return engine.shards(ENCODE, Encoding.of(params), reads)


def notes(params: EncodeParams) -> list[str]:
    """What a user should know of the tokenizer before a build: the slow path, and bytes that it leaves out."""
    lines = []
    if reason := fast.refusal(params.tokenizer):
        lines.append(
            f"encode.tokenizer is run by tokenizers, about 1 MB of text per CPU second, and not by fastokens: {reason}"
        )
    lost = sorted({*lost_bytes(params.tokenizer)} - NEVER_IN_UTF8)
    if lost:
        values = " ".join(f"{byte:02X}" for byte in lost)
        lines.append(
            f"encode.tokenizer has no token for {len(lost)} byte values ({values}) and drops them from texts; "
            "the report counts the sampled documents that lose text"
        )
    return lines
