"""Hashes of raw files: kept while a file's state is the same, taken again where anything differs."""

import os
import sqlite3
import time
from dataclasses import replace

import pytest

from pipelines.ingest import raw_hashes
from pipelines.ingest.raw_hashes import RACY_NS, with_hashes
from pipelines.ingest.readers.record import File, hash_of
from pipelines.stage import Engine, Runner
from pipelines.store import Store

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def engine(tmp_path):
    (tmp_path / "root").mkdir()
    return Engine(Store(tmp_path / "root"), Runner(workers=2))


@pytest.fixture
def raw(tmp_path):
    """A raw file that was last written an hour ago."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one")
    age(path, HOUR_NS)
    return path


@pytest.fixture
def reads(monkeypatch):
    """The paths that were opened to be hashed, in order."""
    opened, plain_open = [], open

    def spy(path, mode):
        opened.append(str(path))
        return plain_open(path, mode)

    monkeypatch.setattr(raw_hashes, "open", spy, raising=False)
    return opened


def age(path, by_ns):
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - by_ns))


def hash_one(path, engine):
    return with_hashes([File(path.name, str(path))], engine)[0]


def test_the_hash_is_that_of_the_bytes(raw, engine):
    file = hash_one(raw, engine)
    assert (file.hash, file.n_bytes, file.mtime_ns) == (hash_of(b"one"), 3, raw.stat().st_mtime_ns)


def test_an_unchanged_file_is_not_read_again(raw, engine, reads):
    first = hash_one(raw, engine)
    assert hash_one(raw, engine) == first
    assert reads == [str(raw)]


def rewritten_in_place(path):
    """Other bytes of the same length under the same mtime: only the ctime tells."""
    stat = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def replaced(path):
    """Another file under the same name, with the same length and mtime."""
    stat, other = path.stat(), path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.rename(path)


def grown(path):
    path.write_bytes(b"two, and more")
    age(path, HOUR_NS)


def touched(path):
    path.write_bytes(b"two")
    age(path, HOUR_NS - 1)


@pytest.mark.parametrize("change", [rewritten_in_place, replaced, grown, touched])
def test_a_changed_file_is_hashed_again(raw, engine, change):
    hash_one(raw, engine)
    change(raw)
    assert hash_one(raw, engine).hash == hash_of(raw.read_bytes())


@pytest.mark.parametrize("part", range(5))
def test_each_part_of_the_state_counts(raw, engine, reads, part):
    hash_one(raw, engine)
    with sqlite3.connect(engine.store.root / raw_hashes.FILE) as con:
        (state,) = con.execute("SELECT state FROM raw_hashes").fetchone()
        values = state.split()
        assert len(values) == 5
        values[part] = str(int(values[part]) + 1)
        con.execute("UPDATE raw_hashes SET state = ?", [" ".join(values)])
    hash_one(raw, engine)
    assert len(reads) == 2


@pytest.mark.parametrize(("age_ns", "n_reads"), [(RACY_NS - 1, 2), (RACY_NS, 1)])
def test_a_file_written_just_before_its_hash_is_hashed_again(raw, engine, reads, age_ns, n_reads):
    hash_one(raw, engine)
    with sqlite3.connect(engine.store.root / raw_hashes.FILE) as con:
        con.execute("UPDATE raw_hashes SET hashed_ns = ?", [raw.stat().st_mtime_ns + age_ns])
    hash_one(raw, engine)
    assert len(reads) == n_reads


def test_the_time_of_a_hash_is_taken_before_the_first_byte_is_read(raw, engine, monkeypatch):
    """A file that changes while it is read was changed after that time, by which it is known to be racy."""
    opened = []
    plain_open = open
    monkeypatch.setattr(
        raw_hashes, "open", lambda path, mode: opened.append(time.time_ns()) or plain_open(path, mode), raising=False
    )
    hash_one(raw, engine)
    with sqlite3.connect(engine.store.root / raw_hashes.FILE) as con:
        (hashed_ns,) = con.execute("SELECT hashed_ns FROM raw_hashes").fetchone()
    assert 0 <= opened[0] - hashed_ns < HOUR_NS


def test_verify_takes_every_hash_again(raw, engine, reads):
    hash_one(raw, engine)
    hash_one(raw, replace(engine, store=replace(engine.store, verify=True)))
    assert len(reads) == 2


def test_an_engine_that_only_looks_uses_hashes_and_keeps_none(raw, engine, reads):
    path = engine.store.root / raw_hashes.FILE
    hash_one(raw, engine.look())
    assert not path.exists()
    hash_one(raw, engine)
    before = path.read_bytes(), path.stat().st_mtime_ns
    hash_one(raw, engine.look())
    assert len(reads) == 2
    raw.write_bytes(b"another")
    hash_one(raw, engine.look())
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert list(engine.store.root.iterdir()) == [path]


def test_a_damaged_file_of_hashes_costs_a_second_hash_and_nothing_else(raw, engine):
    path = engine.store.root / raw_hashes.FILE
    path.write_bytes(b"not SQLite, " * 1000)
    assert hash_one(raw, engine).hash == hash_of(b"one")
    with sqlite3.connect(path) as con:
        assert con.execute("SELECT hash FROM raw_hashes").fetchall() == [(hash_of(b"one"),)]


def test_a_file_that_is_gone_has_a_fault(raw, engine):
    raw.unlink()
    assert hash_one(raw, engine).fault == ("vanished_file", "listed, and then gone")


def test_two_names_of_one_file_share_a_hash(raw, engine, reads, tmp_path):
    (tmp_path / "link").symlink_to(raw)
    hash_one(raw, engine)
    assert hash_one(tmp_path / "link", engine).hash == hash_of(b"one")
    assert len(reads) == 1
