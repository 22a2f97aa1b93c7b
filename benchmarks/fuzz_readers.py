"""Damages small files of every format and reads them: no signal, no other exception, every record counted, bounded cost.

    python benchmarks/fuzz_readers.py --mutations 10000 --out fuzz.jsonl     # resumes; prints a table by reader

Mutation n is determined by its number alone: bits flipped, the end cut off, bytes inserted or removed, blocks swapped or
repeated, integers (lengths, offsets) replaced. Files are read in a child process, so that a signal is counted and the next
file is read. A mutation fails if the child dies, if an exception other than RecipeError leaves the readers, if records are
not documents + rejected, if a table is not valid Arrow, if a file outside of the folder is read, or if a file takes more
than SECONDS of CPU or MEMORY_BYTES above what the process had before.
"""

import argparse
import faulthandler
import json
import os
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import pyarrow as pa  # noqa: E402

from benchmarks.fuzz_seeds import SEEDS, Seed, Tree  # noqa: E402
from pipelines.ingest.listing import check_schemas, find_files  # noqa: E402
from pipelines.ingest.parsing import parse_pieces, rejected_pieces  # noqa: E402
from pipelines.ingest.readers import records_of  # noqa: E402
from pipelines.ingest.readers.record import Record  # noqa: E402
from schemas.errors import RecipeError  # noqa: E402

SECONDS = 10.0  # of CPU for a file of a few kB; a bomb among the mutations unpacks 100 MB
MEMORY_BYTES = 1 << 29
ADDRESS_BYTES = 16 << 30  # of the child, which guards the machine
SILENT_SECONDS = 120.0  # without an answer of the child
INTEGERS = (
    0,
    1,
    7,
    255,
    1 << 15,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes after one to three damages."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(DAMAGES)(bytearray(data), rng) if data else rng.randbytes(8)
    return data


def flipped(data: bytearray, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def truncated(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data[: rng.randrange(len(data))])


def inserted(data: bytearray, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return bytes(data[:at] + rng.randbytes(rng.choice((1, 3, 8, 64))) + data[at:])


def removed(data: bytearray, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return bytes(data[:at] + data[at + rng.choice((1, 4, 8, 64)) :])


def swapped(data: bytearray, rng: random.Random) -> bytes:
    size = min(len(data), rng.choice((4, 8, 64, 512)))
    a, b = (rng.randrange(len(data) - size + 1) for _ in range(2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]
    return bytes(data)


def repeated(data: bytearray, rng: random.Random) -> bytes:
    a = rng.randrange(len(data))
    part = data[a : a + rng.choice((1, 8, 64, 1024))]
    return bytes(data[:a] + part * rng.choice((2, 3, 50)) + data[a:])


def renumbered(data: bytearray, rng: random.Random) -> bytes:
    """An integer of 4 or 8 bytes, aligned as in Arrow or not, replaced or changed a little."""
    width = rng.choice((4, 8))
    if len(data) < width:
        return flipped(data, rng)
    at = rng.randrange(len(data) - width + 1)
    at -= at % width if rng.random() < 0.8 else 0
    number = int.from_bytes(data[at : at + width], "little") + rng.choice((-8, -1, 1, 8))
    number = number if rng.random() < 0.4 else rng.choice(INTEGERS)
    data[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(data)


DAMAGES = (flipped, truncated, inserted, removed, swapped, repeated, renumbered, renumbered, flipped)


# -- one file


def seed_of(number: int) -> tuple[str, Seed]:
    name = [*SEEDS][number % len(SEEDS)]
    return name, SEEDS[name]


def damaged_tree(number: int, trees: dict[str, Tree]) -> tuple[str, Tree, random.Random]:
    """The reader's name, the files of mutation `number`, and the generator that drew them."""
    name, seed = seed_of(number)
    if name not in trees:
        trees[name] = seed.files()
    rng = random.Random(f"{name}:{number}")
    return name, {**trees[name], seed.damaged: mutated(trees[name][seed.damaged], rng)}, rng


def read(folder: Path, seed: Seed, rng: random.Random) -> dict[str, int]:
    """
    Raises:
        AssertionError: a record is lost, a table is not valid, or a file lies outside.
    """
    source = seed.source(folder, rng)
    kind, files = find_files(source)
    check_schemas(source, kind, files)
    documents = rejected = 0
    for file in files:
        assert file.fault or Path(file.path).resolve().is_relative_to(folder.resolve()), file.path
        records: list[Record] = [] if file.fault else list(records_of(kind, file, source.fields))
        unusable: list[tuple[int, str, str]] = []
        tables = list(parse_pieces(records, source, source.parser(kind), unusable))
        refused = list(rejected_pieces(records, source, unusable))
        for table in (*tables, *refused):
            table.validate(full=True)
        n, m = sum(t.num_rows for t in tables), sum(t.num_rows for t in refused)
        assert n + m == len(records), f"{len(records)} records, {n} documents and {m} rejected"
        documents, rejected = documents + n, rejected + m
    return {"documents": documents, "rejected": rejected}


def outcome(number: int, trees: dict[str, Tree]) -> dict[str, object]:
    """What became of mutation `number`."""
    name, tree, rng = damaged_tree(number, trees)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for file, data in tree.items():
            path = Path(folder) / "source" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        before, began = resident(), time.process_time()
        failure, counts = "", {}
        try:
            counts = read(Path(folder) / "source", SEEDS[name], rng)
        except RecipeError:
            counts = {"refused": 1}
        except BaseException as error:  # noqa: BLE001 counted
            failure = f"{type(error).__name__}: {str(error)[:200]}"
        seconds, memory = time.process_time() - began, peak() - before
    if not failure and seconds > SECONDS:
        failure = f"{seconds:.0f} seconds"
    if not failure and memory > MEMORY_BYTES:
        failure = f"{memory >> 20} MiB"
    return {
        "number": number,
        "reader": name,
        "failure": failure,
        "seconds": round(seconds, 3),
        "memory": memory,
        **counts,
    }


def resident() -> int:
    """Bytes of memory now. Starts the measurement of peak()."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


# -- many files


def child() -> None:
    """Reads numbers of mutations; prints each before its file is read, and its outcome after."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    trees: dict[str, Tree] = {}
    for number in map(int, sys.stdin.read().split()):
        print(number, flush=True)
        print(json.dumps(outcome(number, trees)), flush=True)


def outcomes(numbers: Sequence[int]) -> Iterator[dict[str, object]]:
    """The outcomes of mutations, read by children; one that dies is followed by the next."""
    done = 0
    while done < len(numbers):
        is_inside = False  # of a file
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as todo:
            todo.write("\n".join(map(str, numbers[done:])).encode())
            todo.seek(0)
            command = [sys.executable, __file__, "--child"]
            with subprocess.Popen(command, stdin=todo, stdout=subprocess.PIPE, stderr=errors) as run:
                for line in lines_of(run):
                    is_inside = not line.startswith(b"{")
                    if not is_inside:
                        yield json.loads(line)
                        done += 1
                run.kill()
                code = run.wait()
            errors.seek(0)
            trace = errors.read().decode(errors="replace")
        if is_inside:
            places = [row.strip() for row in trace.splitlines() if 'File "' in row][:4]
            failure = f"status {code}: {' < '.join(places)}"
            yield {"number": numbers[done], "reader": seed_of(numbers[done])[0], "failure": failure}
            done += 1
        elif done < len(numbers):
            raise SystemExit(f"the child ended with status {code}: {trace[-2000:]}")


def lines_of(run: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    """The lines that the child prints, until it ends or is silent."""
    assert run.stdout
    rest = b""
    while select.select([run.stdout], [], [], SILENT_SECONDS)[0] and (data := os.read(run.stdout.fileno(), 1 << 16)):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def table(rows: list[dict[str, object]]) -> str:
    """Outcomes by reader, as lines."""
    lines = [
        f"{'reader':<22}{'files':>7}{'refused':>9}{'documents':>11}{'rejected':>10}{'failures':>10}{'max s':>8}{'max MiB':>9}"
    ]
    for name in SEEDS:
        own = [row for row in rows if row["reader"] == name]
        sums = Counter[str]()
        for row in own:
            sums.update({key: int(str(row.get(key, 0))) for key in ("refused", "documents", "rejected")})
        most = [max((float(str(row.get(key, 0))) for row in own), default=0) for key in ("seconds", "memory")]
        lines.append(
            f"{name:<22}{len(own):>7,}{sums['refused']:>9,}{sums['documents']:>11,}{sums['rejected']:>10,}"
            f"{sum(bool(row['failure']) for row in own):>10,}{most[0]:>8.2f}{most[1] / 2**20:>9.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mutations", type=int, default=10_000)
    arguments.add_argument("--out", type=Path, help="outcomes, a line each; a run continues after those in it")
    arguments.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.child:
        child()
        return
    rows = (
        [json.loads(line) for line in options.out.read_text().splitlines()]
        if options.out and options.out.exists()
        else []
    )
    for row in outcomes(range(len(rows), options.mutations)):
        rows.append(row)
        if options.out:
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
    failures = [row for row in rows if row["failure"]]
    print(f"pyarrow {pa.__version__}", table(rows), sep="\n")
    for row in failures[:50]:
        print(f"{row['number']} {row['reader']}: {row['failure']}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
