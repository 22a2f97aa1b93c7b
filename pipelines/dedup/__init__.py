"""DOCUMENTS -> SIGNATURES, DUPLICATES: which documents are kept, and which kept one each of the others repeats.

The rule. Documents have an order: those kept in the base version first, then by the recipe's order of sources, the
longer first, then by content_hash, document_id, file and record. Of documents with the same text the first stands for
all. Such a text is kept unless it is a candidate of one kept before it and their shingle sets have a Jaccard
similarity of at least the threshold; it then repeats, of all kept texts so like it, the one most like it. A document
repeats what its text repeats (near), or the kept one with its own text (exact). No chain of likeness drops anything:
what is dropped is itself like its survivor, and the shingles of both were compared.

The driver holds about 150 bytes for each document: its hashes, its place in the order, what became of it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from pipelines.dedup.candidates import BLOCK_RECORDS, IN_MEMORY, Join, components
from pipelines.dedup.minhash import bands, min_agreeing, signatures
from pipelines.dedup.precedence import COLUMNS, Ranked, hex_digits, ranked, raw
from pipelines.dedup.shingles import UNICODE, batches, shingles
from pipelines.dedup.verify import Verify, grouped, near
from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard, Store, name_of
from pipelines.store.files import Scratch
from schemas.tables import NEAR

VERSION = 1  # raise when the same params would give other rows
VERDICTS_VERSION = 2  # likewise, of DUPLICATES and NEAR

NOT_SAMPLED = np.uint64(63)  # a shingle is in the sketch when it has none of these bits: one of 64


class DedupParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=0.7, gt=0, le=1)  # Jaccard similarity of the sets of shingles
    shingle_words: PositiveInt = 5
    n_permutations: Literal[128] = 128  # as long as SIGNATURES says
    seed: int = Field(default=1, ge=0, lt=2**32)
    min_recall: float = Field(default=0.98, gt=0, lt=1)  # of the pairs at the threshold, those that share a band


class SignParams(BaseModel):
    """What a signature depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shingle_words: int
    n_permutations: int
    seed: int
    unicode: str = UNICODE

    @classmethod
    def of(cls, params: DedupParams) -> "SignParams":
        return cls(**params.model_dump(include={"shingle_words", "n_permutations", "seed"}))


def sign_shard(documents: pa.Table, params: SignParams) -> pa.Table:
    """SIGNATURES: a row for each row of `documents`."""
    n_shingles, signed, sketch, n_sampled = [], [], [], []
    for texts in batches(documents["text"]):
        values, offsets = shingles(texts, params.shingle_words)
        n_shingles.append(np.diff(offsets))
        signed.append(signatures(values, offsets, params.n_permutations, params.seed))
        sampled = values & NOT_SAMPLED == 0
        sketch.append(values[sampled])
        n_sampled.append(np.diff(np.concatenate([[0], np.cumsum(sampled)])[offsets]))
    ends = np.concatenate([[0], *n_sampled]).cumsum().astype(np.int32)
    flat = np.concatenate([np.empty(0, np.uint32), *(s.ravel() for s in signed)])
    return pa.table(
        {
            "n_shingles": np.concatenate([np.empty(0, np.int32), *n_shingles]).astype(np.int32),
            "signature": pa.FixedSizeListArray.from_arrays(flat, params.n_permutations),
            "sketch": pa.ListArray.from_arrays(ends, np.concatenate([np.empty(0, np.uint64), *sketch])),
        }
    )


SIGN = ShardStage("signatures", VERSION, "SIGNATURES", sign_shard)


def run(
    documents: list[Shard],
    params: DedupParams,
    sources: Sequence[str],
    base: Mapping[str, Sequence[Shard]],
    engine: Engine,
) -> tuple[list[Shard], list[Shard], list[Shard]]:
    """SIGNATURES and DUPLICATES, a shard of each beside each shard of DOCUMENTS; and NEAR, for the next refresh.

    Args:
        sources: their names in the recipe's order.
        base: the shards of the version whose kept documents come first; empty where there is none.
    """
    if not documents:
        return [], [], []
    sign = SignParams.of(params)
    reads = ((Read(shard, ("text",)),) for shard in documents)
    signed = engine.shards(SIGN, sign, reads)
    ordered = [Read(shard, COLUMNS) for shard in documents]
    before = [Read(shard, ("document_id", "verdict")) for shard in base.get("DUPLICATES", ())]
    keys = [read.key() for read in ordered], [read.key() for read in before]
    name = name_of("dedup", VERDICTS_VERSION, params, sign, list(sources), *keys)

    def make() -> list[Shard]:
        ranks = read_ranked(ordered, sources, before, engine.store)
        survivor, similarity, verified = judge(ranks, documents, signed, params, engine)
        return [*write_duplicates(documents, ranks, survivor, similarity, engine.store), *verified]

    made = engine.once("dedup", name, make, sum(shard.n_rows for shard in documents))
    duplicates, verified = ([shard for shard in made if shard.table == table] for table in ("DUPLICATES", "NEAR"))
    return signed, duplicates, verified


def read_ranked(ordered: Sequence[Read], sources: Sequence[str], before: Sequence[Read], store: Store) -> Ranked:
    kept = [np.empty(0, "S16")]
    for read in before:
        table = store.read(read.shard, read.columns)
        kept.append(raw(table.filter(pc.equal(table["verdict"], "kept"))["document_id"]))
    return ranked([store.read(read.shard, read.columns) for read in ordered], sources, np.concatenate(kept))


def judge(
    ranks: Ranked, documents: Sequence[Shard], signed: Sequence[Shard], params: DedupParams, engine: Engine
) -> tuple[np.ndarray, np.ndarray, list[Shard]]:
    """(survivor, similarity) of each document: the position of the one it repeats, its own where it is kept; and NEAR."""
    n_shingles = np.concatenate([engine.store.read(s, ["n_shingles"])["n_shingles"].to_numpy() for s in signed])
    texts = np.flatnonzero((ranks.text == np.arange(len(ranks.text))) & (n_shingles > 0))
    with engine.scratch("dedup") as scratch:
        join = join_of(scratch, params, len(texts))
        root = components(signed, texts, join, engine)
        groups = grouped(ranks, root, (params, SignParams.of(params)))
        verified = near(groups, documents, Verify(join, params.threshold, params.shingle_words), engine)
    dropped = pa.concat_tables([NEAR.empty_table(), *(engine.store.read(shard) for shard in verified)])
    texts = texts[np.argsort(ranks.content_hash[texts])]
    gone, kept = (
        texts[np.searchsorted(ranks.content_hash[texts], raw(dropped[name]))] for name in ("content_hash", "kept_hash")
    )
    survivor, similarity = np.arange(len(ranks.text)), np.ones(len(ranks.text))
    survivor[gone], similarity[gone] = kept, dropped["similarity"].to_numpy()
    return survivor[ranks.text], similarity[ranks.text], verified


def join_of(scratch: Scratch, params: DedupParams, n_texts: int) -> Join:
    n_bands, rows = bands(params.threshold, params.n_permutations, params.min_recall)
    return Join(
        scratch=scratch,
        n_bands=n_bands,
        rows=rows,
        n_permutations=params.n_permutations,
        min_agreeing=min_agreeing(params.threshold, params.n_permutations),
        n_blocks=16 + n_texts * n_bands // BLOCK_RECORDS,
        spill=n_texts > IN_MEMORY,
    )


def write_duplicates(
    documents: Sequence[Shard], ranks: Ranked, survivor: np.ndarray, similarity: np.ndarray, store: Store
) -> list[Shard]:
    """DUPLICATES, a shard beside each shard of DOCUMENTS."""
    is_kept = survivor == np.arange(len(survivor))
    is_exact = survivor == ranks.text
    verdict = np.where(is_kept, "kept", np.where(is_exact, "exact", "near"))
    made, first = [], 0
    for shard in documents:
        rows = slice(first, first + shard.n_rows)
        table = {
            "document_id": pa.array(hex_digits(ranks.document_id[rows]), pa.string()),
            "verdict": pa.array(verdict[rows].tolist(), pa.string()),
            "kept_id": pa.array(hex_digits(ranks.document_id[survivor[rows]]), pa.string(), mask=is_kept[rows]),
            "similarity": pa.array(similarity[rows], mask=is_kept[rows]),
        }
        made.append(store.write("DUPLICATES", pa.table(table)))
        first += shard.n_rows
    return made
