"""Vectors are kept to the bit and found by content; a torn or damaged block counts as missing."""

from itertools import pairwise

import numpy as np
import pytest

from pipelines.kept_vectors import Index, KeptVectors, keys_of
from schemas.errors import StageError


def drawn(n, seed=0, d=5):
    rng = np.random.default_rng(seed)
    content = rng.integers(0, 2**63, (n, 2), dtype=np.uint64)
    return keys_of(content), rng.normal(size=(n, d)).astype(np.float32)


@pytest.fixture
def kept(tmp_path):
    (tmp_path / "parts").mkdir()
    return KeptVectors(tmp_path / "vectors")


def add(kept, keys, vectors):
    return kept.add(keys, vectors, kept.folder.parent / "parts")


def test_a_block_is_read_as_it_was_written(kept, tmp_path):
    for n in (1, 40, 0):
        keys, vectors = drawn(n, seed=n)
        name = add(kept, keys, vectors)
        assert kept.path(name).parent.name == name[:2]
        read = kept.block(name)
        assert read[0].tobytes() == keys.tobytes()
        assert (read[1].tobytes(), read[1].shape) == (vectors.tobytes(), (n, 5))
    assert len(kept.names()) == 3
    assert list((tmp_path / "parts").iterdir()) == []
    assert kept.block("0" * 32) is None


def test_any_damage_is_a_missing_block(kept):
    keys, vectors = drawn(3)
    name = add(kept, keys, vectors)
    raw = kept.path(name).read_bytes()
    for place in range(len(raw)):
        kept.path(name).write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        assert kept.block(name) is None, place
        if place % 7 == 0:
            kept.path(name).write_bytes(raw[:place])
            assert kept.block(name) is None, place
    kept.path(name).write_bytes(raw + b"x")
    assert kept.block(name) is None
    assert len(Index.of(kept).keys) == 0
    add(kept, keys, vectors)
    assert kept.path(name).read_bytes() == raw


def test_documents_are_found_in_any_block(kept):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        keys, vectors = drawn(60, seed)
        stops = [0, *sorted(rng.choice(59, 3, replace=False) + 1), 60]
        is_kept = np.zeros(60, bool)
        for start, stop in pairwise(stops):
            if rng.random() < 0.7:
                add(kept, keys[start:stop], vectors[start:stop])
                is_kept[start:stop] = True
        places = Index.of(kept).places(keys)
        assert places.missing().tolist() == np.flatnonzero(~is_kept).tolist(), f"{seed=}"
        chosen = rng.permutation(np.flatnonzero(is_kept))[:17]
        mine = Index.of(kept).places(keys[chosen])
        assert len(mine.names) == len(np.unique(mine.block))
        if len(chosen):
            assert mine.vectors(kept).tobytes() == vectors[chosen].tobytes(), f"{seed=}"
        if is_kept.all():
            assert places.vectors(kept).tobytes() == vectors.tobytes()
        else:
            with pytest.raises(StageError, match="a block is missing or damaged"):
                places.vectors(kept)


def test_no_document_has_no_vectors(kept):
    places = Index.of(kept).places(np.empty(0, "S16"))
    assert places.missing().tolist() == []
    assert places.vectors(kept).shape == (0, 0)
    with pytest.raises(StageError, match="a block is missing or damaged"):
        Index.of(kept).places(drawn(2)[0]).vectors(kept)


def test_a_block_that_is_damaged_after_indexing_is_noticed(kept):
    keys, vectors = drawn(4)
    name = add(kept, keys, vectors)
    places = Index.of(kept).places(keys)
    kept.path(name).write_bytes(b"torn")
    with pytest.raises(StageError, match="a block is missing or damaged"):
        places.vectors(kept)


def test_keys_sort_as_the_hashes_do():
    content = np.array([[1, 2], [0, 2**63], [1, 1], [2**64 - 1, 0]], np.uint64)
    keys = keys_of(content)
    assert np.argsort(keys).tolist() == [1, 2, 0, 3]
    assert keys_of(content[:0]).shape == (0,)
