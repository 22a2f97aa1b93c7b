"""DOCUMENTS -> SIGNATURES, DUPLICATES: which documents are kept, and which kept document each of the others duplicates.

Documents are ordered: first those that the base version kept, then by the recipe's order of sources, longer first, then
by content_hash, document_id, file and record. The first of the documents with the same text represents the text. Such a
text is kept unless it is a candidate of a text kept before it, and the Jaccard similarity of their shingle sets reaches
the threshold. A dropped text duplicates the most similar kept text that meets both conditions. A document duplicates
what its text duplicates (verdict near), or the kept document with the same text (verdict exact). Similarity is not
chained: the shingles of every dropped text were compared with those of its survivor.

by = "exact" drops equal texts alone and signs none. Equal texts are one document in every mix: the later stages identify a
document by its content_hash, and more copies of a text are drawn by rate and max_epochs.

The driver holds about 60 bytes for each document, hashes and ranks, and 110 at the peak, while it ranks them; for each
text with a candidate about 150 more. benchmarks/driver_memory.py measures the process of a build, workers included.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from pipelines.batches import batches
from pipelines.conversations import without_contexts
from pipelines.dedup.candidates import BLOCK_RECORDS, Join, components
from pipelines.dedup.characters import UNICODE
from pipelines.dedup.minhash import bands, min_agreeing, signatures
from pipelines.dedup.precedence import COLUMNS, Ranked, hash_bytes, hex_strings, ranked
from pipelines.dedup.shingles import Shingles, Window, in_parts
from pipelines.dedup.verify import Compared, Verify, as_they_are, group_components, near
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import Scratch
from schemas.tables import NEAR

VERSION = 2  # raise when the same params would give other rows
VERDICTS_VERSION = 3  # the same, for DUPLICATES and NEAR

SKETCH_MASK = np.uint64(63)  # the sketch holds the shingles in which all of these bits are 0: one of 64
NO_SHINGLES = Shingles(np.empty(0, np.uint64), np.zeros(1, np.int64))
VERDICTS = ["kept", "exact", "near"]


class DedupParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["near", "exact"] = "near"  # exact: documents with equal texts alone are dropped
    threshold: float = Field(default=0.7, gt=0, le=1)  # Jaccard similarity of the sets of shingles
    shingle_words: PositiveInt | None = 5
    shingle_chars: PositiveInt | None = None  # instead of words: characters, without spaces and punctuation
    n_permutations: Literal[128] = 128  # the length of SIGNATURES.signature
    seed: int = Field(default=1, ge=0, lt=2**32)
    min_recall: float = Field(default=0.98, gt=0, lt=1)  # share of the pairs at the threshold that share a band

    @model_validator(mode="before")
    @classmethod
    def one_window(cls, raw: Any) -> Any:
        """shingle_words is its default only where shingle_chars is not given."""
        if not isinstance(raw, dict) or raw.get("shingle_chars") is None:
            return raw
        if raw.get("shingle_words") is not None:
            raise ValueError("shingle_words and shingle_chars exclude each other; remove one")
        return {**raw, "shingle_words": None}


class SampleDedupParams(DedupParams):
    """The [dedup] of instruction samples: many share their context, so near-duplicate detection is off by default.

    Signatures are of instruction and responses, without the context: the diversity of what is chosen needs them too.
    """

    by: Literal["near", "exact"] = "exact"


class SignParams(BaseModel):
    """Everything that a signature depends on besides the text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shingle_words: int | None
    shingle_chars: int | None = None
    n_permutations: int
    seed: int
    unicode: str = UNICODE

    @classmethod
    def of(cls, params: DedupParams) -> "SignParams":
        kind = SampleSignParams if isinstance(params, SampleDedupParams) else cls
        return kind(**params.model_dump(include={"shingle_words", "shingle_chars", "n_permutations", "seed"}))

    @property
    def window(self) -> Window:
        return Window(self.shingle_chars, "characters") if self.shingle_chars else Window(self.shingle_words or 1)

    @property
    def compared(self) -> Compared:
        """What is compared of the texts of DOCUMENTS."""
        return as_they_are


class SampleSignParams(SignParams):
    """The same for instruction samples."""

    of_sample: Literal["instruction and responses"] = "instruction and responses"  # in the names of actions

    @property
    def compared(self) -> Compared:
        return without_contexts


class Signed(NamedTuple):
    """The columns of SIGNATURES, of some texts."""

    n_shingles: np.ndarray
    signature: np.ndarray  # [n_texts, n_permutations]
    sketch: np.ndarray  # of all texts
    n_sampled: np.ndarray  # values of each text in `sketch`


def sign_shard(documents: pa.Table, params: SignParams) -> pa.Table:
    """SIGNATURES: a row for each row of `documents`."""
    texts = (part for batch in batches(documents["text"]) for part in batches(params.compared(batch)))
    signed = [merged([sign(part, params) for part in in_parts(batch, params.window)]) for batch in texts]
    n_shingles, signature, sketch, n_sampled = zip(sign(NO_SHINGLES, params), *signed, strict=True)
    ends = np.concatenate([np.zeros(1, np.int64), *n_sampled]).cumsum().astype(np.int32)
    return pa.table(
        {
            "n_shingles": np.concatenate(n_shingles).astype(np.int32),
            "signature": pa.FixedSizeListArray.from_arrays(np.concatenate(signature).ravel(), params.n_permutations),
            "sketch": pa.ListArray.from_arrays(ends, np.concatenate(sketch)),
        }
    )


def sign(part: Shingles, params: SignParams) -> Signed:
    sampled = np.flatnonzero(part.values & SKETCH_MASK == 0)
    return Signed(
        np.diff(part.offsets),
        signatures(part.values, part.offsets, params.n_permutations, params.seed),
        part.values[sampled],
        np.diff(np.searchsorted(sampled, part.offsets)),
    )


def merged(parts: Sequence[Signed]) -> Signed:
    """The columns of a batch; the parts are distinct shingles of the same texts."""
    if len(parts) == 1:
        return parts[0]
    n_shingles, signature, sketch, n_sampled = zip(*parts, strict=True)
    return Signed(
        np.add.reduce(n_shingles), np.minimum.reduce(signature), np.concatenate(sketch), np.add.reduce(n_sampled)
    )


class UnsignedParams(BaseModel):
    """Of SIGNATURES that nobody compares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_permutations: int


def unsigned_shard(documents: pa.Table, params: UnsignedParams) -> pa.Table:
    """SIGNATURES of texts as if they had no shingles: a row for each row of `documents`."""
    n = len(documents)
    signature = np.full(n * params.n_permutations, np.iinfo(np.uint32).max, np.uint32)
    return pa.table(
        {
            "n_shingles": np.zeros(n, np.int32),
            "signature": pa.FixedSizeListArray.from_arrays(signature, params.n_permutations),
            "sketch": pa.ListArray.from_arrays(np.zeros(n + 1, np.int32), np.empty(0, np.uint64)),
        }
    )


SIGN = ShardStage("signatures", VERSION, "SIGNATURES", sign_shard, same=("content_hash",))
UNSIGNED = ShardStage("signatures", VERSION, "SIGNATURES", unsigned_shard)


def run(
    documents: list[Shard],
    params: DedupParams,
    sources: Sequence[str],
    base: Mapping[str, Sequence[Shard]],
    engine: Engine,
) -> tuple[list[Shard], list[Shard], list[Shard]]:
    """SIGNATURES and DUPLICATES, one shard of each for each shard of DOCUMENTS; and NEAR, for the next refresh.

    Args:
        sources: their names, in the order of the recipe.
        base: the tables of the version whose kept documents come first; empty without a base.
    """
    if not documents:
        return [], [], []
    sign_params = SignParams.of(params)
    signature_shards = sign_documents(documents, params, sign_params, engine)
    document_reads = [Read(shard, COLUMNS) for shard in documents]
    base_reads = [Read(shard, ("document_id", "verdict")) for shard in base.get("DUPLICATES", ())]
    keys = [read.key() for read in document_reads], [read.key() for read in base_reads]
    name = name_of("dedup", VERDICTS_VERSION, params, sign_params, list(sources), *keys)

    def make() -> list[Shard]:
        ranks = read_ranked(document_reads, sources, base_reads, engine.store)
        survivor, similarity, near_shards = find_survivors(ranks, documents, signature_shards, params, engine)
        return [*write_duplicates(documents, ranks, survivor, similarity, engine.store), *near_shards]

    shards = engine.once("dedup", name, make, sum(shard.n_rows for shard in documents))
    duplicates, near_shards = ([s for s in shards if s.table == table] for table in ("DUPLICATES", "NEAR"))
    return signature_shards, duplicates, near_shards


def sign_documents(
    documents: Sequence[Shard], params: DedupParams, sign_params: SignParams, engine: Engine
) -> list[Shard]:
    """SIGNATURES, where near duplicates are looked for, or where the choice of samples compares them."""
    if params.by == "exact" and not isinstance(params, SampleDedupParams):
        unsigned = UnsignedParams(n_permutations=params.n_permutations)
        return engine.shards(UNSIGNED, unsigned, ((Read(shard, ("n_bytes",)),) for shard in documents))
    return engine.shards(SIGN, sign_params, ((Read(shard, ("text",)),) for shard in documents))


def read_ranked(documents: Sequence[Read], sources: Sequence[str], base: Sequence[Read], store: Store) -> Ranked:
    kept_in_base = [np.empty(0, "S16")]
    for read in base:
        table = store.read(read.shard, read.columns)
        kept_in_base.append(hash_bytes(table.filter(pc.equal(table["verdict"], "kept"))["document_id"]))
    return ranked((store.read(read.shard, read.columns) for read in documents), sources, np.concatenate(kept_in_base))


def find_survivors(
    ranks: Ranked, documents: Sequence[Shard], signature_shards: Sequence[Shard], params: DedupParams, engine: Engine
) -> tuple[np.ndarray, np.ndarray, list[Shard]]:
    """For each document (survivor, similarity): the position of the one it duplicates, its own if kept; and NEAR."""
    if params.by == "exact":
        return ranks.text, np.ones(len(ranks.text)), []
    n_shingles = np.concatenate(
        [engine.store.read(s, ["n_shingles"])["n_shingles"].to_numpy() for s in signature_shards]
    )
    texts = np.flatnonzero((ranks.text == np.arange(len(ranks.text))) & (n_shingles > 0))
    with engine.scratch("dedup") as scratch:
        join = join_of(scratch, params, len(texts))
        root = components(signature_shards, texts, join, engine)
        groups = group_components(ranks, root, (params, SignParams.of(params)))
        sign_params = SignParams.of(params)
        verify = Verify(join, params.threshold, sign_params.window, sign_params.compared)
        near_shards = near(groups, documents, n_shingles, verify, engine)
    pairs = pa.concat_tables([NEAR.empty_table(), *(engine.store.read(shard) for shard in near_shards)])
    texts = texts[np.argsort(ranks.content_hash[texts])]
    dropped, kept = (
        texts[np.searchsorted(ranks.content_hash[texts], hash_bytes(pairs[name]))]
        for name in ("content_hash", "kept_hash")
    )
    survivor, similarity = np.arange(len(ranks.text)), np.ones(len(ranks.text))
    survivor[dropped], similarity[dropped] = kept, pairs["similarity"].to_numpy()
    return survivor[ranks.text], similarity[ranks.text], near_shards


def join_of(scratch: Scratch, params: DedupParams, n_texts: int) -> Join:
    n_bands, rows = bands(params.threshold, params.n_permutations, params.min_recall)
    return Join(
        scratch=scratch,
        n_bands=n_bands,
        rows=rows,
        n_permutations=params.n_permutations,
        min_agreeing=min_agreeing(params.threshold, params.n_permutations),
        n_blocks=16 + n_texts * n_bands // BLOCK_RECORDS,
    )


def write_duplicates(
    documents: Sequence[Shard], ranks: Ranked, survivor: np.ndarray, similarity: np.ndarray, store: Store
) -> list[Shard]:
    """DUPLICATES, a shard for each shard of DOCUMENTS, with the same rows."""
    is_kept = survivor == np.arange(len(survivor))
    is_exact = survivor == ranks.text
    verdict = np.where(is_kept, 0, np.where(is_exact, 1, 2))
    shards, first = [], 0
    for shard in documents:
        rows = slice(first, first + shard.n_rows)
        table = {
            "document_id": hex_strings(ranks.document_id[rows]),
            "verdict": pa.array(VERDICTS).take(pa.array(verdict[rows])),
            "kept_id": hex_strings(ranks.document_id[survivor[rows]], is_kept[rows]),
            "similarity": pa.array(similarity[rows], mask=is_kept[rows]),
        }
        shards.append(store.write("DUPLICATES", pa.table(table)))
        first += shard.n_rows
    return shards
