"""The hashes of raw files, kept while the files stay as they were.

    ROOT/raw_hashes.sqlite   a row for each raw file that was hashed under this root

A hash is kept under the file's path, device, inode, size, mtime_ns and ctime_ns, and is taken again where one of them
differs. It is taken again, too, where the mtime lies less than RACY_NS before the hash: within the resolution of a file
system's clock a file can change after it was read and keep its mtime. `--verify` takes every hash again.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from pipelines.ingest.listing import refused
from pipelines.ingest.readers.record import File
from pipelines.stage import Engine

FILE = "raw_hashes.sqlite"
RACY_NS = 2_000_000_000
BLOCK_BYTES = 1 << 20

CREATE = """
CREATE TABLE IF NOT EXISTS raw_hashes (
    path BLOB PRIMARY KEY, state TEXT NOT NULL, hashed_ns INTEGER NOT NULL, hash TEXT NOT NULL
) WITHOUT ROWID
"""


class Row(NamedTuple):
    path: bytes
    state: str  # see state_of
    hashed_ns: int  # when the hash was begun, since the epoch
    hash: str


def with_hashes(files: Sequence[File], engine: Engine) -> list[File]:
    """The files with the hash of their bytes; with a fault where one is gone or cannot be read."""
    path = engine.store.root / FILE
    kept = {} if engine.store.verify else read(path, files)
    with ThreadPoolExecutor(engine.runner.n_workers) as pool:
        hashed = list(pool.map(lambda file: with_hash(file, kept), files))
    if not engine.looks_only:
        write(path, [row for _, row in hashed if row])
    return [file for file, _ in hashed]


def with_hash(file: File, kept: dict[bytes, Row]) -> tuple[File, Row | None]:
    """The file with its hash; and the row to keep, where the hash was taken now."""
    if file.fault or file.hash:
        return file, None
    key = os.fsencode(os.path.realpath(file.path))
    try:
        stat, row = os.stat(file.path), kept.get(key)  # noqa: PTH116 likewise
        if row and row.state == state_of(stat) and row.hashed_ns - stat.st_mtime_ns >= RACY_NS:
            return replace(file, n_bytes=stat.st_size, changed_ns=stat.st_mtime_ns, hash=row.hash), None
        hashed_ns, digest = time.time_ns(), blake2b(digest_size=16)
        with open(file.path, "rb") as stream:
            stat = os.fstat(stream.fileno())
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        return replace(file, n_bytes=0, fault=refused(error)), None
    hashed = replace(file, n_bytes=stat.st_size, changed_ns=stat.st_mtime_ns, hash=digest.hexdigest())
    return hashed, Row(key, state_of(stat), hashed_ns, hashed.hash)


def state_of(stat: os.stat_result) -> str:
    """What tells whether a file is still the one that was hashed. Text, for an inode may pass SQLite's integers."""
    return f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


@contextmanager
def opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60)) as con:
        yield con


def read(path: Path, files: Sequence[File]) -> dict[bytes, Row]:
    """The kept hashes by path; none where the file is missing or damaged."""
    if not path.is_file() or not files:
        return {}
    try:
        with opened(path, "ro") as con:
            return {row[0]: Row(*row) for row in con.execute("SELECT path, state, hashed_ns, hash FROM raw_hashes")}
    except sqlite3.Error:
        return {}


def write(path: Path, rows: Sequence[Row]) -> None:
    """Keep hashes. A damaged file is replaced: it only costs that files are hashed again."""
    if not rows:
        return
    try:
        insert(path, rows)
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
        insert(path, rows)


def insert(path: Path, rows: Sequence[Row]) -> None:
    with opened(path, "rwc") as con, con:
        con.execute(CREATE)
        con.executemany("INSERT OR REPLACE INTO raw_hashes VALUES (?, ?, ?, ?)", rows)
