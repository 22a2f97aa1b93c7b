import numpy as np

from pipelines.order.graph import no_edges
from pipelines.order.orders.path import path
from tests.pipelines.order.reference import documents


def ordered(paths) -> tuple[list, list[bool]]:
    order, restarts = path(no_edges(len(paths)), documents(len(paths), paths=paths))
    return [paths[i] for i in order], restarts.tolist()


def test_files_are_in_the_order_of_their_directories_and_numbers():
    expected = [
        ("git", "readme.md", 0),
        ("git", "src/b.py", 0),
        ("git", "src/z.py", 0),
        ("git", "src/a/part2.py", 0),
        ("git", "src/a/part2.py", 1),
        ("git", "src/a/part10.py", 0),
        ("git", "src2/x.py", 0),
        ("git", "src10/x.py", 0),
        ("linux", "src/b.py", 0),
    ]
    restarts = [True, True, False, True, False, False, True, True, True]
    for seed in range(20):
        shuffled = [expected[i] for i in np.random.default_rng(seed).permutation(len(expected))]
        assert ordered(shuffled) == (expected, restarts)


def test_equal_numbers_with_zeros_are_ordered_and_superscripts_are_no_numbers():
    names = ["a/01", "a/1", "a/1b", "a/2", "a/b²", "a/x"]
    assert [file for _, file, _ in ordered([("s", name, 0) for name in names[::-1]])[0]] == names


def test_records_of_a_file_are_in_their_order():
    paths = [("s", "f.jsonl", record) for record in (10, 9, 100, 1)]
    assert [record for *_, record in ordered(paths)[0]] == [1, 9, 10, 100]


def test_equal_paths_are_in_the_order_of_ids():
    order, _ = path(no_edges(3), documents(3, paths=[("s", "f", 0)] * 3))
    assert order.tolist() == [0, 1, 2]
