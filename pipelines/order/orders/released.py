"""What the released code of in-context pretraining does, which is another algorithm than the paper's.

Groups: a walk over ranks 1 to 9 of the directed lists, similarities unread. It opens a new group at the lowest unseen id
when all nine are seen or the group has 21 documents (the first group: 22, its counter starts at 0). Merge: each document
of a group shorter than 21 moves to just before its nearest document of another group, and its group ends.

The released script stops with an error on real data. Patches that it needs, and their meaning here:
P1. The line of the constructor that reads an undefined name is left out.
P2. Document 0 belongs to the first group; there, it belongs to none, which raises KeyError.
P3. A document without a neighbour in another group stays in its own; there, it raises ValueError.
Beyond them, -1 in a list is skipped; there, it raises KeyError.

Source: swj0419/in-context-pretraining at acccf53, sort_id.py; written anew from a description of its behaviour.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.order.graph import Graph, restarts_of
from pipelines.order.orders.documents import OrderDocuments
from schemas.kernels import kernel

RANKS = 9  # of the stored neighbours, how many the walk looks at
MIN_GROUP = 21
PIECES = 32  # the written order is cut into pieces of n // 32 documents
HEAD_CHARACTERS, GRAM = 100, 3
MAX_JACCARD = 0.85


class Groups(NamedTuple):
    order: np.ndarray  # [n] int64, one group after the other
    sizes: np.ndarray  # [n_groups] int64
    numbers: np.ndarray  # [n_groups] int64, in the order in which the walk opened them


def released(graph: Graph, documents: OrderDocuments) -> tuple[np.ndarray, np.ndarray]:
    del documents
    order = merged(ranked(graph)).order
    return order, restarts_of(graph, order)


def ranked(graph: Graph) -> np.ndarray:
    """[n, 9] int64: the first neighbours of each document, -1 where the list is shorter."""
    rows = graph.offsets[:-1, None] + np.arange(RANKS)
    listed = rows < graph.offsets[1:, None]
    lists = np.full(rows.shape, -1, np.int64)
    lists[listed] = graph.neighbours[rows[listed]]
    return lists


def walked(lists: np.ndarray) -> Groups:
    """The groups before the merge.

    lists: [n, 9] ranks 1 to 9 of each document, -1 for none.
    """
    order, group = walk(np.ascontiguousarray(lists, np.int64))
    sizes = np.bincount(group)
    return Groups(order, sizes, np.arange(len(sizes)))


def merged(lists: np.ndarray) -> Groups:
    """The groups after the merge: the released order, before its filter of texts. Arguments: see walked()."""
    lists = np.ascontiguousarray(lists, np.int64)
    order, group = walk(lists)
    return Groups(*merge(lists, order, group))


def written(order: np.ndarray, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray]:
    """The ids of each written file, and those that the filter dropped.

    The order is cut into pieces of n // 32, one a file. A document is dropped if its first 100 characters resemble those
    of the document written before it in the same file: Jaccard of character 3-grams above 0.85, or both have none.

    Raises:
        ValueError: fewer than 32 documents; the released code divides by zero.
    """
    size = len(order) // PIECES
    if not size:
        raise ValueError(f"released: {len(order)} documents cannot be written in pieces; {PIECES} are the least")
    files, dropped = [], []
    for start in range(0, len(order), size):
        file: list[int] = []
        previous: set[str] | None = None
        for document in order[start : start + size].tolist():
            own = grams(texts[document])
            if previous is not None and resembles(own, previous):
                dropped.append(document)
            else:
                file.append(document)
                previous = own
        files.append(np.array(file, np.int64))
    return files, np.array(dropped, np.int64)


def grams(text: str) -> set[str]:
    head = text[:HEAD_CHARACTERS]
    return {head[start : start + GRAM] for start in range(len(head) - GRAM + 1)}


def resembles(one: set[str], other: set[str]) -> bool:
    either = len(one | other)
    return not either or len(one & other) / either > MAX_JACCARD


@kernel
def walk(lists: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """order [n], and the group of each place [n], ascending."""
    n = len(lists)
    order, group = np.empty(n, np.int64), np.empty(n, np.int64)
    seen = np.zeros(n, np.bool_)
    lowest, number, length = 0, 0, 0
    for place in range(n):
        following = -1
        if place:
            for j in lists[order[place - 1]]:
                if j >= 0 and not seen[j]:
                    following = j
                    break
            if following < 0 or length >= MIN_GROUP:
                following = -1
                number += 1
                length = 0
            length += 1
        while following < 0:
            if not seen[lowest]:
                following = lowest
            lowest += 1
        order[place], group[place] = following, number
        seen[following] = True
    return order, group


@kernel
def merge(lists: np.ndarray, order: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups are linked lists: `after` and `before` of each document, the first one of each group."""
    n = len(order)
    n_groups = groups[n - 1] + 1 if n else 0
    group = np.empty(n, np.int64)
    before, after = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    first, size = np.full(n_groups, -1, np.int64), np.zeros(n_groups, np.int64)
    for place in range(n):
        i = order[place]
        group[i] = groups[place]
        size[group[i]] += 1
        if place and groups[place - 1] == groups[place]:
            before[i], after[order[place - 1]] = order[place - 1], i
        else:
            first[group[i]] = i
    for g in range(n_groups):
        if size[g] >= MIN_GROUP:
            continue
        i = first[g]
        while i >= 0:
            following = after[i]
            for j in lists[i]:
                if j >= 0 and group[j] != g:
                    unlink(i, g, before, after, first)
                    link(i, j, group[j], before, after, first)
                    size[g] -= 1
                    size[group[j]] += 1
                    group[i] = group[j]
                    break
            i = following
    merged_order = np.empty(n, np.int64)
    place = 0
    for g in range(n_groups):
        i = first[g]
        while i >= 0:
            merged_order[place] = i
            place += 1
            i = after[i]
    numbers = np.flatnonzero(size)
    return merged_order, size[numbers], numbers


@kernel
def unlink(i: int, g: int, before: np.ndarray, after: np.ndarray, first: np.ndarray) -> None:
    if before[i] >= 0:
        after[before[i]] = after[i]
    else:
        first[g] = after[i]
    if after[i] >= 0:
        before[after[i]] = before[i]


@kernel
def link(i: int, j: int, g: int, before: np.ndarray, after: np.ndarray, first: np.ndarray) -> None:
    """Put i just before j in group g."""
    before[i], after[i] = before[j], j
    if before[j] >= 0:
        after[before[j]] = i
    else:
        first[g] = i
    before[j] = i
