"""Ingest cuts where the content says, parses what is new, and makes the same shards wherever and however it runs."""

import os
import random
import time
import tracemalloc
from hashlib import blake2b

import pyarrow as pa
import pytest
import xxhash

from pipelines import ingest
from pipelines.ingest import Sizes, groups_of, raw_hash
from pipelines.ingest import parsing as rows_of
from pipelines.ingest.cutting import cut
from pipelines.ingest.parsing import identity
from pipelines.ingest.readers import READERS, streams
from pipelines.ingest.readers.record import Fault, Record
from pipelines.stage import LOOK_UP, Runner
from pipelines.store import Store
from schemas.errors import NotMade, StageError
from tests.pipelines.inputs import (
    good_rows,
    ingest_here,
    line_of,
    rows,
    source,
    text_hash,
    text_of,
    write_jsonl,
    write_packed,
    write_rows,
)  # fmt: skip
from tests.workers import worker_pool

TINY = Sizes(smallest_bytes=2_000, largest_bytes=6_000, small_file_bytes=5_000)


@pytest.fixture
def store(tmp_path):
    return rooted(tmp_path / "root")


def rooted(root) -> Store:
    root.mkdir()
    return Store(root)


# -- cutting


def slow_cut(items: list[tuple[int, int]], smallest: int, largest: int) -> list[list[tuple[int, int]]]:
    """Items are (priority, size). Look at every place for every chunk."""
    chunks = []
    while sum(size for _, size in items) > largest and len(items) > 1:
        windows = {n: sum(size for _, size in items[:n]) for n in range(1, len(items))}
        places = [n for n, size in windows.items() if smallest <= size <= largest]
        if places:
            highest = max(items[n][0] for n in places)
            n = next(n for n in places if items[n][0] == highest)
        else:
            n = max([n for n, size in windows.items() if size <= largest], default=1)
        chunks.append(items[:n])
        items = items[n:]
    return [*chunks, items] if items else chunks


def drawn_items(seed: int) -> tuple[list[tuple[int, int]], int, int]:
    r = random.Random(seed)
    smallest = r.randrange(1, 12)
    largest = smallest + r.randrange(20)
    sizes = r.choice([range(1, 4), range(1, 40), range(3)])
    return [(r.randrange(r.choice([3, 1000])), r.choice(sizes)) for _ in range(r.randrange(60))], smallest, largest


def chunks_of(items, smallest, largest):
    return list(cut(iter(items), lambda item: item[1], lambda item: item[0], smallest, largest))


def test_cutting_is_the_slow_cutting():
    for seed in range(2000):
        items, smallest, largest = drawn_items(seed)
        assert chunks_of(items, smallest, largest) == slow_cut(items, smallest, largest), f"{seed=}"


def test_the_cuts_the_oracle_must_reach():
    drawn = [drawn_items(seed) for seed in range(2000)]
    cuts = [(items, s, b, slow_cut(items, s, b)) for items, s, b in drawn]
    sizes = [[sum(size for _, size in chunk) for chunk in chunks[:-1]] for _, _, _, chunks in cuts]
    assert any(n > b for (_, _, b, _), all_ in zip(cuts, sizes, strict=True) for n in all_)  # a large item alone
    assert any(n < s for (_, s, _, _), all_ in zip(cuts, sizes, strict=True) for n in all_)  # what stood before it
    assert any(n == b for (_, _, b, _), all_ in zip(cuts, sizes, strict=True) for n in all_)
    assert any(n == s for (_, s, _, _), all_ in zip(cuts, sizes, strict=True) for n in all_)
    assert any(not items for items, *_ in cuts)
    assert any(0 in [size for _, size in items] for items, *_ in cuts)


def test_a_chunk_is_between_the_bounds():
    for seed in range(300):
        items, smallest, largest = drawn_items(seed)
        chunks = chunks_of(items, smallest, largest)
        assert [item for chunk in chunks for item in chunk] == items
        for chunk in chunks:
            assert len(chunk) == 1 or sum(size for _, size in chunk) <= largest


def test_no_more_is_held_than_a_chunk_and_an_item():
    taken = 0

    def counting():
        nonlocal taken
        for i in range(1000):
            taken += 1
            yield (i * 7919 % 1000, 1)

    given = 0
    for chunk in cut(counting(), lambda item: item[1], lambda item: item[0], 20, 60):
        assert taken - given <= 61
        given += len(chunk)


def edits(seed: int):
    """A stream of 1,000 items as they lie in 14 chunks or so, and 100 streams with one item put in, out or changed."""
    r = random.Random(seed)
    items = [(r.getrandbits(64), r.randrange(1, 6)) for _ in range(1000)]
    changed = []
    for _ in range(100):
        p, new = r.randrange(len(items)), (r.getrandbits(64), r.randrange(1, 6))
        changed.append(
            r.choice([[*items[:p], new, *items[p:]], items[:p] + items[p + 1 :], [*items[:p], new, *items[p + 1 :]]])
        )
    return items, changed


def test_one_item_changes_one_chunk_or_two():
    """An edit touches its own chunk; the one before it where it moves their cut. Only where the edited item is the highest
    of its window, or makes another leave the window or enter it, is there more: for items of size n a chance of some
    3 n / (largest - smallest), here 3 %; in a real shard of 10 KB records under 0.1 %. The cuts then meet again soon.
    """
    touched = []
    for seed in range(20):
        items, changed = edits(seed)
        before = {tuple(chunk) for chunk in chunks_of(items, 100, 300)}
        assert len(before) > 10
        for new in changed:
            after = {tuple(chunk) for chunk in chunks_of(new, 100, 300)}
            touched.append((len(before - after), len(after - before)))
    at_most_two = sum(max(pair) <= 2 for pair in touched) / len(touched)
    assert at_most_two > 0.97
    assert sum(max(pair) == 1 for pair in touched) / len(touched) > 0.9
    assert max(max(pair) for pair in touched) <= 8


# -- files and groups


def names_of(groups) -> list[frozenset]:
    return [frozenset(file.name for file in group.files) for group in groups]


def test_one_file_more_changes_one_group_or_two(tmp_path):
    for i in range(200):
        write_jsonl(tmp_path / "in" / f"{i:03d}.jsonl", [line_of(i)])
    sizes = Sizes(smallest_bytes=50_000, largest_bytes=150_000)
    before = set(names_of(groups_of(source(tmp_path / "in"), sizes, 1)))
    assert len(before) > 5
    touched = []
    for i in range(60):
        new = write_jsonl(tmp_path / "in" / f"new {i}.jsonl", [line_of(i)])
        after = set(names_of(groups_of(source(tmp_path / "in"), sizes, 1)))
        touched.append(len(before - after))
        new.unlink()
    assert sum(n <= 2 for n in touched) >= 54  # a file is 4 KB of a window of 100, so one in ten may touch more
    assert max(touched) <= 6


def test_large_files_stand_alone_and_small_ones_together(tmp_path):
    for i in range(6):
        write_jsonl(tmp_path / "in" / f"{i}.jsonl", [line_of(i)] * (1 if i % 2 else 100))
    groups = groups_of(source(tmp_path / "in"), TINY, 1)
    assert names_of(groups)[:3] == [{"0.jsonl"}, {"2.jsonl"}, {"4.jsonl"}]
    small = [file.name for group in groups[3:] for file in group.files]
    assert sorted(small) == ["1.jsonl", "3.jsonl", "5.jsonl"]


def test_small_files_lie_in_the_order_of_a_hash_of_their_names(tmp_path):
    """So that a shard holds a bit of everything, not one folder or one day."""
    for i in range(50):
        write_jsonl(tmp_path / "in" / f"{i:02d}.jsonl", [line_of(i)])
    (group,) = groups_of(source(tmp_path / "in"), Sizes(), 1)
    names = [f"{i:02d}.jsonl" for i in range(50)]
    assert [file.name for file in group.files] == sorted(
        names, key=lambda name: xxhash.xxh3_64_intdigest(name.encode())
    )


def test_a_group_is_named_by_what_its_files_hold(tmp_path):
    def name(**changes):
        return groups_of(source(tmp_path / "in", **changes), TINY, 1)[0].name

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


# -- documents


def test_a_document_is_what_the_record_says(tmp_path, store):
    path = write_jsonl(
        tmp_path / "in" / "a.jsonl", [line_of(3), b'{"text": "b", "id": 7, "lic": "CC0"}', b'{"text": "c", "id": ""}']
    )
    found = source(path, origin="source", license="MIT", license_field="lic", domain="web", name="mine")
    documents, rejected = ingest_here(found, store)
    a, b, c = rows(store, documents)
    assert rows(store, rejected) == []
    id_of = identity("mine")
    assert a == {
        "document_id": id_of("d3", "a.jsonl", text_hash(text_of(3))), "content_hash": text_hash(text_of(3)), "source": "mine",
        "origin": "web", "domain": "web", "license": "MIT", "file": "a.jsonl", "record": 0,
        "n_bytes": len(text_of(3).encode()), "text": text_of(3),
    }  # fmt: skip
    assert (b["document_id"], b["origin"], b["license"]) == (id_of("7", "", text_hash("b")), None, "CC0")
    assert c["document_id"] == id_of(None, "a.jsonl", text_hash("c"))


def test_an_identity_is_a_hash_that_anyone_can_make():
    whole = b"4:book" + b"2:id2:d1" + b"c0ffee"
    assert identity("book")("d1", "a.txt", "c0ffee") == blake2b(whole, digest_size=16).hexdigest()
    assert (
        identity("book")(None, "a.txt", "c0ffee") == blake2b(b"4:book4:file5:a.txtc0ffee", digest_size=16).hexdigest()
    )


def test_no_two_places_have_one_identity():
    """Names that begin and end alike: where one part ends and the next begins must show."""
    words = ["a", "aa", "a2", "2:id1:a", "1:a", "", "a4:file", "é"]
    parts = [
        (source_, own, file, h)
        for source_ in words
        for own in [None, *words[:5]]
        for file in words
        for h in ("x", "1:x")
    ]
    seen = {}
    for source_, own, file, h in parts:
        key = (source_, ("file", file) if own is None else ("id", own), h)
        assert seen.setdefault(identity(source_)(own, file, h), key) == key


def test_the_hash_of_a_chunk_is_of_its_records_and_their_borders():
    fault = Fault("too_large", "x", 9, "h")
    chunks = [
        [Record("a", 0, b"bc")], [Record("ab", 0, b"c")], [Record("a", 0, b"b"), Record("a", 1, b"c")], [Record("a", 0, b"b"), Record("b", 1, b"c")],
        [Record("a", 0, b"bc", fault)], [Record("a", 0, b"bc", fault._replace(detail="y"))], [], [Record("a", 0, b"")], [Record("a", 0, b"bc1:a0:")],
    ]  # fmt: skip
    assert len({raw_hash(chunk) for chunk in chunks}) == len(chunks)
    assert raw_hash([Record("a", 0, b"bc")]) == raw_hash([Record("a", 99, b"bc")])


def test_the_text_is_the_same_from_every_format(tmp_path, store):
    """And so are the content hashes; only a folder of texts has no ids."""
    texts = [text_of(i) for i in range(30)]
    for suffix in ("", ".gz", ".zst"):
        write_jsonl(tmp_path / "in" / f"j{suffix}" / f"a.jsonl{suffix}", [line_of(i) for i in range(30)])
        for i, text in enumerate(texts):
            write_packed(tmp_path / "in" / f"t{suffix}" / f"{i:02d}.txt{suffix}", text.encode())
    write_rows(tmp_path / "in" / "p" / "a.parquet", good_rows(range(30)), 7)
    write_rows(tmp_path / "in" / "h" / "data-00000-of-00001.arrow", good_rows(range(30)), 7)
    for folder in sorted((tmp_path / "in").iterdir()):
        documents, rejected = ingest_here(source(folder, origin="source"), store)
        found = rows(store, documents)
        assert sorted(row["text"] for row in found) == sorted(texts), folder.name
        assert {row["content_hash"] for row in found} == {text_hash(text) for text in texts}
        assert rows(store, rejected) == []
        assert {row["origin"] for row in found} == ({None} if folder.name.startswith("t") else {"web"})


# -- shards


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
    runner = Runner(workers=1)
    before = ingest.run([source(tmp_path / "in")], store, runner, TINY)
    reader, read = READERS["jsonl"], []
    kept = reader.records
    monkeypatch.setattr(type(reader), "records", lambda _, file, fields: read.append(file.name) or kept(file, fields))
    for i in range(3):
        os.utime(tmp_path / "in" / f"{i}.jsonl.zst", (1, 1))
    assert ingest.run([source(tmp_path / "in")], store, runner, TINY) == before
    assert read == []
    assert ingest.run([source(tmp_path / "in")], store, Runner(runner=LOOK_UP), TINY) == before
    big_file(tmp_path / "in" / "1.jsonl.zst", range(5))
    with pytest.raises(NotMade):
        ingest.run([source(tmp_path / "in")], store, Runner(runner=LOOK_UP), TINY)
    ingest.run([source(tmp_path / "in")], store, runner, TINY)
    assert read == ["1.jsonl.zst"]


def test_a_damaged_shard_is_made_again(tmp_path, store):
    big_file(tmp_path / "in" / "a.jsonl", range(300))
    documents, rejected = ingest.run([source(tmp_path / "in")], store, Runner(workers=1), TINY)
    store.path(documents[2]).write_bytes(b"damaged")
    assert ingest.run([source(tmp_path / "in")], store, Runner(workers=1), TINY) == (documents, rejected)
    assert all(store.is_whole(shard) for shard in documents + rejected)


def corpus(folder) -> list:
    big_file(folder / "b" / "large.jsonl", range(400))
    big_file(folder / "b" / "another.jsonl.gz", range(400, 800))
    for i in range(30):
        write_packed(folder / "a" / f"{i}.txt", text_of(i).encode())
    write_rows(folder / "c" / "rows.parquet", good_rows(range(200)), 30)
    return [source(folder / name, name=name) for name in ("b", "c", "a")]


def test_the_same_shards_whatever_the_root_the_workers_and_the_listing(tmp_path, monkeypatch):
    one = ingest.run(corpus(tmp_path / "here"), rooted(tmp_path / "one"), Runner(workers=1), TINY)
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
    assert ingest.run(elsewhere, two, Runner(workers=3), TINY) == one
    monkeypatch.undo()
    assert [s.came_from for s in ingest.run(elsewhere, two, Runner(workers=3), TINY)[0]] == [
        s.came_from for s in one[0]
    ]
    for shard in one[0] + one[1]:
        assert Store(tmp_path / "one").path(shard).read_bytes() == two.path(shard).read_bytes()
    sources = [row["source"] for row in rows(two, one[0])]
    assert list(dict.fromkeys(sources)) == ["b", "c", "a"]


def test_workers_in_another_process_make_the_same(tmp_path):
    here = ingest.run(corpus(tmp_path / "in"), rooted(tmp_path / "here"), Runner(workers=1), TINY)
    with worker_pool() as runner:
        assert ingest.run(corpus(tmp_path / "in"), rooted(tmp_path / "there"), runner, TINY) == here


def test_a_chunk_where_nothing_can_be_used_is_a_shard_all_the_same(tmp_path, store):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [b"x"] * 3)
    documents, rejected = ingest_here(source(path), store)
    assert [(d.n_rows, r.n_rows) for d, r in zip(documents, rejected, strict=True)] == [(0, 3)]
    assert store.read(documents[0]).num_rows == 0


def test_a_file_without_records_is_no_shard(tmp_path, store):
    write_packed(tmp_path / "in" / "a.jsonl", b"\n \n")
    assert ingest.run([source(tmp_path / "in")], store, Runner(workers=1)) == ([], [])


# -- a corpus that moves


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
        ingest.run([source(path)], store, Runner(workers=1))
    monkeypatch.undo()
    documents, _ = ingest.run([source(path)], store, Runner(workers=1))
    assert documents[0].n_rows == 2


def test_a_file_that_goes_after_it_was_hashed_stops_the_stage(tmp_path, store):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [line_of(1)])
    (group,) = groups_of(source(path), TINY, 1)
    path.unlink()
    with pytest.raises(StageError, match=r"can't be read to its end \(ENOENT\); run the build again"):
        ingest.ingest_group(group, store, TINY)
    assert store.find("ingest", group.name) is None


# -- cost


def test_memory_is_less_than_three_of_the_largest_shard(tmp_path, store, monkeypatch):
    """Python's and Arrow's, at their highest, beside a block of a megabyte that is read."""
    monkeypatch.setattr(rows_of, "PIECE_BYTES", 500_000)
    usual = pa.default_memory_pool()
    sizes, r = Sizes(smallest_bytes=2_000_000, largest_bytes=6_000_000), random.Random(0)
    for name, lines in {
        "long": [b'{"text": "%b"}' % r.randbytes(40_000).hex().encode() for _ in range(150)],
        "short": [b'{"text": "%d"}' % i for i in range(60_000)],
        "bad": [r.randbytes(35_000).hex().encode() for _ in range(150)],
    }.items():
        path = write_jsonl(tmp_path / name / "a.jsonl.zst", lines)
        (group,) = groups_of(source(path), sizes, 1)
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


def test_plain_lines_are_read_at_a_fair_rate(tmp_path, store):
    """Far below what it does (see the benchmarks): only a fall by several times is caught."""
    line = line_of(0)[:-1] + b', "more": "%b"}' % (b"some more words " * 400)
    path = write_jsonl(
        tmp_path / "in" / "a.jsonl", [line.replace(b"Document 0", b"Document %d" % i) for i in range(4000)]
    )
    begun = time.process_time()
    ingest_here(source(path), store)
    assert path.stat().st_size / (time.process_time() - begun) > 15e6
