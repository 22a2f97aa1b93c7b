"""Cells of a corpus that was not read yet, estimated from the beginning of each source in a few seconds.

Up to READ_BYTES of text of every source are read, spread over its files: this gives the lengths of documents in bytes. A
part of them is encoded: this gives the bytes per token. The rest of the source is assumed to be like that. No document is
compared with another, so duplicates count as if they were kept.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.encode import EncodeParams, n_tokens
from pipelines.ingest import Source
from pipelines.ingest.listing import find_files
from pipelines.ingest.readers import part_before, records_of
from pipelines.ingest.readers.record import File, Record, Unusable
from pipelines.ingest.readers.system import system_errors
from pipelines.plan.cells import Cells, cells_of
from schemas.errors import RecipeError

READ_BYTES = 40_000_000  # of text, of each source
ENCODE_BYTES = 200_000  # of these
MOST_FILES = 8


@dataclass(frozen=True)
class Sample:
    """Documents of one source. `part` is their share of the source, 1 where all of it was read."""

    source: str
    domain: str
    n_tokens: np.ndarray  # [n] of each document that was read, estimated, marks included
    part: float


def sample(source: Source, encode: EncodeParams) -> Sample:
    """Read the beginning of a source.

    Raises:
        RecipeError: it cannot be read, or it is on the hub, which only a build reads.
    """
    lengths: list[int] = []
    texts: list[str] = []

    def measure(text: bytes) -> None:
        lengths.append(len(text))
        if sum(map(len, texts)) < ENCODE_BYTES:
            texts.append(text[:20_000].decode("utf-8", "ignore"))

    part = read_beginning(source, measure)
    per_token = bytes_per_token(texts, encode)
    estimates = (np.array(lengths, np.float64) / per_token).astype(np.int64) + encode.n_marks
    return Sample(source.name, source.domain, estimates, part)


def read_beginning(source: Source, measure: Callable[[bytes], None]) -> float:
    """Pass the texts at the beginning of a source to `measure`. Returns their share of the source.

    Raises:
        RecipeError: it cannot be read, or it is on the hub, which only a build reads.
    """
    if source.hub:
        raise RecipeError(f"sources.{source.name}: on the hub, which a forecast does not read; build first")
    kind, files = find_files(source)
    files = [f for f in files if not f.fault]
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, MOST_FILES).round().astype(int))]
    seen, of = 0.0, float(sum(f.n_bytes for f in files))
    for file in chosen:
        n_bytes = 0
        for record, text in usable(kind, file, source):
            measure(text)
            n_bytes += len(text)
            if n_bytes > READ_BYTES // len(chosen):
                seen += file.n_bytes * part_before(kind, file, record)
                break
        else:
            seen += file.n_bytes
    return min(1.0, seen / of) if of else 1.0


def usable(kind: str, file: File, source: Source) -> Iterator[tuple[Record, bytes]]:
    """The file's records that can be used, each with its text."""
    parse = source.parser(kind)
    with system_errors(file.path):
        for record in records_of(kind, file, source.fields):
            if record.fault is None:
                with suppress(Unusable):
                    yield record, parse(record.raw).text


def bytes_per_token(texts: list[str], encode: EncodeParams) -> float:
    lengths = n_tokens(pa.array(texts, pa.large_string()), encode)
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
