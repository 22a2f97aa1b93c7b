"""Builds in a process of their own that can be killed at a chosen moment, and a fingerprint of what they leave.

    python -m tests.kills RECIPE ROOT WORKERS [before|after PATTERN]

kills itself (SIGKILL) before or after the first rename whose target matches PATTERN: nothing is flushed or undone.
"""

import hashlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import xxhash

FORKS = get_context("forkserver")  # a server that has loaded what a build needs once; a build is a fork of it
FORKS.set_forkserver_preload(["tests.warm"])

KINDS = {
    "a shard of DOCUMENTS": r"/shards/DOCUMENTS/.*\.parquet$",
    "a shard of SIGNATURES": r"/shards/SIGNATURES/.*\.parquet$",
    "a shard of DUPLICATES": r"/shards/DUPLICATES/.*\.parquet$",
    "a shard of TOKENS": r"/shards/TOKENS/.*\.parquet$",
    "a shard of DRAWS": r"/shards/DRAWS/.*\.parquet$",
    "a block of vectors": r"/measured/embedding/.*",
    "a shard of EMBEDDINGS": r"/shards/EMBEDDINGS/.*\.parquet$",
    "a shard of CENTROIDS": r"/shards/CENTROIDS/.*\.parquet$",
    "a shard of ORDER": r"/shards/ORDER/.*\.parquet$",
    "a shard of SEQUENCES": r"/shards/SEQUENCES/.*\.parquet$",
    "a seal": r"/shards/.*\.seal$",
    "an action": r"/actions/encode/.*\.json$",
    "the manifest": r"/manifest\.json$",
    "the published folder": r"/datasets/[^/]+/[0-9a-f]{12}$",
    "latest": r"/datasets/[^/]+/latest$",
}


SFT_KINDS = {  # of a set of instruction samples
    **{f"a shard of {table}": rf"/shards/{table}/.*\.parquet$"
       for table in ("DOCUMENTS", "DUPLICATES", "SAMPLES", "SCORES_HMG", "SCORES_CAM", "RANKS", "CHOSEN", "DRAWS", "MESSAGES",
                     "SFT_SEQUENCES")},
    "measured values": r"/measured/influence/.*\.json$",
    "an action of influence": r"/actions/influence/.*\.json$",
    **{name: KINDS[name] for name in ("a seal", "the manifest", "the published folder", "latest")},
}  # fmt: skip


@contextmanager
def building(recipe: Path, root: Path, workers: int, *deadly: str) -> Iterator[tuple[BaseProcess, Path]]:
    """A build that runs in a process of its own, and the file of its errors; killed when the block ends."""
    with TemporaryDirectory() as folder:
        errors = Path(folder) / "errors"
        process = FORKS.Process(target=main, args=([str(recipe), str(root), str(workers), *deadly], errors))
        process.start()
        try:
            yield process, errors
        finally:
            process.kill()
            process.join()


def ended(process: BaseProcess, errors: Path) -> tuple[int | None, str]:
    """The exit status of a build when it has ended, and the last that it wrote to standard error."""
    process.join()
    return process.exitcode, errors.read_text()[-2_000:] if errors.exists() else ""


def run(recipe: Path, root: Path, workers: int = 2) -> float:
    """A build that must end well. Returns its seconds."""
    began = time.monotonic()
    with building(recipe, root, workers) as build:
        status, text = ended(*build)
        assert status == 0, text
    return time.monotonic() - began


def run_killed_at(recipe: Path, root: Path, workers: int, when: str, pattern: str) -> None:
    """A build that is killed at a rename, and must get there."""
    with building(recipe, root, workers, when, pattern) as build:
        status, text = ended(*build)
        assert status == -signal.SIGKILL, (when, pattern, status, text)


def run_killed_after(recipe: Path, root: Path, workers: int, seconds: float) -> bool:
    """A build that is killed at a time. Returns whether it was still running then."""
    with building(recipe, root, workers) as (process, _):
        process.join(seconds)
        return process.is_alive()


def run_killed_when(recipe: Path, root: Path, workers: int, path: str, n_lines: int) -> bool:
    """A build that is killed once the files that match a glob have so many lines. Returns whether it still ran then."""
    with building(recipe, root, workers) as (process, _):
        while process.is_alive():
            if sum(file.read_bytes().count(b"\n") for file in root.glob(path)) >= n_lines:
                return True
            time.sleep(0.005)
    return False


def run_killed_scoring(recipe: Path, root: Path, workers: int, n_pairs: int) -> bool:
    """A build that is killed once the model has measured so many pairs. Returns whether it was still running then."""
    return run_killed_when(recipe, root, workers, "measured/**/*.jsonl", n_pairs)


def measured_lines(root: Path) -> dict[str, list[bytes]]:
    """The pairs that a root keeps, whole lines, by file."""
    files = sorted(root.glob("measured/**/*.jsonl"))
    return {str(f.relative_to(root)): f.read_bytes().rpartition(b"\n")[0].splitlines() for f in files}


def fingerprint(root: Path) -> dict[str, str]:
    """Path below the root -> hash of its bytes, for all that a build must leave the same.

    Left out: the time in a manifest, its own checksum, and the hashes of raw files, which depend on where these lie. Of the
    checksums of card and catalog only whether they are right, as the card names its folder and the catalog is compared
    by the rows of its tables, in order.
    """
    found = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.parent.is_symlink()):
        name = path.relative_to(root).as_posix()
        if name in ("lock", "progress.jsonl", "raw_hashes.sqlite"):
            continue
        if path.name == "manifest.json":
            manifest = json.loads(path.read_text())
            del manifest["built"]["at"], manifest["checksum"]
            for page in ("README.md", "catalog.duckdb"):
                content = path.with_name(page).read_bytes() if path.with_name(page).is_file() else b""
                manifest["pages"][page] = manifest["pages"][page] == xxhash.xxh3_128_hexdigest(content)
            raw = json.dumps(manifest, sort_keys=True).encode()
        elif path.name == "catalog.duckdb":
            raw = rows_of(path)
        elif path.name == "README.md":
            raw = re.sub(rb'load_dataset\("[^"]*"', b"load_dataset(", path.read_bytes())  # the folder of the version
        else:
            raw = path.read_bytes()
        found[name] = hashlib.sha256(raw).hexdigest()
    for link in sorted(root.glob("datasets/*/latest")):
        found[f"{link.parent.name}/latest"] = str(link.readlink())
    return found


def contents(root: Path) -> dict[str, str]:
    """Path below the root -> hash of its bytes, for every file."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def rows_of(catalog: Path) -> bytes:
    with duckdb.connect(str(catalog), read_only=True) as con:
        tables = [name for (name,) in con.execute("SHOW TABLES").fetchall()]
        return repr([(t, con.execute(f"FROM {t} ORDER BY ALL").fetchall()) for t in sorted(tables)]).encode()


def die_at(when: str, pattern: str) -> None:
    """Make the first matching rename of this process its last act."""
    replace = os.replace

    def deadly(source, target, **options):
        hit = re.search(pattern, os.fspath(target))
        if hit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target, **options)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = deadly


def main(words: list[str], errors: Path | None = None) -> None:
    """Build; standard error goes to the file that is named."""
    if errors:
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    recipe, root, workers, *deadly = words
    if deadly:
        die_at(*deadly)
    from pipelines.build import build
    from pipelines.recipe import load

    loaded = load(recipe)
    build(loaded.model_copy(update={"run": loaded.run.model_copy(update={"workers": int(workers)})}), Path(root))


if __name__ == "__main__":
    main(sys.argv[1:])
