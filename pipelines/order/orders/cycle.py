"""A cycle of nodes in which any part can be reversed in O(sqrt(n)).

The nodes lie in an array that is cut into runs. A run is read forward or backward, and the runs follow each other in an
order of their own. To reverse a part of the cycle, the runs at its two ends are cut there, and the order and the
direction of the runs between them are reversed. When there are too many runs, the nodes are written down anew in runs of
equal length.

Source: Fredman et al., "Data structures for traveling salesmen", 1995 (two-level lists; the runs of theirs are balanced
at each reversal).

After an edit, delete the compiled code of improve.py, which calls this: numba looks at the file of the caller alone.
"""

from typing import NamedTuple

import numpy as np

from schemas.kernels import kernel


class Cycle(NamedTuple):
    """n nodes 0 .. n - 1. Of a run, its number is the index of start, stop, backward and rank."""

    nodes: np.ndarray  # [n] int32, run by run
    place: np.ndarray  # [n] int32: of a node in nodes
    run: np.ndarray  # [n] int32: of a place in nodes
    start: np.ndarray  # [max_runs] int32: the first place of a run
    stop: np.ndarray  # [max_runs] int32: the place after its last
    backward: np.ndarray  # [max_runs] bool: it is read from its last place to its first
    runs: np.ndarray  # [max_runs] int32: numbers of runs, in the order of the cycle
    rank: np.ndarray  # [max_runs] int32: of a run in runs
    n_runs: np.ndarray  # [1] int32

    @staticmethod
    def of(order: np.ndarray) -> "Cycle":
        """order: [n], each of 0 .. n - 1 once."""
        n = len(order)
        room = 2 * -(-n // run_length(n)) + 2  # twice the runs of a new layout, and those that one reversal may add
        nodes, place, run = np.empty((3, n), np.int32)
        start, stop, runs, rank = np.empty((4, room), np.int32)
        cycle = Cycle(nodes, place, run, start, stop, np.empty(room, np.bool_), runs, rank, np.zeros(1, np.int32))
        lay_out(cycle, order.astype(np.int32))
        return cycle


@kernel
def run_length(n: int) -> int:
    """Of a new layout: half of sqrt(n), so that at least sqrt(n) reversals pass before the next one, which takes O(n)."""
    return max(int(np.sqrt(n) / 2), 1)


@kernel
def lay_out(cycle: Cycle, order: np.ndarray) -> None:
    """Write the nodes down in an order, in runs of equal length."""
    n, length = len(order), run_length(len(order))
    n_runs = 0
    for first in range(0, n, length):
        cycle.start[n_runs], cycle.stop[n_runs] = first, min(first + length, n)
        cycle.backward[n_runs], cycle.runs[n_runs], cycle.rank[n_runs] = False, n_runs, n_runs
        for at in range(first, min(first + length, n)):
            cycle.nodes[at], cycle.place[order[at]], cycle.run[at] = order[at], at, n_runs
        n_runs += 1
    cycle.n_runs[0] = n_runs


@kernel
def nodes_in_order(cycle: Cycle) -> np.ndarray:
    """[n] int32: the nodes as they follow each other."""
    order = np.empty(len(cycle.nodes), np.int32)
    n = 0
    for r in range(cycle.n_runs[0]):
        run = cycle.runs[r]
        length = cycle.stop[run] - cycle.start[run]
        for i in range(length):
            order[n + i] = cycle.nodes[cycle.stop[run] - 1 - i if cycle.backward[run] else cycle.start[run] + i]
        n += length
    return order


@kernel
def following(cycle: Cycle, node: int, forward: bool) -> int:
    """The node after this one, or the one before it."""
    at = cycle.place[node]
    run = cycle.run[at]
    if forward != cycle.backward[run]:
        if at + 1 < cycle.stop[run]:
            return cycle.nodes[at + 1]
    elif at > cycle.start[run]:
        return cycle.nodes[at - 1]
    rank, n_runs = cycle.rank[run], cycle.n_runs[0]
    if forward:
        other = cycle.runs[rank + 1 if rank + 1 < n_runs else 0]
    else:
        other = cycle.runs[rank - 1 if rank else n_runs - 1]
    return cycle.nodes[cycle.start[other] if forward != cycle.backward[other] else cycle.stop[other] - 1]


@kernel
def reverse(cycle: Cycle, x: int, y: int, forward: bool) -> None:
    """Reverse the part from x to y, in this direction, or all the rest, which gives the same cycle."""
    if not forward:
        x, y = y, x
    i, j = cycle.place[x], cycle.place[y]
    run = cycle.run[i]
    if run == cycle.run[j] and (i >= j if cycle.backward[run] else i <= j):
        reverse_places(cycle, min(i, j), max(i, j))
        return
    after = following(cycle, y, True)
    begin_run(cycle, x)
    begin_run(cycle, after)
    first, last = cycle.rank[cycle.run[cycle.place[x]]], cycle.rank[cycle.run[cycle.place[y]]]
    reverse_runs(cycle, first, last)
    if cycle.n_runs[0] > len(cycle.start) - 2:  # the next reversal may add two
        lay_out(cycle, nodes_in_order(cycle))


@kernel
def reverse_places(cycle: Cycle, i: int, j: int) -> None:
    """Of one run."""
    while i < j:
        a, b = cycle.nodes[i], cycle.nodes[j]
        cycle.nodes[i], cycle.nodes[j], cycle.place[b], cycle.place[a] = b, a, i, j
        i, j = i + 1, j - 1


@kernel
def reverse_runs(cycle: Cycle, first: int, last: int) -> None:
    """Of the runs from one rank to another, or of all others where these are fewer."""
    n_runs = cycle.n_runs[0]
    n_reversed = (last - first) % n_runs + 1
    if 2 * n_reversed > n_runs:
        first, last, n_reversed = (last + 1) % n_runs, (first - 1) % n_runs, n_runs - n_reversed
    for _ in range((n_reversed + 1) // 2):
        a, b = cycle.runs[first], cycle.runs[last]
        cycle.runs[first], cycle.runs[last], cycle.rank[b], cycle.rank[a] = b, a, first, last
        cycle.backward[a] = not cycle.backward[a]
        if a != b:
            cycle.backward[b] = not cycle.backward[b]
        first = first + 1 if first + 1 < n_runs else 0
        last = last - 1 if last else n_runs - 1


@kernel
def begin_run(cycle: Cycle, node: int) -> None:
    """Cut the run of a node so that one begins with it."""
    at = cycle.place[node]
    run, new = cycle.run[at], cycle.n_runs[0]
    start, stop, backward = cycle.start[run], cycle.stop[run], cycle.backward[run]
    cut = at + 1 if backward else at
    if cut in (start, stop):  # the node is the first of its run
        return
    is_upper = stop - cut < cut - start  # the new run is the shorter side
    if is_upper:
        cycle.start[new], cycle.stop[new], cycle.stop[run] = cut, stop, cut
    else:
        cycle.start[new], cycle.stop[new], cycle.start[run] = start, cut, cut
    cycle.backward[new] = backward
    cycle.run[cycle.start[new] : cycle.stop[new]] = new
    rank = cycle.rank[run] + (is_upper != backward)  # of the new run: after the other, or before it
    for r in range(new, rank, -1):
        cycle.runs[r] = cycle.runs[r - 1]
        cycle.rank[cycle.runs[r]] = r
    cycle.runs[rank], cycle.rank[new], cycle.n_runs[0] = new, rank, new + 1
