"""What became of the records of each source, counted before dedup: a source that is lost stops the build.

Reads a few small columns of the shards, and only of sources with a rejected record. Memory: those columns of two shards,
and the most frequent reasons.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.findings import counted
from pipelines.ingest.listing import RECIPE_MISTAKES
from pipelines.ingest.named_fields import absent_fields
from pipelines.ingest.source import Source
from pipelines.ingested import INGESTED, remember
from pipelines.peek import columns_of, footer
from pipelines.stage import Engine
from pipelines.store import Shard, Store
from schemas.errors import RecipeError

SHOWN_FILES = 3  # of the files without a document
COUNTED_DETAILS = 10_000  # a source may have a detail of its own for each record: rare ones are forgotten beyond


@dataclass
class Account:
    """The records of one source, or of a sample of it.

    Attributes:
        document_bytes, rejected_bytes: of the texts and of the rejected records. A file without a document counts with
            its size where a record of it has no length.
        kinds: (reason, detail) -> rejected records.
        examples: (reason, detail) -> the file of the first of them.
        n_lost: files with a rejected record and without a document. lost: the first of them, each with its reason.
    """

    source: str
    documents: int = 0
    document_bytes: int = 0
    rejected: int = 0
    rejected_bytes: int = 0
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    n_lost: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)

    @property
    def records(self) -> int:
        return self.documents + self.rejected

    @property
    def rejected_share(self) -> float:
        """Of the records or of the bytes, the larger; 0 without a record."""
        n_bytes = self.document_bytes + self.rejected_bytes
        return max(self.rejected / max(1, self.records), self.rejected_bytes / max(1, n_bytes))

    def reject(self, reason: str, detail: str, file: str, n: int = 1) -> None:
        """Count rejected records."""
        self.rejected += n
        self.kinds[reason, detail] += n
        self.examples.setdefault((reason, detail), file)
        if len(self.kinds) > 2 * COUNTED_DETAILS:
            self.kinds = Counter(dict(self.kinds.most_common(COUNTED_DETAILS)))
            self.examples = {kind: self.examples[kind] for kind in self.kinds}

    def lose(self, file: str, reason: str) -> None:
        self.n_lost += 1
        if self.n_lost <= SHOWN_FILES:
            self.lost.append((file, reason))

    @property
    def reason(self) -> str:
        """The most frequent one."""
        by_reason = Counter[str]()
        for (reason, _), n in self.kinds.items():
            by_reason[reason] += n
        return min(by_reason, key=lambda reason: (-by_reason[reason], reason))

    def most(self) -> str:
        """The most frequent reason with its most frequent detail and a file, as in "text_missing: no 'text' (a.jsonl)"."""
        reason = self.reason
        kinds = {kind: n for kind, n in self.kinds.items() if kind[0] == reason}
        kind = min(kinds, key=lambda kind: (-kinds[kind], kind))
        return f"{reason}: {kind[1]} ({self.examples[kind]})"

    def finding(self, noun: str = "record") -> str:
        """Such as "3 of 40 records rejected (12.5%), most as not_json: at character 1 (a.jsonl)"."""
        every = "" if self.documents else f"all {self.rejected:,} {noun}s" if self.rejected > 1 else f"the only {noun}"
        part = every or f"{self.rejected:,} of {counted(self.records, noun)}"
        share = "" if every else f" ({percent(self.rejected_share)} of {self.measure})"
        return f"{part} rejected{share}, {'as' if self.rejected == 1 else 'most as'} {self.most()}"

    @property
    def measure(self) -> str:
        """What rejected_share is a share of."""
        return "records" if self.rejected_share == self.rejected / self.records else "bytes"

    def notes(self, noun: str = "record") -> list[str]:
        """Sentences on what was rejected; none where nothing was."""
        if not self.rejected:
            return []
        lines = [f"source {self.source}: {self.finding(noun)}"]
        if self.n_lost and self.documents:
            each = ", ".join(f"{file} ({reason})" for file, reason in self.lost)
            more = f" and {self.n_lost - len(self.lost):,} more" if self.n_lost > len(self.lost) else ""
            lines.append(f"source {self.source}: {counted(self.n_lost, 'file')} without a document: {each}{more}")
        return lines

    def exceeds(self, limit: float) -> bool:
        """Whether the source is lost, or more of it was rejected than the limit; a limit of 1 allows both."""
        return limit < 1 and (self.rejected_share > limit or not self.documents)


def percent(share: float) -> str:
    """A share that is neither nothing nor everything is not shown as 0% or 100%."""
    return f"{min(max(share, 0.0001), 0.9999):.2%}" if 0 < share < 1 else f"{share:.0%}"


def check(
    mix: str, sources: Sequence[Source], documents: Sequence[Shard], rejected: Sequence[Shard], engine: Engine
) -> None:
    """Count what became of the records, and note what a reader of the summary should know.

    Args:
        documents, rejected: as ingest.run returns them, by source as in the recipe.

    Raises:
        RecipeError: a source has no document, or more rejected records than its max_rejected_share.
    """
    if not engine.looks_only:
        remember(mix, [*documents, *rejected], engine.store)
    pairs = list(zip(documents, rejected, strict=True))
    names = sources_of(pairs, engine.store)
    by_source: dict[str, list[tuple[Shard, Shard]]] = {source.name: [] for source in sources}
    for name, pair in zip(names, pairs, strict=True):
        by_source[name].append(pair)
    for source in sources:
        account = account_of(source, by_source[source.name], engine.store)
        refuse(account, source, engine.store.root)
        engine.notes.extend(account.notes() or ([] if account.records else [f"source {source.name}: no record"]))
        engine.notes.extend(absent_fields(source, [shard for shard, _ in by_source[source.name]], engine.store))
    if not any(shard.n_rows for shard in documents):
        raise RecipeError("sources: no source has a document; mend their paths, or set their text")


def refuse(account: Account, source: Source, root: Path) -> None:
    """
    Raises:
        RecipeError: the source has no document, or more rejected records than its max_rejected_share.
    """
    if not account.exceeds(source.max_rejected_share):
        return
    place = f"sources.{source.name}"
    if not account.records:
        where = ", ".join(source.paths) or source.hub
        raise RecipeError(f"{place}: {where}: no file has a record; correct the path, or remove the source")
    limit = "" if not account.documents else f"; max_rejected_share is {source.max_rejected_share:g}"
    raise RecipeError(
        f"{place}: {account.finding()}{limit}; {advice(account, source)}; "
        f'longmix query {root} --version {INGESTED} "FROM rejected" lists them'
    )


def advice(account: Account, source: Source) -> str:
    """What to do about the most frequent reason."""
    is_mistake = account.reason in RECIPE_MISTAKES
    mend = source.fields.remedy if is_mistake else "mend or remove these records"
    return f"{mend}, or set max_rejected_share = 1 to build without them"


# -- counting


def sources_of(pairs: Sequence[tuple[Shard, Shard]], store: Store) -> list[str]:
    """The source of each pair of shards. Pairs of a source are consecutive, so that few files are opened."""
    names: list[str] = [""] * len(pairs)
    for place in (0, len(pairs) - 1) if pairs else ():
        names[place] = source_of(pairs[place], store)

    spans = [(0, len(pairs) - 1)]
    while spans:
        first, last = spans.pop()
        if last == first + 1 or last <= first:
            continue
        if names[first] == names[last]:
            names[first:last] = [names[first]] * (last - first)
            continue
        middle = (first + last) // 2
        names[middle] = source_of(pairs[middle], store)
        spans += [(first, middle), (middle, last)]
    return names


def source_of(pair: tuple[Shard, Shard], store: Store) -> str:
    """The source of a pair of shards, which have a record, from the footer of one."""
    shard = pair[0] if pair[0].n_rows else pair[1]
    metadata = footer(shard, store)
    return metadata.row_group(0).column(metadata.schema.names.index("source")).statistics.min


def account_of(source: Source, pairs: Iterable[tuple[Shard, Shard]], store: Store) -> Account:
    pairs = list(pairs)
    account = Account(source.name, documents=sum(documents.n_rows for documents, _ in pairs))
    if not any(rejected.n_rows for _, rejected in pairs):
        return account
    open_files: dict[str, FileCount] = {}
    for documents, rejected in pairs:
        texts = columns_of(documents, ("file", "n_bytes"), store)
        account.document_bytes += pc.sum(texts["n_bytes"]).as_py() or 0
        counts = counts_of(texts["file"], columns_of(rejected, ("file", "reason", "detail", "n_bytes"), store), account)
        for name, count in open_files.items():
            if name in counts:
                counts[name] = count.plus(counts[name])
            else:
                close(name, count, source, account)
        open_files = counts
    for name, count in open_files.items():
        close(name, count, source, account)
    return account


@dataclass(frozen=True)
class FileCount:
    """What is counted of a file so far. lacks_length: a rejected record of it could not be read to its end."""

    has_document: bool
    reason: str | None
    n_bytes: int
    lacks_length: bool

    def plus(self, later: "FileCount") -> "FileCount":
        return FileCount(
            self.has_document or later.has_document,
            self.reason or later.reason,
            self.n_bytes + later.n_bytes,
            self.lacks_length or later.lacks_length,
        )


def counts_of(document_files: pa.ChunkedArray, rejected: pa.Table, account: Account) -> dict[str, FileCount]:
    """The files of a pair of shards. Adds the rejected records to the account, without their bytes."""
    counts = {name: FileCount(True, None, 0, False) for name in pc.unique(document_files).to_pylist()}
    kinds = rejected.group_by(["reason", "detail"]).aggregate([([], "count_all"), ("file", "min")])
    for row in sorted(kinds.to_pylist(), key=lambda row: (row["reason"], row["detail"])):
        account.reject(row["reason"], row["detail"], row["file_min"], row["count_all"])
    each = rejected.group_by("file").aggregate(
        [("reason", "min"), ("n_bytes", "sum"), ([], "count_all"), ("n_bytes", "count")]
    )
    for row in each.to_pylist():
        is_short = row["n_bytes_count"] < row["count_all"]
        count = FileCount(row["file"] in counts, row["reason_min"], row["n_bytes_sum"] or 0, is_short)
        counts[row["file"]] = count
    return counts


def close(name: str, count: FileCount, source: Source, account: Account) -> None:
    """Add a file whose records are all counted to the account."""
    n_bytes = count.n_bytes
    if count.reason and not count.has_document:
        account.lose(name, count.reason)
        n_bytes = max(n_bytes, size_of(name, source)) if count.lacks_length else n_bytes
    account.rejected_bytes += n_bytes


def size_of(name: str, source: Source) -> int:
    """The bytes of a file, by its name relative to the source's root; 0 where it is not there."""
    for path in map(Path, source.paths):
        for folder in (path, *path.parents):
            if (folder / name).is_file():
                return (folder / name).stat().st_size
    return 0
