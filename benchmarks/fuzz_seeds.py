"""The sound files that fuzz_readers.py damages: one small source for each format, compression, layout and kind of record."""

import bz2
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipelines.ingest.source import SampleSource, Source

N = 40  # records of a file
Tree = dict[str, bytes]  # files by their name in the source
TEXTS = [f"Document {i} of the sound file: {'naïve words ' * (i % 5)}{i * i}.\n" for i in range(N)]
MESSAGES = [
    [{"role": "user", "content": f"What is {i}?"}, {"role": "assistant", "content": f"{i * i}, squared."}]
    for i in range(N)
]
DATA = "data-00000-of-00001.arrow"


@dataclass(frozen=True)
class Seed:
    """A source. files: makes its files. damaged: the one that is mutated. labels: columns that may be labels."""

    files: Callable[[], Tree]
    damaged: str
    labels: tuple[str, ...] = ("id", "origin", "license")
    options: dict[str, Any] = field(default_factory=dict)
    is_sample: bool = False

    def source(self, folder: Path, rng: random.Random) -> Source:
        """The source, with labels drawn from the columns."""
        names = rng.sample(self.labels, 3)
        labels = dict(zip(("id", "origin", "license_field"), names, strict=True))
        kind = SampleSource if self.is_sample else Source
        values = {
            "name": "s",
            "domain": "d",
            "path": str(folder),
            "max_record_bytes": 1_000_000,
            **labels,
            **self.options,
        }
        return kind(**values)


# -- lines and texts


def rows() -> list[dict[str, Any]]:
    return [{"id": f"d{i}", "text": text, "origin": "web", "license": None, "n": i} for i, text in enumerate(TEXTS)]


def lines(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def csv_of(separator: str) -> bytes:
    header = separator.join(("id", "text", "origin", "license"))
    return "\n".join(
        [header, *(separator.join((f"d{i}", f'"{text}"', "web", "")) for i, text in enumerate(TEXTS))]
    ).encode()


def only(name: str, data: Callable[[], bytes], **options: Any) -> Seed:
    return Seed(lambda: {name: data()}, name, **options)


# -- tables


def columns() -> dict[str, pa.Array]:
    """Columns of the types whose buffers refer to each other."""
    numbers = pa.array(range(N), pa.int64())
    words = pa.array([f"w{i % 7}" if i % 5 else None for i in range(N)])
    return {
        "id": pa.array([f"d{i}" for i in range(N)]),
        "text": pa.array(TEXTS),
        "view": pa.array([f"a longer string of the row {i}" if i % 3 else None for i in range(N)], pa.string_view()),
        "dictionary": words.dictionary_encode(),
        "list": pa.array([[f"x{i}"] * (i % 4) if i % 6 else None for i in range(N)]),
        "map": pa.array(
            [[("k", i), ("l", None)] if i % 6 else None for i in range(N)], pa.map_(pa.string(), pa.int64())
        ),
        "struct": pa.array([{"a": i, "b": [f"{i}"]} if i % 6 else None for i in range(N)]),
        "decimal": pa.array([Decimal(i) for i in range(N)], pa.decimal128(20, 3)),
        "time": numbers.view(pa.timestamp("us", "Europe/Berlin")),
        "bool": pa.array([i % 2 == 0 for i in range(N)]),
        "bytes": pa.array([bytes([i]) * i for i in range(N)], pa.large_binary()),
    }


def arrow_columns() -> dict[str, pa.Array]:
    """The same, and types that Parquet does not have."""
    codes = pa.array([i % 2 for i in range(N)], pa.int8())
    half = pa.array([i // 2 for i in range(N)], pa.int32())
    children = [pa.array([f"u{i}" for i in range(N)]), pa.array(range(N), pa.int64())]
    return columns() | {
        "list_view": pa.array([[i] * (i % 3) for i in range(N)], pa.list_view(pa.int64())),
        "fixed": pa.array([[i, i] for i in range(N)], pa.list_(pa.int16(), 2)),
        "runs": pa.RunEndEncodedArray.from_arrays(pa.array(range(2, N + 1, 2), pa.int32()), pa.array([f"r{i}" for i in range(N // 2)])),
        "dense": pa.UnionArray.from_dense(codes, half, children),
        "sparse": pa.UnionArray.from_sparse(codes, children),
    }  # fmt: skip


def without(names: dict[str, pa.Array], *left_out: str) -> pa.Table:
    return pa.table({name: column for name, column in names.items() if name not in left_out})


LABELS = tuple(name for name in columns() if name != "text")
ARROW_LABELS = tuple(name for name in arrow_columns() if name != "text")


def arrow(table: pa.Table, is_file: bool = False, compression: str | None = None) -> bytes:
    sink, options = io.BytesIO(), pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with new(sink, table.schema, options=options) as stream:
        stream.write_table(table, max_chunksize=15)
    return sink.getvalue()


def deltas() -> bytes:
    """A stream whose dictionary grows from batch to batch."""
    sink, words = io.BytesIO(), [f"w{i}" for i in range(N)]
    batches = [
        pa.record_batch({"id": words[n - 10 : n], "text": TEXTS[n - 10 : n], "license": words[n - 10 : n],
                         "dictionary": pa.DictionaryArray.from_arrays(pa.array(range(n - 10, n), pa.int32()), words[:n])})
        for n in range(10, N + 1, 10)
    ]  # fmt: skip
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as stream:
        for batch in batches:
            stream.write_batch(batch)
    return sink.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=15, **options)
    return sink.getvalue()


def samples() -> pa.Table:
    return pa.table({"id": pa.array([f"d{i}" for i in range(N)]), "messages": pa.array(MESSAGES), "origin": pa.array(["o"] * N),
                     "license": pa.array(["l"] * N)})  # fmt: skip


# -- folders with files about them


def saved() -> Tree:
    state = {"_data_files": [{"filename": DATA}], "_fingerprint": "0", "_split": "train"}
    return {
        "dataset_dict.json": b'{"splits": ["train"]}',
        f"train/{DATA}": arrow(without(columns())),
        "train/state.json": json.dumps(state).encode(),
        "train/dataset_info.json": b'{"description": "", "splits": {"train": {"name": "train"}}}',
    }


def cache() -> Tree:
    return {"dataset_info.json": b'{"description": ""}', "corpus-train.arrow": arrow(without(columns()))}


def delta() -> Tree:
    actions: list[dict[str, Any]] = [
        {"metaData": {"id": "1", "configuration": {}}},
        {"add": {"path": "a.parquet", "dataChange": True}},
        {"add": {"path": "lang=de/b%20c.parquet", "dataChange": True}},
        {"remove": {"path": "a.parquet"}},
    ]
    log = {f"_delta_log/{0:020}.json": lines(actions)}
    return {"a.parquet": parquet(without(columns())), "lang=de/b c.parquet": parquet(without(columns())), **log}


HF = {"format": "hf"}
SEEDS: dict[str, Seed] = {
    "jsonl": only("a.jsonl", lambda: lines(rows())),
    "json array": only("a.json", lambda: json.dumps(rows(), indent=1).encode()),
    "jsonl utf-16": only("a.jsonl", lambda: lines(rows()).decode().encode("utf-16")),
    "jsonl gz": only("a.jsonl.gz", lambda: gzip.compress(lines(rows()), mtime=0)),
    "jsonl zst": only("a.jsonl.zst", lambda: zstandard.ZstdCompressor(write_checksum=True).compress(lines(rows()))),
    "jsonl xz": only("a.jsonl.xz", lambda: lzma.compress(lines(rows()))),
    "jsonl bz2": only("a.jsonl.bz2", lambda: bz2.compress(lines(rows()))),
    "csv": only("a.csv", lambda: csv_of(",")),
    "tsv gz": only("a.tsv.gz", lambda: gzip.compress(csv_of("\t"), mtime=0)),
    "text": only("a.txt", lambda: "".join(TEXTS).encode()),
    "parquet": only("a.parquet", lambda: parquet(without(columns(), "view")), labels=tuple(n for n in LABELS if n != "view")),
    "parquet zstd": only("a.parquet", lambda: parquet(without(columns(), "view"), compression="zstd", data_page_version="2.0"),
                         labels=tuple(n for n in LABELS if n != "view")),
    "parquet delta": only("a.parquet", lambda: parquet(
        pa.table(rows_of_text()), use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY", "id": "DELTA_LENGTH_BYTE_ARRAY"})),
    "arrow stream": only("a.arrow", lambda: arrow(without(arrow_columns())), labels=ARROW_LABELS, options=HF),
    "arrow file": only("a.arrow", lambda: arrow(without(arrow_columns()), True), labels=ARROW_LABELS, options=HF),
    "arrow stream text": only("a.arrow", lambda: arrow(pa.table(rows_of_text())), options=HF),
    "feather lz4": only("a.feather", lambda: arrow(without(arrow_columns(), "runs"), True, "lz4"),
                        labels=tuple(n for n in ARROW_LABELS if n != "runs"), options=HF),
    "feather zstd": only("a.feather", lambda: arrow(without(columns()), True, "zstd"), labels=LABELS, options=HF),
    "arrow deltas": only("a.arrow", deltas, labels=("id", "dictionary", "license"), options=HF),
    "saved, data": Seed(saved, f"train/{DATA}", LABELS),
    "saved, state.json": Seed(saved, "train/state.json", LABELS),
    "saved, splits": Seed(saved, "dataset_dict.json", LABELS),
    "cache, info": Seed(cache, "dataset_info.json", LABELS),
    "delta log": Seed(delta, f"_delta_log/{0:020}.json", LABELS),
    "samples jsonl": only("a.jsonl", lambda: lines([{"id": f"d{i}", "messages": m} for i, m in enumerate(MESSAGES)]), is_sample=True),
    "samples parquet": only("a.parquet", lambda: parquet(samples()), is_sample=True),
    "samples arrow": only("a.arrow", lambda: arrow(samples()), is_sample=True, options=HF),
}  # fmt: skip


def rows_of_text() -> dict[str, pa.Array]:
    table = pa.Table.from_pylist(rows())
    return {name: table[name].cast(pa.string()) for name in ("id", "text", "origin", "license")}
