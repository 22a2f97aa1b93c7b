"""What a stage freed does not count against the next one: pipelines.memory."""

import subprocess
import sys

import pytest

FREED = """
import numpy as np, psutil, pyarrow as pa
from pipelines import memory
from pipelines.store import Store

rss = lambda: psutil.Process().memory_info().rss >> 20
np.ones(30 << 20, np.uint8)  # raises the threshold of malloc, unless it is fixed
before = rss()
kept, freed = [], []
for _ in range(20):  # what is kept lies between what is freed
    freed.append(np.ones(12 << 20, np.uint8))
    kept.append(np.ones(100_000, np.uint8))
full = rss()
del freed
after = rss()
memory.release()
print(pa.default_memory_pool().backend_name, full - before, after - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_large_arrays_go_back_when_they_are_freed():
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    backend, full, after = done.stdout.split()[-3:]
    assert backend == "system"
    assert int(full) > 200
    assert int(after) < 30
