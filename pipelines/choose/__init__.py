"""SAMPLES, SCORES_HMG, SCORES_CAM -> RANKS, QUOTAS, CHOSEN, DRAWS, MESSAGES: which samples are in the set. No model is run.

    candidates    encoded samples that fit in a sequence and have the scores that the recipe ranks by
    ranks         scores are normalised over all samples by one query, ranking.sql
    choice        the best within quotas; one that is similar to a higher chosen one is passed over
    short         short instructions, by a keyed hash, are mixed in
    messages      the texts of the chosen ones, read shard by shard

All but messages is decided in one process from small columns: about 300 bytes a sample, and 512 for the signature of each
candidate. A sample without CAM (no context, one segment) is no candidate of by = "influence" unless alpha is 1.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from pipelines.choose import messages
from pipelines.choose.candidates import SCORES, Samples, read_samples, reads_of
from pipelines.choose.choice import choose
from pipelines.choose.params import ChooseParams
from pipelines.choose.products import written
from pipelines.choose.ranking import Mixing, rank_samples
from pipelines.reuse import read_rows
from pipelines.stage import Engine
from pipelines.store import Shard, Store, name_of
from schemas.errors import RecipeError

VERSION = 1  # raise when the same params would give other rows

__all__ = ["VERSION", "ChooseParams", "Mixing", "check", "rank_samples", "run"]

Tables = Mapping[str, Sequence[Shard]]


def check(params: ChooseParams, parts: Sequence[str]) -> None:
    """
    Args:
        parts: those that the recipe's model measures, "hmg" and "cam"; none without a model.

    Raises:
        RecipeError: the recipe ranks samples by a part that it doesn't measure.
    """
    missing = [part for part in params.needs if part not in parts] if parts or params.needs_scores else []
    if missing:
        remedy = "add it to influence.parts" if parts else "add [influence], or set choose.by to random"
        raise RecipeError(f"choose.by: {params.by} needs {' and '.join(missing)}, which are not measured; {remedy}")


def run(tables: Tables, params: ChooseParams, max_tokens: int, engine: Engine) -> dict[str, list[Shard]]:
    """RANKS, a shard beside each shard of DOCUMENTS; QUOTAS and CHOSEN, a shard each; DRAWS and MESSAGES, one for each group.

    Args:
        tables: DOCUMENTS, SAMPLES, SIGNATURES, and SCORES_HMG and SCORES_CAM if the recipe has a model.
        max_tokens: a longer sample is never chosen.

    Raises:
        RecipeError: no sample can be chosen.
        NotMade: the engine only looks.
    """
    check(params, [name.removeprefix("SCORES_").lower() for name in SCORES if name in tables])
    reads = reads_of(tables)
    signed = tables["SIGNATURES"] if params.max_similarity is not None else ()
    keys = {name: [read.key() for (read,) in each] for name, each in reads.items()}
    signatures = [[s.n_rows, s.columns["signature"], s.columns["n_shingles"]] for s in signed]
    name = name_of("choose", VERSION, params, max_tokens, keys, signatures)

    def make() -> list[Shard]:
        samples = read_samples(reads, params, max_tokens, engine.store)
        columns = read_signatures(signed, samples.candidates, engine.store) if signed else None
        choice = choose(samples, columns, params)
        if not choice.top and not choice.short:
            raise RecipeError(f"choose: no sample can be chosen: {reasons(samples)}; see choose and the sources")
        return written(samples, choice, params, [shard.n_rows for shard in tables["DOCUMENTS"]], engine.store)

    shards = engine.once("choose", name, make, sum(shard.n_rows for shard in tables["DOCUMENTS"]))
    made = {table: [s for s in shards if s.table == table] for table in ("RANKS", "QUOTAS", "CHOSEN", "DRAWS")}
    made["MESSAGES"] = messages.run(tables["DOCUMENTS"], made, engine)
    return made


def read_signatures(shards: Sequence[Shard], rows: np.ndarray, store: Store) -> pa.Table:
    """signature and n_shingles of some rows of all shards, ascending."""
    firsts = np.cumsum([0, *(shard.n_rows for shard in shards)])
    cuts = np.searchsorted(rows, firsts)
    return pa.concat_tables(
        read_rows(shard, ("signature", "n_shingles"), rows[begin:end] - first, store)
        for shard, first, begin, end in zip(shards, firsts[:-1], cuts[:-1], cuts[1:], strict=True)
    )


def reasons(samples: Samples) -> str:
    """How many samples are no candidates, by reason."""
    names = sorted(set(samples.reason[samples.reason != ""].tolist()))
    n_short = int((samples.is_short & (samples.reason == "")).sum())
    counts = {**{name: int((samples.reason == name).sum()) for name in names}, "short": n_short}
    return ", ".join(f"{n:,} {name}" for name, n in counts.items() if n) or "there is none"
