"""The orders as plain Python: dictionaries of dictionaries, and a search for every step."""

import itertools

import numpy as np


def lists_of(ids, similarities, k=None) -> list[list[tuple[int, int]]]:
    """For each document, its first k neighbours as (id, millionths), by similarity descending, then id."""
    rows = []
    for i, (row, values) in enumerate(zip(ids.tolist(), similarities.tolist(), strict=True)):
        kept: dict[int, int] = {}
        for j, value in zip(row, values, strict=True):
            if j >= 0 and j != i and j not in kept and len(kept) < (len(row) if k is None else k):
                kept[j] = round(value * 1_000_000)
        rows.append(sorted(kept.items(), key=lambda pair: (-pair[1], pair[0])))
    return rows


def union_of(rows) -> list[dict[int, int]]:
    union: list[dict[int, int]] = [{} for _ in rows]
    for i, row in enumerate(rows):
        for j, weight in row:
            larger = max(weight, union[i].get(j, weight))
            union[i][j] = union[j][i] = larger
    return union


def paper(union, residual: bool) -> tuple[list[int], list[bool]]:
    alive = set(range(len(union)))
    order, restarts = [], []
    while alive:
        at = min(alive, key=lambda i: (len(alive & union[i].keys()) if residual else len(union[i]), i))
        restart = True
        while at is not None:
            order.append(at)
            restarts.append(restart)
            alive.remove(at)
            restart = False
            at = min(alive & union[at].keys(), key=lambda j: (-union[at][j], j), default=None)
    return order, restarts


def fragments(union) -> list[set[frozenset[int]]]:
    """The links of the greedy matching, by a search for cycles."""
    edges = sorted((-weight, i, j) for i, row in enumerate(union) for j, weight in row.items() if i < j)
    links: dict[int, set[int]] = {i: set() for i in range(len(union))}
    for _, i, j in edges:
        if len(links[i]) < 2 and len(links[j]) < 2 and j not in connected(links, i):
            links[i].add(j)
            links[j].add(i)
    return links


def join(links: dict[int, set[int]], similarity: np.ndarray) -> None:
    """Link the two most similar ends of different fragments until one fragment is left."""
    n = len(links)
    while len(connected(links, 0)) < n:
        pairs = [
            (int(similarity[i, j]), i, j)
            for i, j in itertools.permutations(range(n), 2)
            if len(links[i]) < 2 and len(links[j]) < 2 and j not in connected(links, i)
        ]
        _, i, j = max(pairs, key=lambda pair: (pair[0], -pair[1], -((pair[2] - pair[1]) % n)))
        links[i].add(j)
        links[j].add(i)


def connected(links: dict[int, set[int]], start: int) -> set[int]:
    reached, pending = {start}, [start]
    while pending:
        new = links[pending.pop()] - reached
        reached |= new
        pending += new
    return reached


def best_path(similarity: np.ndarray) -> float:
    """The weight of the heaviest path through all documents: dynamic programme over subsets."""
    n = len(similarity)
    best = np.full((1 << n, n), -np.inf)
    for i in range(n):
        best[1 << i, i] = 0
    for subset in range(1, 1 << n):
        for last in range(n):
            if subset >> last & 1 and np.isfinite(best[subset, last]):
                for following in range(n):
                    if not subset >> following & 1:
                        added = subset | 1 << following
                        weight = best[subset, last] + similarity[last, following]
                        best[added, following] = max(best[added, following], weight)
    return float(best[-1].max()) if n else 0.0


def merged(lists: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """The released walk and merge, by Python's own lists. Returns the groups before and after."""
    unseen, groups, cur, length = set(range(len(lists))), [], None, 0
    while unseen:
        candidate = next((j for j in lists[cur] if j in unseen), None) if groups else None
        if candidate is None or length >= 21:
            candidate = min(unseen)
            length = 0 if groups else -1
            groups.append([])
        groups[-1].append(candidate)
        unseen.remove(candidate)
        length, cur = length + 1, candidate
    before = [list(group) for group in groups]
    group_of = {i: g for g, group in enumerate(groups) for i in group}
    for g, group in enumerate(groups):
        if len(group) >= 21:
            continue
        for i in list(group):
            nearest = next((j for j in lists[i] if group_of[j] != g), None)
            if nearest is not None:
                group.remove(i)
                target = groups[group_of[nearest]]
                target.insert(target.index(nearest), i)
                group_of[i] = group_of[nearest]
    return before, groups
