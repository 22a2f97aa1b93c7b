"""Compiled functions. numba is imported by the first call of one, not with its module: that takes a CPU second.

A look-up such as `longmix plan` imports the stages of a build and runs no kernel.
"""

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any


class Kernel:
    """A function of arrays that numba compiles at its first call, or reads from its cache; other kernels may call it.

    py_func: the same as Python.
    """

    def __init__(self, function: Callable):
        update_wrapper(self, function)
        self.py_func = function

    @cached_property
    def compiled(self) -> Any:
        """numba's dispatcher. Threads that ask for it first at the same time may each make one, of the same code."""
        import numba  # slow to import, and rarely needed

        return numba.njit(self.py_func, nogil=True, cache=True)

    def __call__(self, *arguments: Any) -> Any:
        return self.compiled(*arguments)

    @property
    def _numba_type_(self) -> Any:
        """What numba asks any object for that a kernel names: the type of a function that it may call."""
        return self.compiled._numba_type_


def kernel(function: Callable) -> Kernel:
    """A decorator: the function runs compiled and without the GIL; the compiled code is kept, see caches.py."""
    return Kernel(function)
