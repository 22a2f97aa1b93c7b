"""Content-defined chunking: the content at a position decides whether to cut there, not the distance from the start.

    cut(records, size=..., priority=hash of the record, smallest=16 MB, largest=48 MB)

A chunk may end before any item that leaves it between `smallest` and `largest`; it ends before the one of highest
priority. Inserting, deleting or changing an item affects the chunk that contains it. More chunks are affected only if
the item has, or displaces, the highest priority of its window. For items of n bytes the probability is about
3 n / (largest - smallest), and the previous cuts return after a few chunks, because overlapping windows mostly have the
same item of highest priority.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def cut(
    items: Iterable[T], size: Callable[[T], int], priority: Callable[[T], int], smallest: int, largest: int
) -> Iterator[list[T]]:
    """Cut items into chunks of `smallest` to `largest`; only the last chunk and single items may be outside these limits.

    An item larger than `largest` is a chunk of its own, and the chunk before it may be small. Holds one chunk and one
    item in memory.
    """
    pending: list[T] = []
    sizes: list[int] = []
    priorities: list[int] = []
    total = 0
    for item in items:
        pending.append(item)
        sizes.append(size(item))
        priorities.append(priority(item))
        total += sizes[-1]
        while total > largest and len(pending) > 1:
            n = first_chunk(sizes, priorities, smallest, largest)
            yield pending[:n]
            total -= sum(sizes[:n])
            del pending[:n], sizes[:n], priorities[:n]
    if pending:
        yield pending


def first_chunk(sizes: list[int], priorities: list[int], smallest: int, largest: int) -> int:
    """The number of items in the first chunk: at least one, and not all."""
    best, total = 0, 0
    for i in range(1, len(sizes)):
        total += sizes[i - 1]
        if total > largest:
            break
        if total >= smallest and (best == 0 or priorities[i] > priorities[best]):
            best = i
    if best:
        return best
    return max(1, len(sizes) - 1)  # the last item is too large for the chunk, which is still too small: cut before it
