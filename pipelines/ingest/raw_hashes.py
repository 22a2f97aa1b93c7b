"""The hashes of raw files, stored so that an unchanged file is not read again.

    ROOT/raw_hashes.sqlite   one row for each raw file that was hashed under this root

A hash is stored with the file's path, device, inode, size, mtime_ns and ctime_ns. The file is hashed again if any of
them differs, or if its mtime is less than RACY_NS before the hash was taken: within the resolution of a file system's
clock, a file can change after it was read and keep its mtime. `--verify` hashes every file again.
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

from pipelines.ingest.readers.record import File
from pipelines.ingest.readers.system import raise_lack
from pipelines.ingest.walking import fault_of
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
    hashed_ns: int  # start of hashing, since the epoch
    hash: str


def with_hashes(files: Sequence[File], engine: Engine) -> list[File]:
    """The files with the hash of their bytes; with a fault if a file no longer exists or can't be read."""
    path = engine.store.root / FILE
    stored = {} if engine.store.verify else read(path, files)
    with ThreadPoolExecutor(engine.runner.n_workers) as pool:
        hashed = list(pool.map(lambda file: with_hash(file, stored), files))
    if not engine.looks_only:
        write(path, [row for _, row in hashed if row])
    return [file for file, _ in hashed]


def with_hash(file: File, stored: dict[bytes, Row]) -> tuple[File, Row | None]:
    """The file with its hash, and the row to store if it was hashed now."""
    if file.fault or file.hash:
        return file, None
    key = os.fsencode(os.path.realpath(file.path))
    try:
        stat, row = os.stat(file.path), stored.get(key)  # noqa: PTH116 as in listing.py
        if row and row.state == state_of(stat) and row.hashed_ns - stat.st_mtime_ns >= RACY_NS:
            return replace(file, n_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, hash=row.hash), None
        hashed_ns, digest = time.time_ns(), blake2b(digest_size=16)
        with open(file.path, "rb") as stream:
            stat = os.fstat(stream.fileno())
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise_lack(error, file.path)
        return replace(file, n_bytes=0, fault=fault_of(error)), None
    hashed = replace(file, n_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, hash=digest.hexdigest())
    return hashed, Row(key, state_of(stat), hashed_ns, hashed.hash)


def state_of(stat: os.stat_result) -> str:
    """What changes when a file changes. A string, because an inode may exceed SQLite's integers."""
    return f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


@contextmanager
def connect(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60)) as con:
        yield con


def read(path: Path, files: Sequence[File]) -> dict[bytes, Row]:
    """The stored rows by path; empty if the database is missing or damaged."""
    if not path.is_file() or not files:
        return {}
    try:
        with connect(path, "ro") as con:
            return {row[0]: Row(*row) for row in con.execute("SELECT path, state, hashed_ns, hash FROM raw_hashes")}
    except sqlite3.Error:
        return {}


def write(path: Path, rows: Sequence[Row]) -> None:
    """Store rows. A damaged database is replaced; the only cost is that files are hashed again."""
    if not rows:
        return
    try:
        insert(path, rows)
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
        insert(path, rows)


def insert(path: Path, rows: Sequence[Row]) -> None:
    with connect(path, "rwc") as con, con:
        con.execute(CREATE)
        con.executemany("INSERT OR REPLACE INTO raw_hashes VALUES (?, ?, ?, ?)", rows)
