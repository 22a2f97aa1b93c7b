"""concat is the slow one that places one token at a time."""

from pipelines.pack.packers.concat import concat
from tests.pipelines.pack.packers.cases import SEEDS, case, drawn_of, rows_of


def slow_concat(drawn, capacity, max_segments):
    """One token at a time."""
    lengths, documents = drawn.lengths, drawn.documents
    rows = [[]]
    for draw, n in enumerate(lengths.tolist()):
        if n and any(documents[d] == documents[draw] for d, _ in rows[-1]):
            rows.append([])
        for token in range(n):
            new = not any(d == draw for d, _ in rows[-1])
            if len(rows[-1]) == capacity or (new and len({d for d, _ in rows[-1]}) == (max_segments or -1)):
                rows.append([])
            rows[-1].append((draw, token))
    found = []
    for row in rows:
        draws = sorted({d for d, _ in row})
        tokens = [[t for d, t in row if d == draw] for draw in draws]
        found.append([(d, t[0], t[-1] + 1) for d, t in zip(draws, tokens, strict=True)])
    return [row for row in found if row]


def test_concat_is_the_slow_one():
    for seed in SEEDS:
        assert rows_of(concat(*case(seed))) == slow_concat(*case(seed)), f"{seed=}"


def test_concat_fills_every_row_that_could_be():
    for seed in SEEDS:
        drawn, capacity, _ = case(seed)
        rows = concat(drawn_of(drawn.lengths), capacity, None)
        assert (rows.n_tokens[:-1] == capacity).all(), f"{seed=}"
        assert len(rows) == -(-int(drawn.lengths.sum()) // capacity)
