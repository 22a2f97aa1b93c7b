"""What was measured is kept to the bit, in order; what a crash tore or a disk damaged ends it, and is written anew."""

import math
import os
import random

import pytest

from pipelines.score.kept_pairs import Measured
from scorers.chunk_gain import MeasuredPair

HASH = "a1" + "0" * 30
VALUES = (
    0.1,
    1 / 3,
    1e-320,
    1.7976931348623157e308,
    2.220446049250313e-16,
    -0.0,
    5e-324,
    12345.678901234567,
    1e22,
    3.0,
)


def drawn(n, seed=0):
    rng = random.Random(seed)
    return [
        MeasuredPair(
            rng.randrange(10**6), rng.randrange(10**6), rng.choice([*VALUES, rng.random()]), rng.expovariate(1)
        )
        for _ in range(n)
    ]


def bits(pairs):
    return [(p.target, p.context, p.alone.hex(), p.after.hex()) for p in pairs]


@pytest.fixture
def measured(tmp_path):
    return Measured(tmp_path / "model")


def test_a_document_that_was_never_measured_has_no_pairs(measured):
    assert measured.of(HASH) == []
    assert measured.undamaged(HASH) == ([], 0)
    assert not measured.folder.exists()


def test_pairs_are_added_behind_those_that_are_there(measured):
    pairs = drawn(40)
    for start, stop in ((0, 1), (1, 2), (2, 2), (2, 20), (20, 40)):
        measured.add(HASH, pairs[start:stop])
        assert bits(measured.of(HASH)) == bits(pairs[:stop])
    assert measured.undamaged(HASH)[1] == measured.path(HASH).stat().st_size
    assert all(isinstance(p, MeasuredPair) for p in measured.of(HASH))


def test_values_come_back_to_the_bit(measured):
    pairs = [MeasuredPair(1, 0, a, b) for a in VALUES for b in VALUES]
    measured.add(HASH, pairs)
    assert bits(measured.of(HASH)) == bits(pairs)
    measured.add(HASH, iter([MeasuredPair(2, 1, math.nan, math.inf)]))
    last = measured.of(HASH)[-1]
    assert math.isnan(last.alone)
    assert last.after == math.inf


def test_documents_and_models_are_kept_apart(tmp_path):
    one, other = Measured(tmp_path / "one"), Measured(tmp_path / "other")
    hashes = [HASH, "a1" + "0" * 29 + "1", "b2" + "0" * 30]
    for k, content_hash in enumerate(hashes):
        one.add(content_hash, drawn(3, seed=k))
    assert [bits(one.of(h)) for h in hashes] == [bits(drawn(3, seed=k)) for k in range(3)]
    assert [other.of(h) for h in hashes] == [[], [], []]
    assert one.path(HASH) == tmp_path / "one" / "a1" / f"{HASH}.jsonl"


def test_a_file_cut_at_any_byte_goes_on_behind_its_last_whole_line(measured):
    pairs = drawn(4)
    measured.add(HASH, pairs)
    whole = measured.path(HASH).read_bytes()
    ends = [0, *(k + 1 for k, byte in enumerate(whole) if byte == ord("\n"))]
    assert len(ends) == 5
    for cut in range(len(whole) + 1):
        measured.path(HASH).write_bytes(whole[:cut])
        n = sum(end <= cut for end in ends) - 1
        assert bits(measured.of(HASH)) == bits(pairs[:n]), f"{cut=}"
        assert measured.undamaged(HASH)[1] == ends[n]
        measured.add(HASH, pairs[n:])
        assert measured.path(HASH).read_bytes() == whole, f"{cut=}"


def test_a_damaged_line_ends_the_pairs(measured):
    """Each byte of the second of three lines, changed in several ways: a value is the right one or none."""
    pairs = drawn(3, seed=1)
    measured.add(HASH, pairs)
    whole = measured.path(HASH).read_bytes()
    first, second, _ = whole.splitlines(keepends=True)
    harmless = 0
    for at in range(len(first), len(first) + len(second)):
        for byte in sorted({whole[at] ^ bit for bit in (1, 4, 16, 128)} | set(b"\n 0.e") - {whole[at]}):
            measured.path(HASH).write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            found = measured.of(HASH)
            if len(found) == 3:  # a space became a tab: it says the same
                assert bits(found) == bits(pairs)
                assert bytes([whole[at], byte]).isspace()
                harmless += 1
                continue
            assert bits(found) == bits(pairs[:1]), f"{at=} {byte=}"
    assert harmless < 10
    measured.path(HASH).write_bytes(whole[: len(first)] + b"x" + whole[len(first) + 1 :])
    measured.add(HASH, pairs[1:2])  # what follows the damage is gone
    assert measured.path(HASH).read_bytes() == first + second


@pytest.mark.parametrize("tail", [b"\n", b"\0" * 64, b"\xff\xfe\n", b"[]\n", b"{}\n", b'"x"\n', b"[1, 2, 3.0, 4.0]\n", b"[1]\n", b"\r\n"])  # fmt: skip
def test_lines_that_are_no_pairs_end_the_pairs(measured, tail):
    pairs = drawn(2)
    measured.add(HASH, pairs)
    with open(measured.path(HASH), "ab") as stream:
        stream.write(tail)
    assert bits(measured.of(HASH)) == bits(pairs)
    measured.add(HASH, drawn(1, seed=9))
    assert bits(measured.of(HASH)) == bits(pairs + drawn(1, seed=9))


@pytest.mark.parametrize("tail", [b"5\n", b"null\n", b"true\n"])
def test_lines_that_are_no_lists_end_the_pairs(measured, tail):
    measured.add(HASH, drawn(2))
    with open(measured.path(HASH), "ab") as stream:
        stream.write(tail)
    assert bits(measured.of(HASH)) == bits(drawn(2))


def test_pairs_in_another_order_are_another_file(measured):
    """The order is that of the sequence: it is kept, never sorted."""
    pairs = drawn(5)[::-1]
    measured.add(HASH, pairs)
    assert bits(measured.of(HASH)) == bits(pairs)


def test_pairs_are_on_disk_when_add_returns(measured, monkeypatch):
    """All of them are written before the one sync, and nothing after."""
    sizes = []
    measured.path(HASH).parent.mkdir(parents=True)  # a new folder's name is synced too
    monkeypatch.setattr(os, "fsync", lambda _: sizes.append(measured.path(HASH).stat().st_size))
    for n in (1, 5):
        measured.add(HASH, drawn(n))
        assert sizes[-1] == measured.path(HASH).stat().st_size
    assert len(sizes) == 2
