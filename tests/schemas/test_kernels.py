"""A compiled function is Python until its first call; other compiled functions may call it."""

import subprocess
import sys

from schemas.kernels import Kernel, kernel


@kernel
def doubled(x: int) -> int:
    """Twice x."""
    return 2 * x


@kernel
def quadrupled(x: int) -> int:
    return doubled(doubled(x))


def test_a_kernel_calls_another_and_is_compiled_once():
    assert isinstance(quadrupled, Kernel)
    assert [quadrupled(k) for k in range(-2, 3)] == [-8, -4, 0, 4, 8]
    assert quadrupled.compiled is quadrupled.compiled
    assert len(quadrupled.compiled.signatures) == 1
    assert (doubled.py_func(3), doubled.__name__, doubled.__doc__) == (6, "doubled", "Twice x.")


def test_a_kernel_frees_the_gil_and_its_code_is_kept():
    assert doubled.compiled.targetoptions["nogil"]
    doubled(1)
    assert doubled.compiled.stats.cache_path


def test_numba_is_imported_by_the_first_call():
    program = (
        "import sys; from pipelines.pack.packers.rooms import __name__; from scorers.static_table import means;"
        "import numpy as np; before = 'numba' in sys.modules;"
        "means(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros((1, 1), np.float32), -1);"
        "print(before, 'numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == (
        "False True\n"
    )
