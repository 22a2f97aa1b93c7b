import numpy as np

from pipelines.encode.ids import Ids

SEEDS = range(60)


def drawn(rng, n):
    """Rows of ids; None where the library failed."""
    return [None if rng.random() < 0.2 else rng.integers(0, 6, rng.integers(0, 5)) for _ in range(n)]


def rows_of(ids):
    return [None if failed else ids.row(i).tolist() for i, failed in enumerate(ids.failed.tolist())]


def listed(rows):
    return [None if row is None else row.tolist() for row in rows]


def test_rows_come_back():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        rows = drawn(rng, rng.integers(0, 9))
        ids = Ids.of(rows)
        assert rows_of(ids) == listed(rows)
        assert ids.lengths.tolist() == [0 if row is None else len(row) for row in rows]


def test_joined():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        parts = [drawn(rng, rng.integers(0, 5)) for _ in range(rng.integers(0, 4))]
        joined = Ids.joined([Ids.of(part) for part in parts])
        assert rows_of(joined) == [row for part in parts for row in listed(part)]


def test_rows_with_an_id():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        rows = drawn(rng, 9)
        expected = [i for i, row in enumerate(rows) if row is not None and 3 in row]
        assert Ids.of(rows).rows_with(3).tolist() == expected


def test_replaced_rows():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        rows, places = drawn(rng, 9), np.flatnonzero(rng.random(9) < 0.4)
        others = drawn(rng, len(places))
        expected = listed(rows)
        for place, other in zip(places, listed(others), strict=True):
            expected[place] = other
        before = Ids.of(rows)
        assert rows_of(before.replaced(places, Ids.of(others))) == expected
        assert rows_of(before) == listed(rows), "the original is unchanged"


def test_marks_are_around_the_chosen_rows():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        rows, chosen = drawn(rng, 9), rng.random(9) < 0.7
        for bos in (None, 8):
            marked = Ids.of(rows).marked(bos, 9, chosen)
            begin = [] if bos is None else [bos]
            expected = [
                [*begin, *(row or []), 9] if is_chosen else []
                for row, is_chosen in zip(listed(rows), chosen, strict=True)
            ]
            assert [marked.row(i).tolist() for i in range(9)] == expected
