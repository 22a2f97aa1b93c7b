"""How much of a file lies before a record, packed in each way."""

import bz2
import gzip
import lzma
import random

import pytest
import zstandard

from pipelines.forecast.position import part_before
from pipelines.ingest.readers.record import File, Record

DATA = b"".join(random.Random(0).randbytes(40).hex().encode() + b"\n" for _ in range(20_000))
PACKERS = {
    "plain": bytes, "gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress, "xz": lzma.compress,
    "bz2": bz2.compress,
}  # fmt: skip


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("members", [1, 7])
@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_the_part_is_that_of_the_unpacked_bytes(tmp_path, kind, members, part):
    size = -(-len(DATA) // members)
    packed = b"".join(PACKERS[kind](DATA[i : i + size]) for i in range(0, len(DATA), size))
    path = tmp_path / "a.jsonl"  # the name does not matter
    path.write_bytes(packed)
    record = Record("a", max(0, int(part * len(DATA)) - 1), DATA[:1])
    tolerance = 0.25 if kind == "bz2" and members == 1 else 0.05  # bz2 gives 900 kB at a time
    assert part_before("jsonl", File("a", str(path), len(packed)), record, 0) == pytest.approx(part, abs=tolerance)


def test_a_damaged_file_gives_what_was_unpacked(tmp_path):
    packed = bytearray(gzip.compress(DATA))
    packed[len(packed) // 2 :] = b"x" * (len(packed) - len(packed) // 2)
    (tmp_path / "a").write_bytes(packed)
    part = part_before("jsonl", File("a", str(tmp_path / "a"), len(packed)), Record("a", len(DATA), b""), 0)
    assert 0.3 < part <= 1


def test_rows_of_an_arrow_file_count_by_their_bytes(tmp_path):
    assert part_before("hf", File("a", str(tmp_path), 200), Record("a", 1_000_000, b"x"), 50) == 0.25
