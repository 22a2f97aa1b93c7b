"""What a build of a set of instruction samples will do: exact from the tables that exist, else from a sample of records."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines import build_sft, choose, findings
from pipelines.build import plain
from pipelines.encode import EncodeParams
from pipelines.forecast.encoded import encoding_rows
from pipelines.forecast.estimate import ENCODE_BYTES, bytes_per_token, read_beginning
from pipelines.ingest import Source
from pipelines.sft_recipe import SftRecipe
from pipelines.stage import Engine
from pipelines.store import Shard, Store
from pipelines.versions import latest, possible_bases, shards_of, tables_of
from schemas.errors import NotMade
from schemas.manifest import Manifest
from scorers import influence, lm
from scorers.influence import InfluenceParams
from scorers.sample import Sample

TIMED_TOKENS = 512  # of the timed pass
HEADER_TOKENS = 4  # of a template before the context, about; the passes of a sample repeat it
MEASURED_BY = ("encode", "samples", "influence")  # the sections of a recipe that raw parts depend on


@dataclass(frozen=True, eq=False)
class Lengths:
    """Samples of a source, or of a shard. All are [n] int64 in tokens.

    Attributes:
        part: the share of the source that was read, 1 if it was read completely.
        is_kept: [n] bool, whether the raw parts are kept from earlier.
        notes, read_bytes: of the source's beginning, see estimate.Beginning.
    """

    source: str
    domain: str
    header: np.ndarray
    context: np.ndarray
    instruction: np.ndarray
    response: np.ndarray
    total: np.ndarray
    is_kept: np.ndarray
    part: float = 1.0
    notes: tuple[str, ...] = ()
    read_bytes: int = 0

    def model_tokens(self, params: InfluenceParams) -> np.ndarray:
        """[n] int64: what the models forward for each sample."""
        rows = zip(self.header, self.context, self.instruction, self.response, strict=True)
        return np.array([influence.cost(blank(*map(int, row)), params) for row in rows], np.int64)


@dataclass(frozen=True)
class SamplesForecast:
    """
    Attributes:
        domains: a row for each domain: domain, samples, with_context, tokens, model_tokens.
        sampled: source -> the share of it that was read; empty where the figures are exact.
        n_kept: samples whose raw parts are kept from earlier; their model_tokens are not counted.
        notes, read_bytes: as of a forecast of a mix.
        cpu_seconds: of the models, by a run on this machine; None without a model, and where nothing is left to measure.
    """

    domains: list[dict[str, Any]]
    sampled: dict[str, float]
    n_kept: int
    cpu_seconds: float | None
    notes: tuple[str, ...] = ()
    read_bytes: int = 0

    @property
    def n_samples(self) -> int:
        return sum(row["samples"] for row in self.domains)

    @property
    def model_tokens(self) -> int:
        return sum(row["model_tokens"] for row in self.domains)


def blank(header: int, context: int, instruction: int, response: int) -> Sample:
    """A sample of these lengths, whose cost is that of every other of these lengths."""
    stop = header + context
    n = stop + instruction + response
    return Sample(np.zeros(n, np.int32), header, stop, stop + instruction)


def samples_forecast(recipe: SftRecipe, root: Path) -> SamplesForecast:
    """Look up the results of a build, and make nothing.

    Raises:
        RecipeError: a source can't be read, the model can't be loaded, or the recipe ranks samples by what none measures.
    """
    choose.check(recipe.choose, recipe.influence.parts if recipe.influence else ())
    engine = Engine.looking(root)
    for base in possible_bases(root, recipe.mix):
        engine.notes.clear()
        with suppress(NotMade):
            exact = of_lengths(recipe, from_root(recipe, engine, tables_of(base)), is_exact=True)
            return replace(exact, notes=tuple(dict.fromkeys(engine.notes)))
    return of_lengths(recipe, [sampled(source, recipe.encode, root) for source in recipe.sources], is_exact=False)


def from_root(recipe: SftRecipe, engine: Engine, base: Mapping[str, list[Shard]]) -> list[Lengths]:
    """The encoded samples of each shard.

    Raises:
        NotMade: the samples were not read, or have changed since.
    """
    if not (engine.store.root / "actions").is_dir():
        raise NotMade("ingest")
    tables = build_sft.corpus(recipe, engine, base, plain)
    is_measured = False
    with suppress(NotMade):
        is_measured = build_sft.scores(recipe, tables, engine, plain) != {}
    measured = set() if is_measured else measured_contents(recipe, engine.store)
    engine.notes.extend(findings.encoding(encoding_rows(tables["DOCUMENTS"], tables["SAMPLES"], engine.store)))
    pairs = zip(tables["DOCUMENTS"], tables["SAMPLES"], strict=True)
    return [
        each
        for documents, samples in pairs
        for each in of_shard(documents, samples, engine.store, None if is_measured else measured)
    ]


def of_shard(documents: Shard, samples: Shard, store: Store, measured: set[str] | None) -> list[Lengths]:
    """The encoded samples of a shard, by domain. measured: content hashes of kept raw parts; None: of all samples."""
    columns = ("n_tokens", "context_start", "context_stop", "response_start", "response_stop", "status")
    table, labels = store.read(samples, columns), store.read(documents, ("source", "domain", "content_hash"))
    is_encoded = np.array(table["status"].to_pylist()) == "encoded"
    n, start, stop, response, end = (table[name].fill_null(0).to_numpy().astype(np.int64) for name in columns[:5])
    hashes = labels["content_hash"].to_pylist()
    is_kept = np.array([measured is None or each in measured for each in hashes], bool)
    domains, sources = (np.array(labels[name].to_pylist()) for name in ("domain", "source"))
    pairs = sorted(set(zip(sources.tolist(), domains.tolist(), strict=True)))
    return [
        Lengths(source, domain, *(a[rows] for a in (start, stop - start, response - stop, end - response, n, is_kept)))
        for source, domain in pairs
        for rows in [is_encoded & (sources == source) & (domains == domain)]
    ]


def measured_contents(recipe: SftRecipe, store: Store) -> set[str]:
    """Content hashes of the samples that the newest version measured in the same way."""
    newest = latest(store.root, recipe.mix)
    if newest is None:
        return set()
    manifest = Manifest.of(newest)
    identity = recipe.identity()
    if [manifest.recipe.get(key) for key in MEASURED_BY] != [identity[key] for key in MEASURED_BY]:
        return set()
    tables = shards_of(manifest)
    hashes: set[str] = set()
    for documents, scores in zip(tables["DOCUMENTS"], tables.get("SCORES_HMG", ()), strict=False):
        is_scored = np.array(store.read(scores, ("status",))["status"].to_pylist()) == "scored"
        hashes.update(store.read(documents, ("content_hash",))["content_hash"].filter(pa.array(is_scored)).to_pylist())
    return hashes


def sampled(source: Source, encode: EncodeParams, root: Path) -> Lengths:
    """As if the source were like its beginning. Lengths in tokens are estimated from those in bytes.

    root: of the build, which no source reads.
    """
    parts: list[tuple[int, int, int, int]] = []
    texts: list[str] = []
    n_chars = 0

    def measure(text: bytes) -> None:
        nonlocal n_chars
        sample = json.loads(text)
        parts.append(part_bytes(sample))
        if n_chars < ENCODE_BYTES:
            texts.extend(message.get("content") or "" for message in sample["messages"])
            n_chars += sum(len(message.get("content") or "") for message in sample["messages"])

    beginning = read_beginning(source, measure, root)
    per_token = bytes_per_token([text for text in texts if text], encode)
    context, instruction, response, total = np.ceil(np.array(parts, np.float64).reshape(-1, 4).T / per_token).astype(
        np.int64
    )
    header = np.full(len(context), HEADER_TOKENS)
    is_kept = np.zeros(len(context), bool)
    return Lengths(
        source.name, source.domain, header, context, instruction, response, total, is_kept, beginning.part,
        beginning.notes, beginning.n_bytes,
    )  # fmt: skip


def part_bytes(sample: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Bytes of context, instruction (later turns included) and last response of a sample, and of all its messages."""
    contents = [(message.get("content") or "") for message in sample["messages"]]
    users = [c for c, message in zip(contents, sample["messages"], strict=True) if message["role"] == "user"]
    total = sum(len(content.encode()) for content in contents)
    context = len(users[0][: sample["context_chars"]].encode()) if users else 0
    response = len(contents[-1].encode())
    return context, total - context - response, response, total


def of_lengths(recipe: SftRecipe, lengths: Sequence[Lengths], *, is_exact: bool) -> SamplesForecast:
    """Sums by domain, scaled to the complete sources."""
    domains = {
        source.domain: dict.fromkeys(("samples", "with_context", "tokens", "model_tokens"), 0.0)
        for source in recipe.sources
    }
    n_kept = 0
    for each in lengths:
        row, scale = domains[each.domain], 1 / each.part if each.part else 1.0
        row["samples"] += len(each.total) * scale
        row["with_context"] += int((each.context > 0).sum()) * scale
        row["tokens"] += int(each.total.sum()) * scale
        if recipe.influence and each.source not in recipe.choose.short_sources:
            row["model_tokens"] += int(each.model_tokens(recipe.influence)[~each.is_kept].sum()) * scale
            n_kept += int(each.is_kept.sum())
    rows: list[dict[str, Any]] = [
        {"domain": domain, **{name: round(n) for name, n in domains[domain].items()}} for domain in sorted(domains)
    ]
    model_tokens = sum(row["model_tokens"] for row in rows)
    return SamplesForecast(
        domains=rows,
        sampled={} if is_exact else {each.source: each.part for each in lengths},
        n_kept=n_kept,
        notes=tuple(note for each in lengths for note in each.notes),
        read_bytes=sum(each.read_bytes for each in lengths),
        cpu_seconds=model_tokens * seconds_a_token(recipe.influence) if recipe.influence and model_tokens else None,
    )


def seconds_a_token(params: InfluenceParams) -> float:
    """CPU seconds of a model token, from a timed pass on this machine.

    Raises:
        RecipeError: the model can't be loaded.
    """
    model = lm.load(params.model)
    ids = np.arange(TIMED_TOKENS)[None, :] % model.n_vocab
    lm.body(model, ids)  # the first pass takes memory
    began = time.process_time()
    lm.body(model, ids)
    return (time.process_time() - began) / TIMED_TOKENS
