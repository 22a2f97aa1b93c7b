"""The first records of a file, for `longmix init`: from its beginning alone, and without a check."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

SAMPLE_BYTES = 1_000_000  # of a file, decompressed
SAMPLE_RECORDS = 200


def records_of(path: Path, kind: str) -> Iterator[Mapping[str, Any]]:
    """The first records of a file."""
    if kind == "parquet":
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=SAMPLE_RECORDS):
                yield from batch.to_pylist()
                return
        return
    if kind == "hf":
        yield from arrow_records(path)
        return
    with open(path, "rb") as stream:
        start = beginning(stream, path.suffix.lower())
    text = start.decode("utf-8-sig", "replace")
    if kind in ("csv", "tsv"):
        yield from csv.DictReader(io.StringIO(text), delimiter="\t" if ".tsv" in path.name.lower() else ",")
        return
    if text.lstrip().startswith("["):
        text = text.lstrip().removeprefix("[")
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        try:
            record, place = decoder.raw_decode(text, place + len(text[place:]) - len(text[place:].lstrip(" \t\r\n,")))
        except ValueError:
            return
        if isinstance(record, dict):
            yield record


def arrow_records(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of the first batch of an Arrow file or stream."""
    with pa.memory_map(str(path)) as source:
        try:
            batch = pa.ipc.open_file(source).get_batch(0)
        except pa.ArrowInvalid:
            source.seek(0)
            batch = pa.ipc.open_stream(source).read_next_batch()
        yield from batch.slice(0, SAMPLE_RECORDS).to_pylist()


def beginning(stream: Any, suffix: str) -> bytes:
    """The first bytes of a file, decompressed."""
    if suffix == ".gz":
        return gzip.open(stream).read(SAMPLE_BYTES)
    if suffix == ".xz":
        return lzma.open(stream).read(SAMPLE_BYTES)
    if suffix == ".bz2":
        return bz2.open(stream).read(SAMPLE_BYTES)
    if suffix in (".zst", ".zstd"):
        return zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True).read(SAMPLE_BYTES)
    return stream.read(SAMPLE_BYTES)
