import numpy as np
import pytest

from pipelines.order.approximate import lists_of
from tests.pipelines.order.vectors import unit


def test_the_first_of_a_list_is_the_document_itself_then_the_nearest():
    pytest.importorskip("faiss")
    x = unit(300, 16, seed=1, n_clusters=3, spread=0.4)
    ids, cosines = lists_of(x, 6)
    assert ids.shape == cosines.shape == (300, 6)
    assert (ids[:, 0] == np.arange(300)).mean() > 0.99
    assert (np.diff(cosines, axis=1) <= 0).all()
    exact = np.sort(x @ x.T, axis=1)[:, -2]
    assert (np.abs(cosines[:, 1] - exact) < 1e-5).mean() > 0.9


def test_a_short_list_ends_with_minus_one():
    pytest.importorskip("faiss")
    ids, _ = lists_of(unit(3, 8, seed=0), 6)
    assert (np.sort(ids, axis=1)[:, :3] == -1).all()
