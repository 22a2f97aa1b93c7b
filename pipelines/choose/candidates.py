"""The small columns of all samples, and which of them may be chosen. About 300 bytes a sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.choose.params import ChooseParams
from pipelines.choose.quotas import RESPONSE_BUCKETS, Cell, response_bucket_of
from pipelines.choose.ranking import rank_samples
from pipelines.documents import side_by_side
from pipelines.keys import ascending, contents, keyed, salt
from pipelines.stage import Read
from pipelines.store import Shard, Store
from schemas.lengths import BUCKETS, bucket_of

READS = {
    "DOCUMENTS": ("document_id", "content_hash", "source", "domain"),
    "SAMPLES": ("status", "n_tokens", "context_start", "context_stop", "response_start", "response_stop"),
    "SCORES_HMG": ("reason", "nll_short", "nll_long", "ifd"),
    "SCORES_CAM": ("reason", "alignment"),
}
SCORES = ("SCORES_HMG", "SCORES_CAM")

Tables = Mapping[str, Sequence[Shard]]


def reads_of(tables: Tables) -> dict[str, list[tuple[Read, ...]]]:
    """The small columns, by table; no scores where the recipe has no model."""
    return {
        name: [(Read(shard, columns),) for shard in tables[name]] for name, columns in READS.items() if name in tables
    }


@dataclass(frozen=True, eq=False)
class Samples:
    """A row for each row of DOCUMENTS.

    Attributes:
        document_id, content_hash, domain: [n] strings.
        content: [n, 2] uint64, content_hash as numbers.
        n_tokens, context_tokens, response_tokens: [n] int64, 0 unless encoded.
        reason: [n] object, why a sample is no candidate, or "".
        is_short: [n] bool, of one of short_sources.
        hmg, cam: [n] normalised, NULL where not measured.
        score: [n] by which samples are ranked; NULL for a random choice.
    """

    document_id: pa.ChunkedArray
    content_hash: pa.ChunkedArray
    domain: pa.ChunkedArray
    content: np.ndarray
    n_tokens: np.ndarray
    context_tokens: np.ndarray
    response_tokens: np.ndarray
    reason: np.ndarray
    is_short: np.ndarray
    hmg: pa.ChunkedArray
    cam: pa.ChunkedArray
    score: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.n_tokens)

    @property
    def candidates(self) -> np.ndarray:
        """Ascending rows that may be chosen by rank."""
        return np.flatnonzero((self.reason == "") & ~self.is_short)

    def cells(self, rows: np.ndarray, quotas: Sequence[str]) -> tuple[np.ndarray, list[Cell]]:
        """[len(rows)] the cell of each row, an index in the second: the cells, ascending."""
        columns = {
            "domain": self.domain.to_numpy(zero_copy_only=False)[rows],
            "length_bucket": bucket_of(self.n_tokens[rows]),
            "response_bucket": response_bucket_of(self.response_tokens[rows]),
        }
        keys = list(zip(*(columns[q].tolist() if q in quotas else [None] * len(rows) for q in columns), strict=True))
        distinct = sorted(set(keys), key=lambda key: tuple((x is not None, x) for x in key))
        places = {key: place for place, key in enumerate(distinct)}
        cells: list[Cell] = [
            (domain, None if length is None else BUCKETS[length], None if n is None else RESPONSE_BUCKETS[n])
            for domain, length, n in distinct
        ]
        return np.array([places[key] for key in keys], np.int64), cells

    def by_score(self) -> np.ndarray:
        """The candidates, the highest score first; of equal scores the lower content hash."""
        rows = self.candidates
        score = self.score.fill_null(0).to_numpy()[rows]
        return rows[np.lexsort((self.content[rows, 1], self.content[rows, 0], -score))]

    def at_random(self, use: str, seed: int, rows: np.ndarray) -> np.ndarray:
        """Rows in keyed order."""
        content = self.content[rows]
        return rows[ascending(keyed(content, salt(use, seed)), content)]


def read_samples(
    reads: Mapping[str, Sequence[tuple[Read, ...]]], params: ChooseParams, max_tokens: int, store: Store
) -> Samples:
    """All samples with their scores, see Samples. max_tokens: a longer sample is no candidate."""
    tables = {name: side_by_side(each, store) for name, each in reads.items()}
    documents, samples = tables["DOCUMENTS"], tables["SAMPLES"]
    numbers = {name: samples[name].fill_null(0).to_numpy().astype(np.int64) for name in READS["SAMPLES"][1:]}
    n_tokens = numbers["n_tokens"]
    is_short = pc.is_in(documents["source"], pa.array(params.short_sources, pa.string())).to_numpy()
    status = samples["status"].to_numpy(zero_copy_only=False)
    reason = np.where(status == "encoded", np.where(n_tokens > max_tokens, "too_long", ""), status).astype(object)
    content = contents(documents["content_hash"])
    measured = values_of(tables, (reason == "") & ~is_short)
    length_bucket = pa.array(BUCKETS).take(pa.array(bucket_of(n_tokens)))
    scopes = {"all": None, "domain": documents["domain"], "length_bucket": length_bucket}[params.scope]
    order = np.lexsort((content[:, 1], content[:, 0]))  # the values do not depend on the order of files
    place = pa.array(np.argsort(order))
    short, long, alignment = (measured[name].take(pa.array(order)) for name in ("nll_short", "nll_long", "alignment"))
    ids = documents["document_id"].take(pa.array(order))
    scoped = None if scopes is None else scopes.take(pa.array(order))
    ranked = rank_samples(ids, short, long, alignment, params.mixing, scoped).take(place)
    scores = {
        "hmg": ranked["hmg"],
        "cam": ranked["cam"],
        "influence": ranked["score"],
        "length_matched": ranked["score"],
    }
    scores |= {"perplexity": measured["nll_long"], "ifd": measured["ifd"]}
    scores |= {"low_perplexity": pc.negate(measured["nll_long"]), "random": ranked["score"]}
    score = scores[params.by]
    if SCORES[0] in tables:
        reason = no_score(reason, is_short, tables, params, score)
    return Samples(
        documents["document_id"], documents["content_hash"], documents["domain"], content, n_tokens,
        numbers["context_stop"] - numbers["context_start"], numbers["response_stop"] - numbers["response_start"],
        reason, is_short, ranked["hmg"], ranked["cam"], score,
    )  # fmt: skip


def values_of(tables: Mapping[str, pa.Table], mask: np.ndarray) -> dict[str, pa.ChunkedArray]:
    """The measured values of samples where the mask [n] is true, else NULL."""
    names = {"nll_short": "SCORES_HMG", "nll_long": "SCORES_HMG", "ifd": "SCORES_HMG", "alignment": "SCORES_CAM"}
    null = pa.chunked_array([pa.nulls(len(mask), pa.float64())])
    where = pa.array(mask)
    return {
        name: pc.if_else(where, tables[table][name], None) if table in tables else null for name, table in names.items()
    }


def no_score(
    reason: np.ndarray, is_short: np.ndarray, tables: Mapping[str, pa.Table], params: ChooseParams, score: pa.ChunkedArray
) -> np.ndarray:  # fmt: skip
    """The reasons with those of the samples that lack a score that the choice needs: HMG's first, then CAM's."""
    missing = (reason == "") & ~is_short & score.is_null().to_numpy()
    why = np.full(len(reason), "not_measured", object)
    for part in reversed(params.needs):
        own = tables[f"SCORES_{part.upper()}"]["reason"].to_numpy(zero_copy_only=False)
        why = np.where(own == None, why, own)  # noqa: E711 elements of an array of objects
    return np.where(missing, why, reason)
