"""The order of documents is the one that sorting their attributes in plain Python gives."""

import itertools
import random
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest

from pipelines.dedup.precedence import COLUMNS, hash_bytes, hex_digits, ranked

SEEDS = range(100)
SOURCES = ("web", "books", "code")


def digest(value):
    return blake2b(str(value).encode(), digest_size=16).hexdigest()


def random_documents(seed):
    """Few values of everything, so that every attribute has to decide."""
    rng = random.Random(seed)
    rows = [
        {
            "document_id": digest(rng.randrange(4)),
            "content_hash": "00" * 15 + rng.choice(["00", "01", "0a", "a0", "ff"]),
            "source": rng.choice(SOURCES),
            "file": rng.choice(["a", "B", "é", "a/b"]),
            "record": rng.randrange(3),
            "n_bytes": rng.randrange(2),
        }
        for _ in range(rng.randrange(1, 25))
    ]
    return list({tuple(row.values()): row for row in rows}.values()), {
        digest(i) for i in range(4) if rng.random() < 0.3
    }


def slow_order(rows, kept):
    def key(i):
        r = rows[i]
        place = SOURCES.index(r["source"])
        return (r["document_id"] not in kept, place, -r["n_bytes"], r["content_hash"], r["document_id"], r["file"], r["record"])  # fmt: skip

    return sorted(range(len(rows)), key=key)


def fast(rows, kept, cuts=()):
    table = pa.Table.from_pylist(rows, pa.schema([(c, pa.int64() if c in ("record", "n_bytes") else pa.string()) for c in COLUMNS]))  # fmt: skip
    tables = [table.slice(a, b - a) for a, b in zip([0, *cuts], [*cuts, len(table)], strict=True)]
    return ranked(tables, SOURCES, hash_bytes(pa.chunked_array([sorted(kept)], pa.string())))


def test_the_order_is_the_slow_one():
    for seed in SEEDS:
        rows, kept = random_documents(seed)
        order, without = slow_order(rows, kept), slow_order(rows, set())
        found = fast(rows, kept, sorted([seed % len(rows), seed // 2 % len(rows)]))
        assert np.argsort(found.rank).tolist() == order, f"{seed=}"
        assert hex_digits(found.content_hash) == [r["content_hash"] for r in rows]
        assert hex_digits(found.document_id) == [r["document_id"] for r in rows]
        for i, row in enumerate(rows):
            same = [j for j in order if rows[j]["content_hash"] == row["content_hash"]]
            assert found.text[i] == same[0]
            if i == same[0]:
                assert found.text_rank_without_base[i] == min(without.index(j) for j in same)
                assert found.text_kept_in_base[i] == any(rows[j]["document_id"] in kept for j in same)


def test_the_cases_the_oracle_must_reach():
    """Guards the test above: each attribute decides between two documents that agree in all before it."""
    decided = set()
    for seed in SEEDS:
        rows, kept = random_documents(seed)
        order = slow_order(rows, kept)
        for i, j in itertools.pairwise(order):
            one, other = ({"kept": rows[k]["document_id"] in kept, **rows[k]} for k in (i, j))
            names = ("kept", "source", "n_bytes", "content_hash", "document_id", "file", "record")
            decided.add(next(name for name in names if one[name] != other[name]))
    assert decided == {"kept", "source", "n_bytes", "content_hash", "document_id", "file", "record"}


def test_hashes_come_back_with_their_zeros():
    hashes = ["00" * 16, "ab" + "00" * 15, "00" * 15 + "ab"]
    found = hash_bytes(pa.chunked_array([hashes[:1], hashes[1:]], pa.string()))
    assert hex_digits(found) == hashes
    assert found.argsort().tolist() == [0, 2, 1]


def test_a_source_that_the_recipe_does_not_name():
    rows, kept = random_documents(0)
    with pytest.raises(KeyError, match="elsewhere"):
        fast([{**rows[0], "source": "elsewhere"}], kept)
