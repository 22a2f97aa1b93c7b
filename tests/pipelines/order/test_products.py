import numpy as np
import pytest

from pipelines.order.products import COLUMNS, ROWS, library, millionths, of_pairs, one_thread, padded, products, strips
from tests.pipelines.order.vectors import unit


def test_products_are_cosines_in_millionths():
    x, y = unit(300, 32, seed=1), unit(1100, 32, seed=2)
    exact = np.rint(x.astype(np.float64) @ y.astype(np.float64).T * 1e6)
    assert products(x, y).dtype == np.int32
    assert products(x, y).shape == (300, 1100)
    assert np.abs(products(x, y) - exact).max() <= 1


@pytest.mark.parametrize("dimensions", [64, 256, 384])
def test_a_product_does_not_depend_on_other_vectors_or_on_its_place(dimensions):
    x = unit(700, dimensions, seed=3)
    with one_thread():
        whole = products(x, x)
        for seed in range(3):
            shuffled = np.random.default_rng(seed).permutation(700)
            assert (products(x[shuffled], x[shuffled]) == whole[np.ix_(shuffled, shuffled)]).all()
        few = np.arange(0, 700, 7)
        assert (products(x[few], x[few[:3]]) == whole[np.ix_(few, few[:3])]).all()
        assert (whole == whole.T).all()


def test_strips_hold_the_same_products():
    x = unit(COLUMNS + 300, 48, seed=4)
    with one_thread():
        whole, rows = products(x, x), []
        for first, strip in strips(padded(x)):
            n_rows = min(ROWS, len(x) - first)
            if n_rows > 0:
                rows.append(first)
                stop = first + n_rows
                assert (millionths(strip[:n_rows, :stop]) == whole[first:stop, :stop]).all()
    assert rows == list(range(0, len(x), ROWS))


def test_pairs_are_summed_exactly():
    x = unit(2500, 16, seed=5)
    a, b = np.arange(2499), np.arange(1, 2500)
    exact = np.rint((x[a].astype(np.float64) * x[b]).sum(axis=1) * 1e6)
    assert (of_pairs(x, a, b) == exact).all()
    assert of_pairs(x, a[:0], b[:0]).shape == (0,)


def test_the_library_is_named():
    ((name, version, processor), *_) = library()
    assert name
    assert version
    assert processor
