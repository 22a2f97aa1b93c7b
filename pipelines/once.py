"""Results that a process computes once, whatever the number of its workers."""

from collections.abc import Callable
from functools import cache, update_wrapper
from threading import RLock
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A function of hashable values whose result is kept. Threads that ask at the same time wait for the first of them.

    With functools.cache alone, all workers that begin together load the same file.
    """

    def __init__(self, function: Callable[..., T]):
        update_wrapper(self, function)
        self.kept, self.turn = cache(function), RLock()

    def __call__(self, *arguments: object) -> T:
        with self.turn:
            return self.kept(*arguments)

    def cache_clear(self) -> None:
        self.kept.cache_clear()


def once(function: Callable[..., T]) -> Once[T]:
    """A decorator, see Once."""
    return Once(function)
