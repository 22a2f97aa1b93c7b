"""A record is whole or a head, a length and a hash; a field is sane or named by what is wrong with it."""

import random

from pipelines.ingest.readers.record import HEAD_BYTES, Pieces, hash_of


def test_pieces_are_whole_or_a_head_and_a_hash():
    for seed in range(200):
        r = random.Random(seed)
        parts = [r.randbytes(r.randrange(5)) for _ in range(r.randrange(6))]
        data, most = b"".join(parts), r.randrange(1, 12)
        pieces = Pieces(most)
        for part in parts:
            pieces.add(part)
        record = pieces.record("f", 3)
        if len(data) <= most:
            assert (pieces.whole(), record.raw, record.fault) == (data, data, None)
        else:
            assert pieces.whole() is None
            assert (record.fault.reason, record.fault.n_bytes) == ("too_large", len(data))
        assert pieces.hash() == hash_of(data)


def test_a_long_record_keeps_its_head_alone():
    pieces = Pieces(100_000)
    for _ in range(200):
        pieces.add(b"abcd" * 1000)
        assert sum(map(len, pieces.kept)) <= 104_000
    assert len(pieces.record("f", 0).raw) == HEAD_BYTES
