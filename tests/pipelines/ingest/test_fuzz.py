"""Damaged files of every format end no process and lose no record; benchmarks/fuzz_readers.py draws many more."""

import random
from collections import Counter

from benchmarks import fuzz_readers
from benchmarks.fuzz_readers import mutated, outcomes
from benchmarks.fuzz_seeds import SEEDS

N = 540
ONCE_FATAL = (2977, 4581, 7882, 8921)  # the others that ended the process or raised are among the first


def test_damaged_files_of_every_format_are_read_as_far_as_they_go():
    rows = [*outcomes([*range(N), *ONCE_FATAL])]
    assert [row for row in rows if row["failure"]] == []
    assert len(rows) == N + len(ONCE_FATAL)
    assert {row["reader"] for row in rows} == {*SEEDS}
    sums = Counter()
    for row in rows:
        sums.update({key: row.get(key, 0) for key in ("documents", "rejected", "refused")})
    assert min(sums["documents"] // 1000, sums["rejected"] // 500, sums["refused"] // 50) > 0


def test_a_child_that_dies_is_a_failure_and_the_next_file_is_read(tmp_path):
    """The fuzzer itself: a reader that ends the process at one file."""
    script = tmp_path / "fuzz.py"
    script.write_text(
        "import os, sys\nfrom benchmarks import fuzz_readers as f\n"
        "real = f.read\n"
        "def read(folder, seed, rng):\n    os.abort() if rng.dies else None\n    return real(folder, seed, rng)\n"
        "tree = f.damaged_tree\n"
        "def damaged_tree(number, trees):\n"
        "    name, files, rng = tree(number, trees)\n    rng.dies = number == 2\n    return name, files, rng\n"
        "f.read, f.damaged_tree = read, damaged_tree\nf.child()\n"
    )
    original, fuzz_readers.__file__ = fuzz_readers.__file__, str(script)
    try:
        rows = list(outcomes(range(1, 5)))
    finally:
        fuzz_readers.__file__ = original
    assert [(row["number"], row["failure"][:9]) for row in rows] == [(1, ""), (2, "status -6"), (3, ""), (4, "")]


def test_a_mutation_depends_on_its_number_alone_and_changes_the_file():
    data = bytes(range(256)) * 4
    drawn = [mutated(data, random.Random(seed)) for seed in range(200)]
    assert drawn == [mutated(data, random.Random(seed)) for seed in range(200)]
    assert sum(each == data for each in drawn) < 10
    assert {len(each) < len(data) for each in drawn} == {len(each) > len(data) for each in drawn} == {True, False}
