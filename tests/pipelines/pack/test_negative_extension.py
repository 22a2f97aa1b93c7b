"""Rows of chunks and their neighbours, against code that keeps lists."""

import numpy as np

from pipelines.pack.negative_extension import negative_extension
from tests.pipelines.pack.packers.cases import rows_of

SEEDS = range(300)


def case(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 9))
    lengths = rng.integers(0, 40, int(rng.integers(0, 12)))
    n_chunks = int((-(-lengths // size)).sum())
    lists = [rng.permutation(n_chunks)[: int(rng.integers(0, 6))].tolist() for _ in range(n_chunks)]
    offsets = np.cumsum([0, *map(len, lists)])
    neighbours = np.array([j for each in lists for j in each], np.int32)
    return lengths, size, offsets, neighbours, int(rng.integers(0, 4)), size * int(rng.integers(1, 9))


def slow(lengths, size, offsets, neighbours, k, capacity):
    chunks = [(d, a, min(a + size, n)) for d, n in enumerate(lengths.tolist()) for a in range(0, n, size)]
    rows, used = [[]], set()

    def room():
        return capacity - sum(b - a for _, a, b in rows[-1])

    for i, (d, a, b) in enumerate(chunks):
        if i in used:
            continue
        if b - a > room():
            rows.append([])
        rows[-1].append(chunks[i])
        used.add(i)
        taken = 0
        for j in neighbours[offsets[i] : offsets[i + 1]].tolist():
            d2, a2, b2 = chunks[j]
            if taken < k and j not in used and d2 != d and b2 - a2 <= room():
                rows[-1].append(chunks[j])
                used.add(j)
                taken += 1
    merged = []
    for row in rows:
        merged.append([])
        for d, a, b in row:
            continues = merged[-1] and (merged[-1][-1][0], merged[-1][-1][2]) == (d, a)
            merged[-1].append((d, merged[-1].pop()[1] if continues else a, b))
    return [row for row in merged if row]


def test_it_is_the_slow_one_and_every_token_is_in_one_row():
    for seed in SEEDS:
        rows = rows_of(negative_extension(*case(seed)))
        assert rows == slow(*case(seed)), f"{seed=}"
        tokens = sorted((d, t) for row in rows for d, a, b in row for t in range(a, b))
        lengths, _, _, _, _, capacity = case(seed)
        assert tokens == [(d, t) for d, n in enumerate(lengths.tolist()) for t in range(n)]
        assert all(sum(b - a for _, a, b in row) <= capacity for row in rows)


def test_neighbours_follow_their_chunk_by_hand():
    """Documents of two chunks; the second of document 1 is most similar to the first of document 0."""
    offsets, neighbours = np.array([0, 2, 2, 2, 2]), np.array([1, 3])
    rows = negative_extension(np.array([4, 4]), 2, offsets, neighbours, 1, 8)
    assert rows_of(rows) == [[(0, 0, 2), (1, 2, 4), (0, 2, 4), (1, 0, 2)]]
    rows = negative_extension(np.array([4, 4]), 2, offsets, neighbours, 0, 8)
    assert rows_of(rows) == [[(0, 0, 4), (1, 0, 4)]]


def test_the_cases_the_oracle_must_reach():
    found = [rows_of(negative_extension(*case(seed))) for seed in SEEDS]
    assert sum(any(len({d for d, *_ in row}) < len(row) for row in rows) for rows in found) > 50  # a document is parted
    assert sum(len(rows) > 2 for rows in found) > 50
    assert any(len(rows) == 0 for rows in found)
