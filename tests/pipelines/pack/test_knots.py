"""Chunks of the documents of a row are interleaved, in order, with markers."""

import itertools

import numpy as np

from pipelines.pack.knots import knotted
from pipelines.pack.packers import PACKERS, Rows
from tests.pipelines.pack.packers.cases import case

SEEDS = range(200)


def knots_of(seed):
    """Rows, the same with knots, the chunk length, the number of markers."""
    drawn, capacity, _ = case(seed)
    rows = PACKERS["in_order"](drawn, capacity, None)
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 2**63, len(drawn)).astype(np.uint64)
    size, n_knots = int(rng.integers(1, 30)), int(rng.integers(2, 5))
    return rows, knotted(rows, keys, size, n_knots), size, n_knots


def pieces(rows: Rows, row: int):
    span = slice(rows.offsets[row], rows.offsets[row + 1])
    return list(zip(*(c[span].tolist() for c in (rows.draw, rows.start, rows.stop, rows.n_pad, rows.pad)), strict=True))


def test_a_row_keeps_its_tokens_and_the_order_of_each_document():
    for seed in SEEDS:
        rows, knots, size, n_knots = knots_of(seed)
        assert len(rows) == len(knots)
        for row in range(len(rows)):
            before, after = pieces(rows, row), pieces(knots, row)
            for i, (draw, start, stop, *_) in enumerate(before):
                chunks = [piece for piece in after if piece[0] == draw]
                ends = [start, *range(start + size, stop, size), stop]
                alone = i % n_knots == 0 and i + 1 == len(before)
                if alone:
                    ends = [start, stop]
                assert [(a, b) for _, a, b, *_ in chunks] == list(itertools.pairwise(ends)), f"{seed=}"
                assert [n for *_, n, _ in chunks] == [1] * (len(chunks) - 1) + [0]
                assert {pad for *_, pad in chunks} == {i % n_knots}
            sets = [
                [before[i][0] for i in range(k, min(k + n_knots, len(before)))] for k in range(0, len(before), n_knots)
            ]
            number = {draw: k for k, draws in enumerate(sets) for draw in draws}
            order = [number[draw] for draw, *_ in after]
            assert order == sorted(order)  # sets follow each other
            assert sum(n for *_, n, _ in after) <= sum(b - a for _, a, b, *_ in before) // size


def test_every_order_of_two_times_two_chunks_comes_up_about_as_often():
    """Six orders of AABB; that of a row depends on the keys of its draws alone."""
    n = 3_000
    rows = Rows.bare(np.arange(2 * n), np.zeros(2 * n, int), np.full(2 * n, 4), np.arange(0, 2 * n + 1, 2))
    keys = np.random.default_rng(0).integers(0, 2**63, 2 * n).astype(np.uint64)
    knots = knotted(rows, keys, 2, 2)
    orders = [tuple(draw % 2 for draw, *_ in pieces(knots, row)) for row in range(n)]
    counts = {order: orders.count(order) for order in set(orders)}
    assert len(counts) == 6
    assert min(counts.values()) > 400
    assert max(counts.values()) < 600
    back = knotted(rows.take(np.arange(n)[::-1]), keys, 2, 2)
    assert [pieces(back, row) for row in range(n)] == [pieces(knots, row) for row in range(n)][::-1]


def test_the_cases_that_must_come_up():
    interleaved = alone = two_sets = 0
    for seed in SEEDS:
        rows, knots, _, n_knots = knots_of(seed)
        for row in range(len(rows)):
            draws = [draw for draw, *_ in pieces(knots, row)]
            runs = 1 + sum(a != b for a, b in itertools.pairwise(draws))
            members = len(pieces(rows, row))
            interleaved += runs > members
            alone += members % n_knots == 1
            two_sets += members > n_knots
    assert min(interleaved, alone, two_sets) > 50
