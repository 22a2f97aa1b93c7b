"""Where a stream is cut is what the slow cutting says, and an edit moves few cuts."""

import random

from pipelines.ingest.cutting import cut


def slow_cut(items: list[tuple[int, int]], smallest: int, largest: int) -> list[list[tuple[int, int]]]:
    """Items are (priority, size). Look at every place for every chunk."""
    chunks = []
    while sum(size for _, size in items) > largest and len(items) > 1:
        windows = {n: sum(size for _, size in items[:n]) for n in range(1, len(items))}
        places = [n for n, size in windows.items() if smallest <= size <= largest]
        if places:
            highest = max(items[n][0] for n in places)
            n = next(n for n in places if items[n][0] == highest)
        else:
            n = max([n for n, size in windows.items() if size <= largest], default=1)
        chunks.append(items[:n])
        items = items[n:]
    return [*chunks, items] if items else chunks


def drawn_items(seed: int) -> tuple[list[tuple[int, int]], int, int]:
    r = random.Random(seed)
    smallest = r.randrange(1, 12)
    largest = smallest + r.randrange(20)
    sizes = r.choice([range(1, 4), range(1, 40), range(3)])
    return [(r.randrange(r.choice([3, 1000])), r.choice(sizes)) for _ in range(r.randrange(60))], smallest, largest


def chunks_of(items, smallest, largest):
    return list(cut(iter(items), lambda item: item[1], lambda item: item[0], smallest, largest))


def test_cutting_is_the_slow_cutting():
    for seed in range(2000):
        items, smallest, largest = drawn_items(seed)
        assert chunks_of(items, smallest, largest) == slow_cut(items, smallest, largest), f"{seed=}"


def test_the_cuts_the_oracle_must_reach():
    drawn = [drawn_items(seed) for seed in range(2000)]
    cuts = [(items, s, b, slow_cut(items, s, b)) for items, s, b in drawn]
    sizes = [[sum(size for _, size in chunk) for chunk in chunks[:-1]] for _, _, _, chunks in cuts]
    assert any(n > b for (_, _, b, _), all_ in zip(cuts, sizes, strict=True) for n in all_)  # a large item alone
    assert any(n < s for (_, s, _, _), all_ in zip(cuts, sizes, strict=True) for n in all_)  # what stood before it
    assert any(n == b for (_, _, b, _), all_ in zip(cuts, sizes, strict=True) for n in all_)
    assert any(n == s for (_, s, _, _), all_ in zip(cuts, sizes, strict=True) for n in all_)
    assert any(not items for items, *_ in cuts)
    assert any(0 in [size for _, size in items] for items, *_ in cuts)


def test_a_chunk_is_between_the_bounds():
    for seed in range(300):
        items, smallest, largest = drawn_items(seed)
        chunks = chunks_of(items, smallest, largest)
        assert [item for chunk in chunks for item in chunk] == items
        for chunk in chunks:
            assert len(chunk) == 1 or sum(size for _, size in chunk) <= largest


def test_no_more_is_held_than_a_chunk_and_an_item():
    taken = 0

    def counting():
        nonlocal taken
        for i in range(1000):
            taken += 1
            yield (i * 7919 % 1000, 1)

    given = 0
    for chunk in cut(counting(), lambda item: item[1], lambda item: item[0], 20, 60):
        assert taken - given <= 61
        given += len(chunk)


def edits(seed: int):
    """A stream of 1,000 items as they lie in 14 chunks or so, and 100 streams with one item put in, out or changed."""
    r = random.Random(seed)
    items = [(r.getrandbits(64), r.randrange(1, 6)) for _ in range(1000)]
    changed = []
    for _ in range(100):
        p, new = r.randrange(len(items)), (r.getrandbits(64), r.randrange(1, 6))
        changed.append(
            r.choice([[*items[:p], new, *items[p:]], items[:p] + items[p + 1 :], [*items[:p], new, *items[p + 1 :]]])
        )
    return items, changed


def test_one_item_changes_one_chunk_or_two():
    """An edit touches its own chunk; the one before it where it moves their cut. Only where the edited item is the highest
    of its window, or makes another leave the window or enter it, is there more: for items of size n a chance of some
    3 n / (largest - smallest), here 3 %; in a real shard of 10 KB records under 0.1 %. The cuts then meet again soon.
    """
    touched = []
    for seed in range(20):
        items, changed = edits(seed)
        before = {tuple(chunk) for chunk in chunks_of(items, 100, 300)}
        assert len(before) > 10
        for new in changed:
            after = {tuple(chunk) for chunk in chunks_of(new, 100, 300)}
            touched.append((len(before - after), len(after - before)))
    at_most_two = sum(max(pair) <= 2 for pair in touched) / len(touched)
    assert at_most_two > 0.97
    assert sum(max(pair) == 1 for pair in touched) / len(touched) > 0.9
    assert max(max(pair) for pair in touched) <= 8
