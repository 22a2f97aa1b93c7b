"""Calls of libraries that may panic."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def attempted(call: Callable[[], T]) -> T | None:
    """The result of a call; None if it raised an error. A panic of a library in Rust is no Exception."""
    try:
        return call()
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001 a panic is a BaseException
        return None
