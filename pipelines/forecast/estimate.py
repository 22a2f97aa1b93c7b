"""Cells of a corpus that was not read yet, estimated from the beginning of each source in a few seconds.

About READ_BYTES of raw records of every source are read, spread over its files: this gives the lengths of documents in
bytes. A part of them is encoded: this gives the bytes per token. The rest of the source is assumed to be like that; of
plain texts, the sizes of all files are used. No document is compared with another, so duplicates count as if they were
kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.encode import EncodeParams, by_reference, encode_batch
from pipelines.findings import counted
from pipelines.ingest import Source, is_compressed
from pipelines.ingest.account import Account, advice
from pipelines.ingest.listing import find_files
from pipelines.ingest.named_fields import COLUMNS, absent, records_fields
from pipelines.ingest.readers import part_before, records_of, system_errors
from pipelines.ingest.readers.record import File, Parsed, Record, Unusable
from pipelines.plan.cells import Cells, cells_of
from schemas.errors import RecipeError

READ_BYTES = 16_000_000  # of raw records, of each source
ENCODE_BYTES = 100_000  # of these
ENCODE_CHARS = 10_000  # of one document
MOST_OF = 0.9999  # of a source with files that were not read
FEWEST_FILES, MOST_FILES = 8, 256  # small files are read in larger numbers, up to READ_BYTES together


@dataclass(frozen=True)
class Beginning:
    """What was read of a source.

    Attributes:
        share: of the source, in bytes of its files; 1 where all of it was read.
        n_bytes: of the raw records that were read.
        unread_texts: [n] bytes of each plain text that was not read, where a document is a file; else empty.
        notes: sentences on what was read, and what became of it.
    """

    share: float
    n_bytes: int
    unread_texts: np.ndarray
    notes: tuple[str, ...]

    @property
    def part(self) -> float:
        """The share of the source that the lengths at hand are, those of unread texts included."""
        return 1.0 if len(self.unread_texts) else self.share


@dataclass(frozen=True)
class Sample:
    """Documents of one source. `part` is their share of the source, 1 where all of them are there."""

    source: str
    domain: str
    n_tokens: np.ndarray  # [n] of each document, estimated, marks included
    part: float
    beginning: Beginning = Beginning(1.0, 0, np.zeros(0), ())


def sample(source: Source, encode: EncodeParams, root: Path | None = None) -> Sample:
    """Read the beginning of a source. root: of the build, which no source reads.

    Raises:
        RecipeError: it cannot be read, or it is on the hub, which only a build reads.
    """
    lengths: list[int] = []
    texts: list[str] = []
    n_chars = 0

    def measure(text: bytes) -> None:
        nonlocal n_chars
        lengths.append(len(text))
        if n_chars < ENCODE_BYTES:
            texts.append(text[:ENCODE_CHARS].decode("utf-8", "ignore"))
            n_chars += len(texts[-1])

    beginning = read_beginning(source, measure, root)
    per_token = bytes_per_token(texts, encode)
    n_bytes = np.concatenate([np.array(lengths, np.float64), beginning.unread_texts])
    estimates = (n_bytes / per_token).astype(np.int64) + encode.n_marks
    return Sample(source.name, source.domain, estimates, beginning.part, beginning)


def read_beginning(source: Source, measure: Callable[[bytes], None], root: Path | None = None) -> Beginning:
    """Pass the texts at the beginning of a source to `measure`.

    Raises:
        RecipeError: it cannot be read, or it is on the hub, which only a build reads.
    """
    if source.hub:
        raise RecipeError(f"sources.{source.name}: on the hub, which a forecast does not read; build first")
    notes: list[str] = []
    kind, every = find_files(source, root, notes)
    reading = Reading(kind, source, measure)
    for file in every:
        if file.fault:
            reading.reject(Unusable(*file.fault), file.name, file.n_bytes)
    files = [f for f in every if not f.fault]
    chosen = chosen_files(files)
    seen, of = 0.0, sum(f.n_bytes for f in files)
    for file in chosen:
        last = reading.read(file, READ_BYTES // len(chosen))
        seen += file.n_bytes * (part_before(kind, file, last) if last else 1.0)
    share = min(1.0, seen / of) if of else 1.0
    if len(chosen) < len(files) and share > MOST_OF:
        share = MOST_OF  # a file of no or few bytes was not read
    notes += reading.notes(chosen, files, share)
    return Beginning(share, reading.n_bytes, reading.unread(files, chosen), tuple(notes))


def chosen_files(files: Sequence[File]) -> list[File]:
    """Files that are spread over all: as many as have READ_BYTES together, within bounds."""
    mean = sum(f.n_bytes for f in files) / max(1, len(files))
    n = min(len(files), MOST_FILES, max(FEWEST_FILES, int(READ_BYTES // max(1, mean))))
    return [files[i] for i in np.unique(np.linspace(0, max(0, len(files) - 1), n).round().astype(int))]


class Reading:
    """The reading of a source's beginning: what became of its records, and which named fields they have."""

    def __init__(self, kind: str, source: Source, measure: Callable[[bytes], None]):
        self.kind, self.source, self.measure = kind, source, measure
        self.parse = source.parser(kind)
        self.account = Account(source.name)
        self.n_bytes = 0
        self.last_reason = ""
        self.absent = {key for key in COLUMNS if key in source.model_fields_set and getattr(source, key) is not None}

    def read(self, file: File, most_bytes: int) -> Record | None:
        """Read the beginning of a file. Returns the last record that was read; None where that is all of the file.

        Raises:
            RecipeError: the system refuses to read the file.
        """
        n_bytes = n_documents = 0
        try:
            with system_errors(file.path):
                for record in records_of(self.kind, file, self.source.fields):
                    n_documents += self.take(record)
                    n_bytes += len(record.raw)
                    if n_bytes > most_bytes:
                        return record
        except OSError as error:
            problem = f"can't be read ({type(error).__name__}: {error}); see to it, and run the command again"
            raise RecipeError(f"{file.path}: {problem}") from error
        finally:
            self.n_bytes += n_bytes
        if n_bytes and not n_documents:
            self.account.lose(file.name, self.last_reason)
        return None

    def take(self, record: Record) -> bool:
        """Count a record. Returns whether it is a document."""
        if record.fault:
            reason, detail, n_bytes, _ = record.fault
            self.reject(Unusable(reason, detail), record.file, len(record.raw) if n_bytes is None else n_bytes)
            return False
        try:
            parsed = self.parse(record.raw)
        except Unusable as error:
            self.reject(error, record.file, len(record.raw))
            return False
        self.measure(parsed.text)
        self.account.documents += 1
        self.account.document_bytes += len(parsed.text)
        self.absent = {key for key in self.absent if value_of(key, parsed) is None}
        return True

    def reject(self, error: Unusable, file: str, n_bytes: int) -> None:
        self.last_reason = error.reason
        self.account.reject(error.reason, error.detail, file)
        self.account.rejected_bytes += n_bytes

    def unread(self, files: Sequence[File], chosen: Sequence[File]) -> np.ndarray:
        """[n] bytes of each plain text that was not read; none where a file is not a document of its own size."""
        if self.kind != "text" or any(is_compressed(f.name) for f in files):
            return np.zeros(0)
        names = {f.name for f in chosen}
        return np.array([f.n_bytes for f in files if f.name not in names and f.n_bytes], np.float64)

    def notes(self, chosen: Sequence[File], files: Sequence[File], share: float) -> list[str]:
        """Sentences on the sample: how much it is, what was rejected, which named fields no record has."""
        is_all, place = share == 1, f"source {self.source.name}"
        noun = "record" if is_all else "sampled record"
        lines = []
        if len(chosen) < len(files):
            lines.append(f"{place}: a sample of {len(chosen):,} of {counted(len(files), 'file')}; the sizes are of all")
        if not self.account.records:
            where = "no record" if is_all else "no record in the sample"
            lines.append(f"{place}: {where}; a build stops if no file has one")
        lines += self.account.notes(noun)
        if self.account.records and self.account.exceeds(self.source.max_rejected_share):
            stops = "a build stops here" if is_all else "a build stops if the rest is like that"
            lines.append(f"{place}: {stops}; {advice(self.account, self.source)}")
        if self.absent and self.account.documents:
            fields = self.fields(chosen)
            lines += [absent(self.source, key, fields, noun) for key in sorted(self.absent)]
        return lines

    def fields(self, files: Sequence[File]) -> list[str]:
        each = (names for file in files for names in records_fields(self.kind, file, self.source))
        return next(each, [])


def value_of(key: str, parsed: Parsed) -> str | None:
    """Of a record, for a key of a source that names a field."""
    return {"id": parsed.id, "origin": parsed.origin, "license_field": parsed.license}[key]


def bytes_per_token(texts: list[str], encode: EncodeParams) -> float:
    """By the reference: to load fastokens and to compare both costs more than these few texts."""
    lengths = encode_batch(pa.array(texts, pa.large_string()), encode, by_reference)[0].lengths
    n = int(lengths.sum()) - encode.n_marks * len(texts)
    return sum(len(t.encode()) for t in texts) / n if n else 4.0


def estimated(samples: Sequence[Sample], long_tokens: int) -> Cells:
    """Cells as if each source were its sample, repeated up to the size of the source."""
    domains = tuple(sorted({s.domain for s in samples}))
    parts = []
    for s in samples:
        place = np.full(len(s.n_tokens), domains.index(s.domain))
        cells = cells_of(domains, place, s.n_tokens, s.n_tokens, long_tokens)
        scale = 1 / s.part if s.part else 1.0
        parts.append((np.rint(cells.documents * scale), np.rint(cells.tokens * scale), cells.largest))
    documents, tokens, largest = zip(*parts, strict=True)
    return Cells(
        domains,
        np.sum(documents, axis=0).astype(np.int64),
        np.sum(tokens, axis=0).astype(np.int64),
        np.maximum.reduce(largest),
    )
