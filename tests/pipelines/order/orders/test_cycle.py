"""The cycle of runs, against a plain list."""

import numpy as np
import pytest

from pipelines.order.orders import cycle
from pipelines.order.orders.cycle import Cycle, following, nodes_in_order, reverse


def is_same_cycle(nodes: list[int], expected: list[int]) -> bool:
    """Wherever it begins, and in whichever direction."""
    turned = nodes[nodes.index(expected[0]) :] + nodes[: nodes.index(expected[0])]
    return expected in (turned, turned[:1] + turned[:0:-1])


def reversed_part(nodes: list[int], x: int, y: int) -> list[int]:
    """The cycle from x on, with the part from x to y reversed."""
    turned = nodes[nodes.index(x) :] + nodes[: nodes.index(x)]
    stop = turned.index(y) + 1
    return turned[:stop][::-1] + turned[stop:]


@pytest.mark.parametrize("n", [5, 6, 17, 64, 300])
def test_reversals_give_the_cycle_of_a_list(n):
    rng = np.random.default_rng(n)
    order = rng.permutation(n)
    made, expected = Cycle.of(order), order.tolist()
    assert nodes_in_order(made).tolist() == expected
    for step in range(400):
        x, y = rng.choice(n, 2, replace=False).tolist()
        if step % 3 == 0:  # a short one, most often inside a run
            y = expected[(expected.index(x) + int(rng.integers(3))) % n]
        is_expected_forward = following(made, expected[0], True) == expected[1]
        reverse(made, x, y, is_expected_forward)
        expected = reversed_part(expected, x, y)
        nodes = nodes_in_order(made).tolist()
        assert is_same_cycle(nodes, expected), f"{n=} {step=}"
        for node, after in zip(nodes, nodes[1:] + nodes[:1], strict=True):
            assert following(made, node, True) == after
            assert following(made, after, False) == node


@pytest.mark.parametrize("n", [30, 400])
def test_a_part_that_is_named_from_its_end(n):
    rng = np.random.default_rng(n)
    made, expected = Cycle.of(np.arange(n)), list(range(n))
    for _ in range(200):
        x, y = rng.choice(n, 2, replace=False).tolist()
        is_expected_forward = following(made, expected[0], True) == expected[1]
        reverse(made, y, x, not is_expected_forward)
        expected = reversed_part(expected, x, y)
        assert is_same_cycle(nodes_in_order(made).tolist(), expected)


def test_the_whole_cycle_reversed_is_the_same_cycle():
    made = Cycle.of(np.arange(40))
    for x in (0, 7, 39):
        reverse(made, x, (x - 1) % 40, True)
        assert is_same_cycle(nodes_in_order(made).tolist(), list(range(40)))


def test_runs_are_few_and_short():
    """At most twice the runs of a new layout and two, none longer than those: with both, a reversal takes O(sqrt(n))."""
    n = 10_000
    made = Cycle.of(np.arange(n))
    rng = np.random.default_rng(0)
    for _ in range(1_000):
        x, y = rng.choice(n, 2, replace=False).tolist()
        reverse(made, x, y, True)
        n_runs = int(made.n_runs[0])
        assert n_runs <= 2 * n / 50
        assert (made.stop - made.start)[made.runs[:n_runs]].max() <= 50
    assert cycle.run_length(n) == 50
