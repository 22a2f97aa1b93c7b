"""Which documents a calibration measures: of each domain in turn the one of lowest content hash, over all shards."""

import random

import pyarrow as pa
import pytest

from pipelines import calibrate as module
from pipelines.calibrate import pool
from pipelines.documents import Chunking
from pipelines.store import Store
from schemas.errors import RecipeError
from schemas.tables import DOCUMENTS, TOKENS
from scorers.chunk_gain.pairs import n_far, n_near
from tests.tokens import token_row

CHUNKS, C = 6, 4


def corpus(seed, store):
    """Shards of DOCUMENTS and TOKENS, and (domain, content_hash, shard, row) of each document of CHUNKS chunks."""
    rng = random.Random(seed)
    documents, tokens, long = [], [], []
    for shard in range(3):
        texts, ids = [], []
        for row in range(rng.randint(0, 8)):
            name, domain = f"{rng.getrandbits(128):032x}", rng.choice("abc")
            n = rng.choice([None, 2, CHUNKS * C, CHUNKS * C + 1, CHUNKS * C + 30])
            texts.append({
                "document_id": name, "content_hash": name, "source": "s", "record_id": None, "origin": None, "domain": domain,
                "license": None, "file": "f", "record": row, "n_bytes": 1, "text": "x",
            })  # fmt: skip
            ids.append(token_row(name, None if n is None else [1] * n))
            if n and n > CHUNKS * C:
                long.append((domain, name, shard, row))
        documents.append(store.write("DOCUMENTS", pa.Table.from_pylist(texts, schema=DOCUMENTS)))
        tokens.append(store.write("TOKENS", pa.Table.from_pylist(ids, schema=TOKENS)))
    return documents, tokens, long


def slow_pool(long, n):
    """Take the lowest hash that is left of each domain, one domain after the other."""
    left, chosen = sorted(long), []
    while left and len(chosen) < n:
        for domain in sorted({one[0] for one in left}):
            first = min(one for one in left if one[0] == domain)
            left.remove(first)
            chosen.append(first)
    return chosen[:n]


def test_a_bos_is_no_token_of_a_chunk(tmp_path, monkeypatch):
    """With two marks, CHUNKS * C + 1 tokens are one too few."""
    monkeypatch.setattr(module, "CHUNKS", CHUNKS)
    store = Store(tmp_path)
    name = "0" * 32
    text = {
        "document_id": name, "content_hash": name, "source": "s", "record_id": None, "origin": None, "domain": "a",
        "license": None, "file": "f", "record": 0, "n_bytes": 1, "text": "x",
    }  # fmt: skip
    documents = [store.write("DOCUMENTS", pa.Table.from_pylist([text], schema=DOCUMENTS))]
    for n, marks, n_long in ((CHUNKS * C + 1, 1, 1), (CHUNKS * C + 1, 2, 0), (CHUNKS * C + 2, 2, 1)):
        tokens = [store.write("TOKENS", pa.Table.from_pylist([token_row(name, [1] * n)], schema=TOKENS))]
        ((_, readings),) = pool(documents, tokens, n_long, Chunking(C, marks), store)
        assert len(readings) == n_long
        with pytest.raises(RecipeError, match=f"{n_long} documents have"):
            pool(documents, tokens, n_long + 1, Chunking(C, marks), store)


def test_the_pool_is_the_slow_one(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNKS", CHUNKS)
    several = 0
    for seed in range(40):
        store = Store(tmp_path / str(seed))
        documents, tokens, long = corpus(seed, store)
        for n in sorted({0, min(1, len(long)), len(long) // 2, len(long)}):
            readings = pool(documents, tokens, n, Chunking(C, 1), store)
            assert [shard for shard, _ in readings] == tokens
            found = [[(r.content_hash, r.row) for r in each] for _, each in readings]
            expected = [[one[1], one[3], one[2]] for one in slow_pool(long, n)]
            assert found == [[(name, row) for name, row, at in expected if at == shard] for shard in range(3)], (
                f"{seed=} {n=}"
            )
            many = n_near(CHUNKS) + n_far(CHUNKS)
            price = many * (C - 1) + CHUNKS * (C + 1)
            assert all((r.n_chunks, r.n_pairs, r.price) == (CHUNKS, many, price) for _, each in readings for r in each)
        several += len({one[0] for one in long}) == 3 and len({one[2] for one in long}) == 3
        with pytest.raises(RecipeError, match=rf"{len(long)} documents have 6 chunks of 4 tokens; ask for fewer"):
            pool(documents, tokens, len(long) + 1, Chunking(C, 1), store)
    assert several > 5
