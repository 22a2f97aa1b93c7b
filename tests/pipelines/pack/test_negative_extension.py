"""Rows of chunks and their neighbours, and what fills their ends, against code that keeps lists."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.pack.negative_extension import Chunks, negative_extension
from schemas.errors import SchemaError
from tests.pipelines.pack.packers.cases import SlowRooms, drawn_of, longest_first, rest_of, rows_of

SEEDS = range(300)


def case(seed):
    """Drawn, capacity, chunks. The first draws are the path; of some labels it has two."""
    rng = np.random.default_rng(seed)
    size, n, n_path = int(rng.integers(1, 9)), int(rng.integers(0, 18)), int(rng.integers(0, 12))
    n_path = min(n, n_path)
    labels = np.where(rng.random(n) < 0.3, rng.integers(max(1, n), size=n), np.arange(n)) % max(1, n_path + 3)
    drawn = drawn_of(rng.integers(0, 40, n).tolist(), labels.tolist(), on_path=(np.arange(n) < n_path).tolist())
    n_chunks = int((-(-drawn.lengths[:n_path] // size)).sum())
    lists = [rng.permutation(n_chunks)[: int(rng.integers(0, 6))].tolist() for _ in range(n_chunks)]
    offsets = np.cumsum([0, *map(len, lists)])
    neighbours = np.array([j for each in lists for j in each], np.int32)
    return drawn, size * int(rng.integers(1, 9)), Chunks(size, offsets, neighbours, int(rng.integers(1, 4)))


def slow_path(drawn, capacity, chunks):
    return [merged(row) for row in slow_chunks(drawn, capacity, chunks)[0]]


def slow_chunks(drawn, capacity, chunks):
    """The chunks of each row of the path, and chunk -> the one that it follows as a neighbour."""
    lengths = drawn.lengths[drawn.on_path].tolist()
    every = [(d, a, min(a + chunks.size, n)) for d, n in enumerate(lengths) for a in range(0, n, chunks.size)]
    rows, used, follows = [[]], set(), {}

    def fits(chunk):
        has_label = any(drawn.documents[d] == drawn.documents[chunk[0]] and d != chunk[0] for d, _, _ in rows[-1])
        return chunk[2] - chunk[1] <= capacity - sum(b - a for _, a, b in rows[-1]) and not has_label

    for i, chunk in enumerate(every):
        if i in used:
            continue
        if not fits(chunk):
            rows.append([])
        rows[-1].append(chunk)
        used.add(i)
        taken = 0
        for j in chunks.neighbours[chunks.offsets[i] : chunks.offsets[i + 1]].tolist():
            if taken < chunks.k and j not in used and every[j][0] != chunk[0] and fits(every[j]):
                rows[-1].append(every[j])
                used.add(j)
                taken += 1
                follows[every[j]] = chunk
    return [row for row in rows if row], follows


def merged(row):
    """Chunks that follow each other in their document as one piece."""
    pieces = []
    for d, a, b in row:
        continues = pieces and (pieces[-1][0], pieces[-1][2]) == (d, a)
        pieces.append((d, pieces.pop()[1] if continues else a, b))
    return pieces


def slow(drawn, capacity, chunks):
    rows = slow_path(drawn, capacity, chunks)
    off_path = {i for i in range(len(drawn)) if not drawn.on_path[i]}
    rest, full = ([each for each in pieces if whose(each) in off_path] for pieces in rest_of(drawn, capacity))
    rooms = SlowRooms(drawn, capacity, None, rows)
    rooms.place(longest_first(rest, drawn))
    return rooms.rows + full


def whose(piece):
    return piece[0][0] if isinstance(piece, list) else piece[0]


def unordered_ends(rows, on_path):
    """Rows whose pieces off the path, at the end of each, are sorted."""
    ends = [[piece for piece in row if not on_path[piece[0]]] for row in rows]
    assert all(row[len(row) - len(end) :] == end for row, end in zip(rows, ends, strict=True))
    return [row[: len(row) - len(end)] + sorted(end) for row, end in zip(rows, ends, strict=True)]


def test_it_is_the_slow_one_and_every_token_is_in_one_row():
    for seed in SEEDS:
        drawn, capacity, chunks = case(seed)
        rows = rows_of(negative_extension(drawn, capacity, chunks))
        expected = slow(drawn, capacity, chunks)
        assert unordered_ends(rows, drawn.on_path) == unordered_ends(expected, drawn.on_path), f"{seed=}"
        tokens = sorted((d, t) for row in rows for d, a, b in row for t in range(a, b))
        assert tokens == [(d, t) for d, n in enumerate(drawn.lengths.tolist()) for t in range(n)]
        assert all(sum(b - a for _, a, b in row) <= capacity for row in rows)
        for row in rows:
            draws = {d for d, _, _ in row}
            assert len({drawn.documents[d] for d in draws}) == len(draws), "two draws of a label share a row"


def by_hand(k, labels=(0, 1), offsets=(0, 2, 2, 2, 2), neighbours=(1, 3)):
    chunks = Chunks(2, np.array(offsets), np.array(neighbours, np.int32), k)
    return rows_of(negative_extension(drawn_of([4, 4], labels), 8, chunks))


def test_neighbours_follow_their_chunk_by_hand():
    """Documents of two chunks; the second of document 1 is most similar to the first of document 0."""
    assert by_hand(1) == [[(0, 0, 2), (1, 2, 4), (0, 2, 4), (1, 0, 2)]]
    assert by_hand(1, offsets=(0, 0, 0, 0, 0), neighbours=()) == [[(0, 0, 4), (1, 0, 4)]]
    assert by_hand(1, labels=(0, 0)) == [[(0, 0, 4)], [(1, 0, 4)]]


def test_the_end_of_a_row_takes_a_further_copy_that_fits_and_is_of_no_document_in_it():
    """Document 0 is 6 of 8 tokens; its copy of 2 tokens fits but may not, the copy of 2 tokens of document 1 may."""
    drawn = drawn_of([6, 2, 2], [0, 0, 1], on_path=[True, False, False])
    rows = rows_of(negative_extension(drawn, 8, Chunks(6, np.zeros(2, np.int64), np.empty(0, np.int32), 1)))
    assert rows == [[(0, 0, 6), (2, 0, 2)], [(1, 0, 2)]]


def test_chunks_of_other_draws_are_refused():
    chunks = Chunks(2, np.zeros(4, np.int64), np.empty(0, np.int32), 1)
    with pytest.raises(SchemaError, match="CHUNKS has 3 chunks and the path 4; use tables of the same build"):
        negative_extension(drawn_of([4, 4]), 8, chunks)


def test_lists_are_those_of_the_table():
    table = pa.table({"neighbours": pa.chunked_array([[[1, 2]], [[], [0]]], pa.list_(pa.int32()))})
    chunks = Chunks.of(table, 5, 2)
    assert (chunks.size, chunks.k) == (5, 2)
    assert (chunks.offsets.tolist(), chunks.neighbours.tolist()) == ([0, 2, 2, 3], [1, 2, 0])


def test_the_cases_the_oracle_must_reach():
    found = {seed: (case(seed)[0], rows_of(negative_extension(*case(seed)))) for seed in SEEDS}
    all_rows = [rows for _, rows in found.values()]
    assert sum(any(len({d for d, *_ in row}) < len(row) for row in rows) for rows in all_rows) > 50  # one is parted
    assert sum(len(rows) > 2 for rows in all_rows) > 50
    assert any(len(rows) == 0 for rows in all_rows)
    ends = [any(len({bool(drawn.on_path[d]) for d, *_ in row}) == 2 for row in rows) for drawn, rows in found.values()]
    assert sum(ends) > 50, "few ends of rows are filled"
    twice = [len(set(drawn.documents[drawn.on_path])) < drawn.on_path.sum() for drawn, _ in found.values()]
    assert sum(twice) > 30, "few labels are twice on the path"
