"""DOCUMENTS, DUPLICATES -> SAMPLES: tokens of the kept samples, and where context, instruction and response are.

The pieces of a sample (chat.py) are tokenised apart: a boundary is a boundary of tokens with any tokenizer. Special tokens
in the template's text are special, and whatever looks like one in a message is plain text. A sample begins with the recipe's
BOS, if it has one.

Memory: the texts of a batch, their pieces and their ids.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from pipelines.actions import ReadColumns
from pipelines.batches import batches
from pipelines.conversations import Conversation, decode
from pipelines.encode.assembly import Encoded, assembled, marks_in, with_calls
from pipelines.encode.attempt import span, within_limit
from pipelines.encode.chat import Piece, pieces
from pipelines.encode.ids import Ids
from pipelines.encode.library import Library, by_reference, either, spelled
from pipelines.encode.markers import markers
from pipelines.encode.marks import marks_of, respell
from pipelines.encode.params import EncodeParams, Encoding
from pipelines.encode.sample import sampled
from pipelines.encode.template import Template, TemplateFile, Unrendered
from pipelines.encode.tokenizer import bos_id, eos_id
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard
from schemas.conform import conform
from schemas.errors import StageError
from schemas.samples import SAMPLES, SPAN

VERSION = 1  # raise when the same params would give other rows

BATCH_BYTES = 2 << 20  # of samples that are encoded at a time


class SamplesParams(BaseModel):
    """The recipe's [samples]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: TemplateFile = "paper"  # a file of a chat template, or the format of GATEAU
    scored: Literal["last", "first"] = "last"  # which assistant turn is scored; all are trained on

    def template_of(self, encode: EncodeParams) -> Template:
        """
        Raises:
            RecipeError: the file is no template, or it needs a BOS that the recipe lacks.
        """
        return Template.of(self.template, encode.bos_token, encode.eos_token)


class SampleEncoding(BaseModel):
    """What SAMPLES depend on besides the samples. An action's name contains all of it."""

    model_config = ConfigDict(frozen=True)

    template: Template
    scored: Literal["last", "first"]
    encoding: Encoding

    @classmethod
    def of(cls, params: SamplesParams, encode: EncodeParams) -> Self:
        return cls(template=params.template_of(encode), scored=params.scored, encoding=Encoding.of(encode))


def encode_rows(
    documents: pa.Table, duplicates: pa.Table, encoding: SampleEncoding, library: Library = either
) -> pa.Table:
    """SAMPLES: a row for each row of `documents`, without tokens where dedup dropped it."""
    kept = pc.equal(duplicates["verdict"], "kept").to_numpy()
    encoded: list[Encoded | None] = []
    for batch in batches(documents["text"], BATCH_BYTES):
        is_kept = kept[len(encoded) : len(encoded) + len(batch)]
        place = partial(span, duplicates["document_id"][len(encoded) :][: len(batch)])
        call = partial(encode_samples, batch.filter(pa.array(is_kept)), encoding, library)
        made = iter(within_limit(call, batch.nbytes, place))
        encoded += [next(made) if keep else None for keep in is_kept.tolist()]
    return table_of(duplicates["document_id"], encoded)


def table_of(document_id: pa.ChunkedArray, encoded: Sequence[Encoded | None]) -> pa.Table:
    """SAMPLES. encoded: None where dedup dropped the sample."""
    samples = [sample if sample and not sample.reason else None for sample in encoded]
    refused = [sample.reason or None if sample else None for sample in encoded]
    status = ["dropped" if sample is None else "refused" if sample.reason else "encoded" for sample in encoded]
    is_missing = np.array([sample is None for sample in samples], bool)
    n_tokens, n_responses = (
        np.array([len(values(sample)) if sample else 0 for sample in samples], np.int32)
        for values in (lambda sample: sample.ids, lambda sample: sample.responses)
    )
    ids = np.concatenate([np.empty(0, np.int32), *(sample.ids for sample in samples if sample)])
    places = np.array([[*s.context, *s.response] if s else [0] * 4 for s in samples], np.int32).reshape(-1, 4)
    spans = np.array([span for s in samples if s for span in s.responses], np.int32).reshape(-1, 2)
    names = ("context_start", "context_stop", "response_start", "response_stop")
    return pa.table(
        {
            "document_id": document_id,
            "status": pa.array(status, pa.string()),
            "reason": pa.array(refused, pa.string()),
            "n_responses": pa.array(n_responses, mask=is_missing),
            "n_tokens": pa.array(n_tokens, mask=is_missing),
            "input_ids": lists(n_tokens, pa.array(ids), is_missing),
            **{name: pa.array(places[:, i], mask=is_missing) for i, name in enumerate(names)},
            "responses": lists(
                n_responses, pa.StructArray.from_arrays([*map(pa.array, spans.T)], fields=[*SPAN]), is_missing
            ),
            "has_marker": pa.array([sample.has_marker if sample else None for sample in samples], pa.bool_()),
        }
    )


def lists(lengths: np.ndarray, values: pa.Array, is_missing: np.ndarray) -> pa.ListArray:
    offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(is_missing))


# -- samples of a batch


def encode_samples(texts: pa.Array, encoding: SampleEncoding, library: Library = either) -> list[Encoded]:
    """The samples of some texts, as in DOCUMENTS, as tokens.

    Raises:
        StageError: a template does not write a sample as it is; ingest rejects those.
    """
    params = encoding.encoding.params
    samples = [decode(text) for text in texts.to_pylist()]
    parts = [with_calls(sample_pieces(sample, encoding.template), params) for sample in samples]
    contents = [piece for sample_parts in parts for piece in sample_parts if piece.kind in ("text", "context")]
    if not contents:
        return []
    ids, reasons = spelled(pa.array([piece.text for piece in contents], pa.large_string()), params, library)
    first = np.cumsum([0, *(sum(piece.kind in ("text", "context") for piece in p) for p in parts)])
    ids, reasons = without_markers(contents, ids, reasons, parts, first, params)
    return [
        assembled(
            sample, sample_parts, [ids.row(i) for i in range(a, b)], reasons[a:b].tolist(), params, encoding.scored
        )
        for sample, sample_parts, (a, b) in zip(samples, parts, pairwise(first.tolist()), strict=True)
    ]


def sample_pieces(sample: Conversation, template: Template) -> list[Piece]:
    try:
        return pieces(sample, template)
    except Unrendered as error:
        raise StageError(
            f"samples: {error.reason}: {error.detail}; ingest took it with another template: build with ingest's sources of "
            "the same recipe"
        ) from error


def without_markers(
    contents: list[Piece],
    ids: Ids,
    reasons: np.ndarray,
    parts: list[list[Piece]],
    first: np.ndarray,
    params: EncodeParams,
) -> tuple[Ids, np.ndarray]:
    """The ids with those texts encoded again that contain a token which the sample's template writes."""
    added = np.array([*markers(params).added], np.int32)
    places = np.flatnonzero(np.isin(ids.values, added))
    for row in np.unique(np.searchsorted(ids.offsets, places, side="right") - 1).tolist():
        own = parts[int(np.searchsorted(first, row, side="right")) - 1]
        marks = marks_in(own, params)
        if reasons[row] or not np.isin(ids.row(row), [mark.token_id for mark in marks]).any():
            continue
        text = pa.array([contents[row].text], pa.large_string())
        again, unspelled = respell(text, Ids.of([ids.row(row)]), params, [*marks, *marks_of(params)])
        ids = ids.replaced(np.array([row]), again)
        reasons[row] = unspelled.get(0, "")
    return ids, reasons


# -- the stage


def checked(samples: pa.Table, read: ReadColumns, encoding: SampleEncoding) -> pa.Table:
    """SAMPLES of a shard from its rows: some are encoded by the reference too, and all of them if one differs."""
    rows = read(("content_hash", "n_bytes", "verdict"))
    kept = np.flatnonzero(pc.equal(rows["verdict"], "kept"))
    chosen = kept[sampled(rows["n_bytes"].to_numpy()[kept], rows["content_hash"].take(kept))]
    documents = read(("text", "document_id", "verdict"), chosen)
    expected = encode_rows(documents, documents, encoding, by_reference)
    if conform(expected, SAMPLES, "SAMPLES") == conform(samples.take(chosen), SAMPLES, "SAMPLES"):
        return samples
    documents = read(("text", "document_id", "verdict"))
    return encode_rows(documents, documents, encoding, by_reference)


ENCODE_SAMPLES = ShardStage("samples", VERSION, "SAMPLES", encode_rows, same=("content_hash",), finish=checked)


def run(
    documents: list[Shard], duplicates: list[Shard], params: SamplesParams, encode: EncodeParams, engine: Engine
) -> list[Shard]:
    """SAMPLES, a shard beside each shard of DOCUMENTS."""
    if not engine.looks_only:  # a look-up need not load the tokenizer
        eos_id(encode), bos_id(encode)
    reads = (
        (Read(text, ("text", "content_hash", "n_bytes")), Read(verdict, ("document_id", "verdict")))
        for text, verdict in zip(documents, duplicates, strict=True)
    )
    return engine.shards(ENCODE_SAMPLES, SampleEncoding.of(params, encode), reads)


def n_tokens(texts: pa.Array, params: SamplesParams, encode: EncodeParams) -> np.ndarray:
    """[n] int64: the tokens of each sample, in canonical JSON; for a forecast."""
    encoding = SampleEncoding.of(params, encode)
    lengths = [len(sample.ids) for batch in batches(texts, BATCH_BYTES) for sample in encode_samples(batch, encoding)]
    return np.array(lengths, np.int64)
