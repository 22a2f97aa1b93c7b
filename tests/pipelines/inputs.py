"""Corpora for the tests of ingest: good documents in every format, and what ingest made of a source."""

import bz2
import gzip
import json
import lzma
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipelines import ingest
from pipelines.ingest.readers import records_of
from pipelines.ingest.readers.record import Fields, File, Record
from pipelines.ingest.source import Source
from pipelines.stage import Engine, Runner
from pipelines.store import Shard, Store

FIELDS = Fields("text", "id", "source", "license", 64_000_000)
SMALL = ingest.Sizes(smallest_bytes=16_000_000, largest_bytes=48_000_000, small_file_bytes=4_000_000)


def text_of(i: int) -> str:
    return f"Document {i} stands here, with some words in it: {'naïve ' * (i % 7)}{i * i}.\n"


def line_of(i: int) -> bytes:
    return json.dumps({"id": f"d{i}", "text": text_of(i), "source": "web", "n": i}, ensure_ascii=False).encode()


def text_hash(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    return blake2b(data, digest_size=16).hexdigest()


def packed(data: bytes, name: str) -> bytes:
    """The bytes as the file's name says they are packed."""
    if name.endswith(".gz"):
        return gzip.compress(data, mtime=0)
    if name.endswith(".zst"):
        return zstandard.ZstdCompressor(write_checksum=True).compress(data)
    if name.endswith(".xz"):
        return lzma.compress(data, preset=0 if len(data) > 1 << 20 else None)  # a second a megabyte is saved
    return bz2.compress(data) if name.endswith(".bz2") else data


def write_packed(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(data, path.name))
    return path


def write_jsonl(path: Path, lines: Iterable[bytes]) -> Path:
    return write_packed(path, b"".join(line + b"\n" for line in lines))


def write_rows(path: Path, columns: dict[str, pa.Array], group_rows: int = 2) -> Path:
    """A table as Parquet, or as an Arrow stream beside the state.json that save_to_disk writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=group_rows, write_page_checksum=True)
        return path
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=group_rows)
    names = sorted(p.name for p in path.parent.glob("*.arrow"))
    (path.parent / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return path


def good_rows(numbers: Sequence[int]) -> dict[str, pa.Array]:
    return {
        "id": pa.array([f"d{i}" for i in numbers]),
        "text": pa.array([text_of(i) for i in numbers]),
        "source": pa.array(["web"] * len(numbers)),
    }


def source(where: Path | str, **changes) -> Source:
    return Source(**{"name": "s", "domain": "web", "path": str(where), **changes})


def engine_of(store: Store, workers: int = 1) -> Engine:
    store.root.mkdir(parents=True, exist_ok=True)  # as the lock of a build makes it
    return Engine(store, Runner(workers=workers))


def records(path: Path, kind: str = "jsonl", fields: Fields = FIELDS) -> list[Record]:
    """What a reader makes of one file."""
    return list(records_of(kind, File(path.name, str(path)), fields))


def ingest_here(
    sources: Source | Iterable[Source], store: Store, sizes: ingest.Sizes = SMALL
) -> tuple[list[Shard], list[Shard]]:
    """DOCUMENTS and REJECTED shards, made in this thread without Beam."""
    listed = [sources] if isinstance(sources, Source) else sources
    shards: list[Shard] = []
    for each in listed:
        for group in ingest.groups_of(each, sizes, engine_of(store)):
            ingest.ingest_group(group, store, sizes)
            shards += store.find("ingest", group.name) or []
    return [s for s in shards if s.table == "DOCUMENTS"], [s for s in shards if s.table == "REJECTED"]


def rows(store: Store, shards) -> list[dict]:
    return [row for shard in shards for row in store.read(shard).to_pylist()]
