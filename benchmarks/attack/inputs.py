"""Attacks by files of a source: damaged, long, many, or made to take hours."""

import gzip
import json
import random
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc

from benchmarks.attack.ground import Attack, Ended, Ground, Outcome, done, done_or_refused, outcome
from tests import micro

SOURCE = 'name = "hostile"\ndomain = "web"\npath = "{path}"'
N_MUTATIONS = 100
FILES_OF_A_BUILD = 10
SECONDS_OF_AN_ARCHIVE = 120.0
BYTES_OF_A_DOCUMENT = 5_000  # of the process, for each document in a file of its own
WORDS_OF_A_FILE = 18


def source(path: Path, *lines: str) -> str:
    return "\n".join([SOURCE.format(path=path), *lines])


def words() -> str:
    return (micro.CORPUS / "book" / micro.SPEECH).read_text()


def long_document(ground: Ground, n_bytes: int) -> Outcome:
    """One text of real words, numbered so that no part repeats another."""
    path = ground.made("long") / "long.txt"
    lines, size = words().split("\n"), 0
    with path.open("w") as stream:
        while size < n_bytes:
            size += stream.write(f"{size} {lines[size % len(lines)]}\n")
    return done(ground.build_small(source(path.parent), 900))


def arrow_bytes() -> bytes:
    rows = micro.lines(9, micro.CORPUS / "c4.jsonl")
    table = pa.table({
        "text": [row["text"] for row in rows],
        "id": [row["id"] for row in rows],
        "words": [row["text"].split()[:20] for row in rows],
        "kind": pa.array(["a", "b", None] * 3).dictionary_encode(),
    })  # fmt: skip
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return sink.getvalue().to_pybytes()


def list_files(folder: Path) -> None:
    """Make a folder of Arrow files a dataset as save_to_disk of `datasets` writes it."""
    names = [{"filename": path.name} for path in sorted(folder.glob("*.arrow"))]
    (folder / "state.json").write_text(json.dumps({"_data_files": names}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """A few bytes of a file changed, most of them in its first kilobyte, or its end cut off."""
    damaged = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place = rng.randrange(min(1024, len(raw)) if rng.random() < 0.6 else len(raw))
        damaged[place] = rng.choice([0, 0xFF, 0x7F, 0x80, damaged[place] ^ (1 << rng.randrange(8))])
    return bytes(damaged[: rng.randrange(len(raw))] if rng.random() < 0.1 else damaged)


def damaged_arrow(ground: Ground) -> Outcome:
    """Folders of mutated Arrow files, a build for each folder: none ends by a signal or in a traceback."""
    raw, rng = arrow_bytes(), random.Random(0)
    wrong: list[Ended] = []
    n_builds = N_MUTATIONS // FILES_OF_A_BUILD
    for build in range(n_builds):
        folder = ground.made(f"arrow-{build}")
        for i in range(FILES_OF_A_BUILD):
            (folder / f"{i}.arrow").write_bytes(mutated(raw, rng))
        list_files(folder)
        ended = ground.run("build", ground.small(source(folder)), "--root", ground.folder / f"r{build}")
        if not (ended.is_done or ended.is_refused):
            wrong.append(ended)
    seen = f"{len(wrong)} of {n_builds} builds: {wrong[0].summary()}" if wrong else f"{n_builds} builds, none"
    return outcome(not wrong, seen)


def odd_columns() -> dict[str, pa.Array]:
    """Sound columns that a label may be read from."""
    n, whole = 3, pa.array([2**62, 0, -(2**62)], pa.int64())
    return {
        "date32": pa.array([2**30, 0, -(2**30)], pa.int32()).cast(pa.date32()),
        "date64": pa.array([86_400_000 * 10**8, 0, None], pa.int64()).cast(pa.date64()),
        "duration-s": whole.cast(pa.duration("s")),
        "duration-ns": whole.cast(pa.duration("ns")),
        "timestamp-s": pa.array([2**40, 0, None], pa.int64()).cast(pa.timestamp("s")),
        "timestamp-zone": pa.array([0, 1, 2], pa.int64()).cast(pa.timestamp("us", tz="Mars/Olympus")),
        "decimal": pa.array([1, 2, None]).cast(pa.decimal128(38, 10)),
        "binary": pa.array([b"\xff\xfe", b"", None]),
        "float16": pa.array([1.5, float("nan"), None], pa.float16()),
        "list": pa.array([[1], [], None]),
        "struct": pa.array([{"a": 1}] * n),
        "map": pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int64())),
        "time64": pa.array([2**40, 0, None], pa.int64()).cast(pa.time64("ns")),
        "null": pa.nulls(n),
    }


def odd_labels(ground: Ground) -> Outcome:
    """A file for each type of the column `origin`, as Parquet or, where Parquet lacks the type, as Arrow."""
    texts = [row["text"] for row in micro.lines(3, micro.CORPUS / "c4.jsonl")]
    wrong = []
    for name, labels in odd_columns().items():
        table = pa.table({"text": [f"{name}: {text}" for text in texts], "label": labels})
        folder = ground.made(name)
        try:
            pq.write_table(table, folder / "labels.parquet")
        except (pa.ArrowException, NotImplementedError):
            (folder / "labels.parquet").unlink(missing_ok=True)
            with ipc.new_stream(str(folder / "labels.arrow"), table.schema) as writer:
                writer.write_table(table)
            list_files(folder)
        recipe = ground.small(source(folder, 'origin = "label"'))
        ended = ground.run("build", recipe, "--root", ground.folder / "root")
        if not ended.is_done:
            wrong.append(f"{name}: {ended.summary()}")
    n = len(odd_columns())
    return outcome(not wrong, f"{n - len(wrong)} of {n} built; {wrong[0]}" if wrong else f"{n} of {n} built")


def archive(ground: Ground, line: bytes, n_bytes: int) -> Outcome:
    """A gzip file of the same line, again and again."""
    path = ground.made("archive") / "lines.jsonl.gz"
    block = line * (2**20 // len(line))
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(n_bytes // len(block)):
            stream.write(block)
    ended = ground.build_small(source(path), SECONDS_OF_AN_ARCHIVE)
    return outcome(ended.is_done or ended.is_refused, f"{ended.seconds:.0f} s, {ended.summary()}")


def tiny_files(ground: Ground, n_files: int) -> Outcome:
    """Files of one document of about 100 bytes each: what three times as many need more is bounded by document."""
    few, many = (built_of_files(ground, n) for n in (n_files // 3, n_files))
    by_document = (many.peak_bytes - few.peak_bytes) / (n_files - n_files // 3)
    seen = f"{by_document / 1000:.1f} kB a document, {many.seconds:.0f} s, {many.summary()}"
    return outcome(many.is_done and by_document <= BYTES_OF_A_DOCUMENT, seen)


def built_of_files(ground: Ground, n_files: int) -> Ended:
    folder, vocabulary = ground.made(f"files-{n_files}"), words().split()
    for i in range(n_files):
        part = folder / f"{i % 100:02}"
        part.mkdir(exist_ok=True)
        (part / f"{i}.txt").write_text(" ".join(random.Random(i).sample(vocabulary, WORDS_OF_A_FILE)) + "\n")
    return ground.run("build", ground.small(source(folder)), "--root", ground.folder / f"root-{n_files}", seconds=1800)


def large_record(ground: Ground) -> Outcome:
    """A record that is larger than a source allows beside sound ones, and numbers that no machine holds."""
    path = ground.made("records") / "records.jsonl"
    rows = [
        '{"text": "%s"}' % ("word " * 300_000),
        '{"text": "a", "id": 1e999}',
        '{"text": "b", "id": %s}' % ("9" * 5000),
    ]
    path.write_text("\n".join([*rows, "[" * 100_000, *(json.dumps({"text": f"page {i}"}) for i in range(99))]) + "\n")
    return done_or_refused(ground.build_small(source(path, "max_record_bytes = 1_000_000")))


ATTACKS: dict[str, Attack] = {
    "long-document": ("builds", partial(long_document, n_bytes=12_000_000)),
    "damaged-arrow": ("no signal, no traceback", damaged_arrow),
    "odd-labels": ("each builds", odd_labels),
    "odd-records": ("builds, or refused in one line", large_record),
    "blank-lines": ("ends within 120 s", partial(archive, line=b"\n", n_bytes=300_000_000)),
    "rejects": ("ends within 120 s", partial(archive, line=b"x\n", n_bytes=2_000_000)),
    "tiny-files": ("builds, at most 5 kB a document", partial(tiny_files, n_files=18_000)),
}
FULL: dict[str, Attack] = {  # minutes each
    "long-document-full": ("builds", partial(long_document, n_bytes=62_000_000)),
    "blank-lines-full": ("ends within 120 s", partial(archive, line=b"\n", n_bytes=4_000_000_000)),
    "rejects-full": ("ends within 120 s", partial(archive, line=b"x\n", n_bytes=20_000_000)),
    "tiny-files-full": ("builds, at most 5 kB a document", partial(tiny_files, n_files=30_000)),
}
