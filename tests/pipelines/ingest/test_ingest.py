"""Ingest parses what is new and makes the same shards wherever and however it runs."""

import os
import random
import tracemalloc

import pyarrow as pa
import pytest
import xxhash

from pipelines import ingest
from pipelines.ingest import Sizes, groups_of, parsing, raw_hash
from pipelines.ingest.readers import READERS, streams
from pipelines.ingest.readers.record import Fault, Record
from pipelines.stage import Engine
from pipelines.store import Store
from schemas.errors import NotMade, StageError
from tests.kills import fingerprint
from tests.pipelines.inputs import (
    engine_of,
    good_rows,
    ingest_here,
    line_of,
    rows,
    source,
    text_of,
    write_jsonl,
    write_packed,
    write_rows,
)

TINY = Sizes(smallest_bytes=2_000, largest_bytes=6_000, small_file_bytes=5_000)


@pytest.fixture
def store(tmp_path):
    return rooted(tmp_path / "root")


def rooted(root) -> Store:
    root.mkdir()
    return Store(root)


def names_of(groups) -> list[frozenset]:
    return [frozenset(file.name for file in group.files) for group in groups]


def test_one_file_more_changes_one_group_or_two(tmp_path):
    for i in range(200):
        write_jsonl(tmp_path / "in" / f"{i:03d}.jsonl", [line_of(i)])
    sizes = Sizes(smallest_bytes=50_000, largest_bytes=150_000)
    before = set(names_of(groups_of(source(tmp_path / "in"), sizes, engine_of(Store(tmp_path / "hashes")))))
    assert len(before) > 5
    touched = []
    for i in range(60):
        new = write_jsonl(tmp_path / "in" / f"new {i}.jsonl", [line_of(i)])
        after = set(names_of(groups_of(source(tmp_path / "in"), sizes, engine_of(Store(tmp_path / "hashes")))))
        touched.append(len(before - after))
        new.unlink()
    assert sum(n <= 2 for n in touched) >= 54  # a file is 4 KB of a window of 100, so one in ten may touch more
    assert max(touched) <= 6


def test_large_files_stand_alone_and_small_ones_together(tmp_path):
    for i in range(6):
        write_jsonl(tmp_path / "in" / f"{i}.jsonl", [line_of(i)] * (1 if i % 2 else 100))
    groups = groups_of(source(tmp_path / "in"), TINY, engine_of(Store(tmp_path / "hashes")))
    assert names_of(groups)[:3] == [{"0.jsonl"}, {"2.jsonl"}, {"4.jsonl"}]
    small = [file.name for group in groups[3:] for file in group.files]
    assert sorted(small) == ["1.jsonl", "3.jsonl", "5.jsonl"]


def test_small_files_lie_in_the_order_of_a_hash_of_their_names(tmp_path):
    """So that a shard holds a bit of everything, not one folder or one day."""
    for i in range(50):
        write_jsonl(tmp_path / "in" / f"{i:02d}.jsonl", [line_of(i)])
    (group,) = groups_of(source(tmp_path / "in"), Sizes(), engine_of(Store(tmp_path / "hashes")))
    names = [f"{i:02d}.jsonl" for i in range(50)]
    assert [file.name for file in group.files] == sorted(
        names, key=lambda name: xxhash.xxh3_64_intdigest(name.encode())
    )


def test_a_group_is_named_by_what_its_files_hold(tmp_path):
    def name(**changes):
        return groups_of(source(tmp_path / "in", **changes), TINY, engine_of(Store(tmp_path / "hashes")))[0].name

    path = write_jsonl(tmp_path / "in" / "a.jsonl", [line_of(1)])
    first = name()
    os.utime(path, (0, 0))
    assert name() == first
    assert name(license="MIT") != first
    assert name(format="text", text_suffixes=(".jsonl",)) != first
    write_jsonl(path, [line_of(2)])
    assert name() != first
    write_jsonl(path, [line_of(1)])
    assert name() == first
    path.rename(path.with_name("b.jsonl"))
    assert name() != first


def test_the_hash_of_a_chunk_is_of_its_records_and_their_borders():
    fault = Fault("too_large", "x", 9, "h")
    chunks = [
        [Record("a", 0, b"bc")], [Record("ab", 0, b"c")], [Record("a", 0, b"b"), Record("a", 1, b"c")], [Record("a", 0, b"b"), Record("b", 1, b"c")],
        [Record("a", 0, b"bc", fault)], [Record("a", 0, b"bc", fault._replace(detail="y"))], [], [Record("a", 0, b"")], [Record("a", 0, b"bc1:a0:")],
    ]  # fmt: skip
    assert len({raw_hash(chunk) for chunk in chunks}) == len(chunks)
    assert raw_hash([Record("a", 0, b"bc")]) == raw_hash([Record("a", 99, b"bc")])


def big_file(path, numbers) -> None:
    write_jsonl(path, [line_of(i) for i in numbers])


def test_a_large_file_is_many_shards_each_beside_its_rejected(tmp_path, store):
    lines = [line_of(i) if i % 9 else b"no json %d" % i for i in range(400)]
    path = write_jsonl(tmp_path / "in" / "a.jsonl.gz", lines)
    documents, rejected = ingest_here(source(path), store, TINY)
    assert len(documents) == len(rejected) > 10
    at, n = 0, 0
    for d, r in zip(documents, rejected, strict=True):
        good, bad = rows(store, [d]), rows(store, [r])
        assert sorted(row["record"] for row in good + bad) == list(range(len(good) + len(bad)))
        assert d.came_from == r.came_from == ("a.jsonl.gz", at)
        for row in bad:
            assert row["head"] == lines[n + row["record"]]
        for row in good:
            assert row["text"] == text_of(n + row["record"])
        n += len(good) + len(bad)
        at = sum(len(line) + 1 for line in lines[:n])
    assert n == 400


def test_a_record_put_in_makes_one_shard_or_two_anew(tmp_path, store, monkeypatch):
    parsed = []
    kept = ingest.parse_pieces
    monkeypatch.setattr(
        ingest, "parse_pieces", lambda records, *rest: parsed.append(len(records)) or kept(records, *rest)
    )
    path = tmp_path / "in" / "a.jsonl"
    big_file(path, range(1000))
    before, _ = ingest_here(source(path), store, TINY)
    assert len(parsed) == len(before) > 25
    for i, numbers in enumerate(
        [[*range(500), 5000, *range(500, 1000)], [*range(300), *range(301, 1000)], range(1001), range(1, 1000)]
    ):
        parsed.clear()
        big_file(path, numbers)
        after, _ = ingest_here(source(path), store, TINY)
        assert 1 <= len(parsed) <= 2, i
        assert len(set(before) - set(after)) <= 2
        assert [row["text"] for row in rows(store, after)] == [text_of(n) for n in numbers]
        first = {shard.content_hash: shard.came_from for shard in after}
        lengths = {n: len(line_of(n)) + 1 for n in numbers}
        for shard in after:  # an old shard's place in the new file
            n = int(rows(store, [shard])[0]["text"].split()[1])
            assert first[shard.content_hash][1] == sum(lengths[m] for m in list(numbers)[: list(numbers).index(n)])


def test_an_unchanged_file_is_not_read_again(tmp_path, store, monkeypatch):
    for i in range(3):
        big_file(tmp_path / "in" / f"{i}.jsonl.zst", range(i * 1000, i * 1000 + 300))
    engine = engine_of(store)
    before = ingest.run([source(tmp_path / "in")], engine, TINY)
    reader, read = READERS["jsonl"], []
    kept = reader.records
    monkeypatch.setattr(type(reader), "records", lambda _, file, fields: read.append(file.name) or kept(file, fields))
    for i in range(3):
        os.utime(tmp_path / "in" / f"{i}.jsonl.zst", (1, 1))
    assert ingest.run([source(tmp_path / "in")], engine, TINY) == before
    assert read == []
    root = fingerprint(store.root)
    assert ingest.run([source(tmp_path / "in")], engine.look(), TINY) == before
    big_file(tmp_path / "in" / "1.jsonl.zst", range(5))
    with pytest.raises(NotMade):
        ingest.run([source(tmp_path / "in")], engine.look(), TINY)
    assert fingerprint(store.root) == root
    ingest.run([source(tmp_path / "in")], engine, TINY)
    assert read == ["1.jsonl.zst"]


def test_a_damaged_shard_is_made_again(tmp_path, store):
    big_file(tmp_path / "in" / "a.jsonl", range(300))
    documents, rejected = ingest.run([source(tmp_path / "in")], engine_of(store), TINY)
    store.path(documents[2]).write_bytes(b"damaged")
    assert ingest.run([source(tmp_path / "in")], engine_of(store), TINY) == (documents, rejected)
    assert all(store.is_whole(shard) for shard in documents + rejected)


def corpus(folder) -> list:
    big_file(folder / "b" / "large.jsonl", range(400))
    big_file(folder / "b" / "another.jsonl.gz", range(400, 800))
    for i in range(30):
        write_packed(folder / "a" / f"{i}.txt", text_of(i).encode())
    write_rows(folder / "c" / "rows.parquet", good_rows(range(200)), 30)
    return [source(folder / name, name=name) for name in ("b", "c", "a")]


def test_the_same_shards_whatever_the_root_the_workers_and_the_listing(tmp_path, monkeypatch):
    one = ingest.run(corpus(tmp_path / "here"), engine_of(rooted(tmp_path / "one")), TINY)
    assert one[0][0].came_from == ("another.jsonl.gz", 0)
    two = rooted(tmp_path / "two")
    elsewhere = corpus(tmp_path / "else" / "where")
    kept = os.scandir

    class Backwards:
        def __init__(self, folder):
            self.entries = sorted(kept(folder), key=lambda e: e.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(os, "scandir", Backwards)
    assert ingest.run(elsewhere, engine_of(two, 3), TINY) == one
    monkeypatch.undo()
    assert [s.came_from for s in ingest.run(elsewhere, engine_of(two, 3), TINY)[0]] == [s.came_from for s in one[0]]
    for shard in one[0] + one[1]:
        assert Store(tmp_path / "one").path(shard).read_bytes() == two.path(shard).read_bytes()
    sources = [row["source"] for row in rows(two, one[0])]
    assert list(dict.fromkeys(sources)) == ["b", "c", "a"]


def test_workers_in_another_process_make_the_same(tmp_path, cluster):
    here = ingest.run(corpus(tmp_path / "in"), engine_of(rooted(tmp_path / "here")), TINY)
    there = Engine(rooted(tmp_path / "there"), cluster)
    assert ingest.run(corpus(tmp_path / "in"), there, TINY) == here


def test_a_chunk_where_nothing_can_be_used_is_a_shard_all_the_same(tmp_path, store):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [b"x"] * 3)
    documents, rejected = ingest_here(source(path), store)
    assert [(d.n_rows, r.n_rows) for d, r in zip(documents, rejected, strict=True)] == [(0, 3)]
    assert store.read(documents[0]).num_rows == 0


def test_a_file_without_records_is_no_shard(tmp_path, store):
    write_packed(tmp_path / "in" / "a.jsonl", b"\n \n")
    assert ingest.run([source(tmp_path / "in")], engine_of(store)) == ([], [])


def test_a_file_that_changes_while_it_is_read_stops_the_stage(tmp_path, store, monkeypatch):
    """Its name would lead to what it no longer holds."""
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [line_of(1)])
    reader = READERS["jsonl"]
    kept = reader.records

    def growing(_, file, fields):
        yield from kept(file, fields)
        with open(path, "ab") as stream:
            stream.write(line_of(2))

    monkeypatch.setattr(type(reader), "records", growing)
    with pytest.raises(StageError, match=r"a\.jsonl: changed while it was read; run the build again"):
        ingest.run([source(path)], engine_of(store))
    monkeypatch.undo()
    documents, _ = ingest.run([source(path)], engine_of(store))
    assert documents[0].n_rows == 2


def test_a_lack_of_memory_stops_the_stage_and_rejects_nothing(tmp_path, store, monkeypatch):
    write_rows(tmp_path / "in" / "a.parquet", good_rows(range(3)))
    with monkeypatch.context() as patch:
        patch.setattr(pa.parquet.ParquetFile, "iter_batches", fails(pa.ArrowMemoryError("malloc of size 9 failed")))
        with pytest.raises(StageError, match=r"a\.parquet: memory is exhausted \(malloc of size 9 failed\)"):
            ingest.run([source(tmp_path / "in")], engine_of(store))
    documents, rejected = ingest.run([source(tmp_path / "in")], engine_of(store))
    assert [shard.n_rows for shard in documents + rejected] == [3, 0]
    monkeypatch.setattr(pa.parquet.ParquetFile, "__init__", fails(MemoryError()))
    with pytest.raises(StageError, match="memory is exhausted"):  # and not the recipe's mistake, before a file is read
        ingest.run([source(tmp_path / "in")], engine_of(rooted(tmp_path / "other")))


def fails(error):
    def fail(*_, **__):
        raise error

    return fail


def test_a_file_that_goes_after_it_was_hashed_stops_the_stage(tmp_path, store):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [line_of(1)])
    (group,) = groups_of(source(path), TINY, engine_of(Store(tmp_path / "hashes")))
    path.unlink()
    with pytest.raises(StageError, match=r"can't be read to its end \(ENOENT\); run the build again"):
        ingest.ingest_group(group, store, TINY)
    assert store.find("ingest", group.name) is None


def test_memory_is_less_than_three_of_the_largest_shard(tmp_path, store, monkeypatch):
    """Python's and Arrow's, at their highest, beside a block of a megabyte that is read."""
    monkeypatch.setattr(parsing, "PIECE_BYTES", 500_000)
    usual = pa.default_memory_pool()
    sizes, r = Sizes(smallest_bytes=2_000_000, largest_bytes=6_000_000), random.Random(0)
    for name, lines in {
        "long": [b'{"text": "%b"}' % r.randbytes(40_000).hex().encode() for _ in range(150)],
        "short": [b'{"text": "%d"}' % i for i in range(60_000)],
        "bad": [r.randbytes(35_000).hex().encode() for _ in range(150)],
    }.items():
        path = write_jsonl(tmp_path / name / "a.jsonl.zst", lines)
        (group,) = groups_of(source(path), sizes, engine_of(Store(tmp_path / "hashes")))
        pool = pa.proxy_memory_pool(usual)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        try:
            ingest.ingest_group(group, store, sizes)
            peak = tracemalloc.get_traced_memory()[1] + pool.max_memory()
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(usual)
        assert 6_000_000 < peak < 3 * 6_000_000 + streams.BLOCK, name
