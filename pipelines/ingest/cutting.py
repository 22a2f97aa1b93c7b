"""Content-defined cutting: where a stream is cut depends on what it holds there, not on how much came before.

    cut(records, size=..., priority=hash of the record, smallest=16 MB, largest=48 MB)

Each chunk ends before the item of highest priority among those that would leave it between `smallest` and `largest`. An
item put in, taken out or changed touches the chunk that it lies in. It touches more only where it is itself the highest
of its window, or displaces one at the window's edge: with items of n bytes that has a chance of about
3 n / (largest - smallest), and after it the old cuts come back within a few chunks, as two windows that overlap have most
often the same highest item.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def cut(
    items: Iterable[T], size: Callable[[T], int], priority: Callable[[T], int], smallest: int, largest: int
) -> Iterator[list[T]]:
    """The items in chunks of sizes between `smallest` and `largest`, but for the last and for single items.

    An item larger than `largest` is a chunk of its own; what comes before it may be a small one. Holds one chunk and one item.
    """
    waiting: list[T] = []
    sizes: list[int] = []
    priorities: list[int] = []
    total = 0
    for item in items:
        waiting.append(item)
        sizes.append(size(item))
        priorities.append(priority(item))
        total += sizes[-1]
        while total > largest and len(waiting) > 1:
            n = place(sizes, priorities, smallest, largest)
            yield waiting[:n]
            total -= sum(sizes[:n])
            del waiting[:n], sizes[:n], priorities[:n]
    if waiting:
        yield waiting


def place(sizes: list[int], priorities: list[int], smallest: int, largest: int) -> int:
    """How many items the first chunk takes: at least one, and not all."""
    best, before = 0, 0
    for i in range(1, len(sizes)):
        before += sizes[i - 1]
        if before > largest:
            break
        if before >= smallest and (best == 0 or priorities[i] > priorities[best]):
            best = i
    if best:
        return best
    return max(1, len(sizes) - 1)  # a large item comes right after too little: cut before it
