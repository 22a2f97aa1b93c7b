"""Components hold every pair of candidates, however blocks and shards were cut, in memory or in files."""

import itertools
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pipelines.dedup import candidates
from pipelines.dedup.candidates import Join, components, compress, connect, union
from pipelines.dedup.minhash import n_agreeing
from pipelines.stage import Engine, Runner
from pipelines.store import Store

SEEDS = range(150)
N_BANDS, ROWS, FLOOR = 25, 5, 80


def slow_components(n, edges):
    """[n] the smallest member of each one's component: spread it along the edges until nothing changes."""
    root = list(range(n))
    for _ in range(n):
        for a, b in edges:
            root[a] = root[b] = min(root[a], root[b])
    return root


def slow_edges(keys, positions, signed, floor, most):
    """All pairs of a small bucket that agree enough, all pairs of a large one."""
    edges = []
    for key in set(keys.tolist()):
        bucket = positions[keys == key].tolist()
        edges += [
            (a, b)
            for a, b in itertools.combinations(bucket, 2)
            if len(bucket) > most or sum(x == y for x, y in zip(signed[a], signed[b], strict=True)) >= floor
        ]
    return edges


def joined(n, edges):
    root = np.arange(n)
    union(root, np.array(edges, np.int64).reshape(-1, 2))
    compress(root)
    return root.tolist()


def bucket_case(seed):
    random = np.random.default_rng(seed)
    n, most = int(random.integers(1, 25)), int(random.integers(1, 9))
    keys = np.sort(random.integers(0, random.integers(1, 9), 40).astype(np.uint64))
    return keys, random.integers(0, n, 40), random.integers(0, 2, (n, 6), np.uint32), int(random.integers(2, 7)), most


def test_buckets_are_joined_as_all_their_pairs_would_join_them():
    for seed in SEEDS:
        keys, positions, signed, floor, most = bucket_case(seed)
        found = connect(keys, positions, signed, floor, most).tolist()
        n = len(signed)
        assert len(found) <= len(keys) - len(set(keys.tolist()))
        assert joined(n, found) == slow_components(n, slow_edges(keys, positions, signed, floor, most)), f"{seed=}"


def test_the_cases_the_oracle_must_reach():
    """Guards the test above from passing on easy input."""
    met = set()
    for seed in SEEDS:
        keys, positions, signed, floor, most = bucket_case(seed)
        sizes = np.bincount(keys.astype(np.int64))
        met.update("small" for _ in [0] if (sizes[sizes > 1] < most).any())
        met.update("as large as may be" for _ in [0] if (sizes[sizes > 1] == most).any())
        met.update("large" for _ in [0] if (sizes > most).any())
        edges = slow_edges(keys, positions, signed, floor, most)
        root = slow_components(len(signed), edges)
        met.update("several" for _ in [0] if 1 < len(set(root)) < len(root))
        for key in np.flatnonzero((sizes > 2) & (sizes <= most)):
            bucket = positions[keys == key].tolist()
            path = slow_components(len(signed), slow_edges(keys[keys == key], np.array(bucket), signed, floor, most))
            pairs = [(a, b) for a, b in itertools.combinations(bucket, 2) if path[a] == path[b]]
            met.update("a path" for a, b in pairs if n_agreeing(signed[a], signed[b]) < floor)
    assert met == {"small", "as large as may be", "large", "a path", "several"}


@pytest.mark.parametrize("seed", range(5))
def test_any_edges_make_their_components(seed):
    edges = np.random.default_rng(seed).integers(0, 300, (200, 2))
    assert joined(300, edges) == slow_components(300, edges.tolist())


def families(seed, n=240):
    """Signatures of texts, some of them copies of one another with a few or with half of their places changed."""
    random = np.random.default_rng(seed)
    signed = random.integers(0, 2**32, (n, 128), np.uint32)
    for i in range(1, n):
        if random.random() < 0.6:
            signed[i] = signed[random.integers(i)]
            changed = random.choice(128, random.choice([1, 20, 70]), replace=False)
            signed[i, changed] = random.integers(0, 2**32, len(changed), np.uint32)
    return signed


def slow_candidates(signed):
    return [
        (a, b)
        for a, b in itertools.combinations(range(len(signed)), 2)
        if n_agreeing(signed[a], signed[b]) >= FLOOR
        and (signed[a, :125] == signed[b, :125]).reshape(N_BANDS, ROWS).all(axis=1).any()
    ]


def shards_of(store, signed, cuts):
    return [
        store.write(
            "SIGNATURES",
            pa.table(
                {
                    "n_shingles": pa.array([9] * len(part), pa.int32()),
                    "signature": pa.FixedSizeListArray.from_arrays(part.ravel(), 128),
                    "sketch": pa.array([[]] * len(part), pa.list_(pa.uint64())),
                }
            ),
        )
        for part in np.split(signed, cuts)
    ]


@pytest.mark.parametrize(("cuts", "n_blocks", "workers"), [([], 1, 1), ([7, 7, 90], 16, 2), ([120], 40, 2)])  # fmt: skip
def test_components_are_those_of_the_candidates(tmp_path, cuts, n_blocks, workers):
    store = Store(tmp_path)
    for seed in range(3):
        signed = families(seed)
        texts = np.flatnonzero(np.random.default_rng(seed).random(len(signed)) < 0.8)
        with store.scratch(f"dedup{seed}") as scratch:
            join = Join(scratch, N_BANDS, ROWS, 128, FLOOR, n_blocks)
            root = components(shards_of(store, signed, cuts), texts, join, Engine(store, Runner(workers=workers)))
            assert np.array_equal(join.signatures(), signed)
        edges = [(texts[a], texts[b]) for a, b in slow_candidates(signed[texts])]
        slow = slow_components(len(signed), edges)
        assert root.tolist() == slow
        assert max(Counter(slow).values()) > 2


def test_a_large_bucket_is_one_component(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "MAX_BUCKET_TEXTS", 3)
    store, signed = Store(tmp_path), families(0, 4)
    signed[:, 5:10] = 1
    texts = np.arange(4)
    shards, engine = shards_of(store, signed, [2]), Engine(store, Runner(workers=1))
    for n_texts, expected in ((4, [0, 0, 0, 0]), (3, [0, 1, 2, 3])):
        with store.scratch("dedup") as scratch:
            join = Join(scratch, N_BANDS, ROWS, 128, 128, 4)
            assert components(shards, texts[:n_texts], join, engine).tolist() == expected
