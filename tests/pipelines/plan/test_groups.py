"""Copies of a document are spread over the groups of draws: a group is chosen by content and epoch."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipelines import plan
from pipelines.keys import contents
from tests.pipelines.corpora import digest

N = 400
CONTENT = contents(pa.array([digest(str(k)) for k in range(N)]))


@pytest.fixture
def groups(monkeypatch):
    """A function of an epoch -> the group of each document's copy; eight groups."""
    monkeypatch.setattr(plan, "GROUP_TOKENS", 100)
    return lambda epoch: plan.group_of(CONTENT, np.full(N, 2, np.int64), np.full(N, epoch, np.int64))


def test_every_copy_of_a_document_may_be_in_another_group(groups):
    by_epoch = [groups(epoch) for epoch in range(3)]
    for one, other in pairwise(by_epoch):
        assert 0.05 < (one == other).mean() < 0.25  # one of eight by chance
    for one in by_epoch:
        assert set(one.tolist()) == set(range(8))
        assert np.bincount(one).max() < 2 * N / 8


def test_the_other_copies_of_a_build_change_no_group(groups):
    epochs = np.arange(N) % 3
    mixed = plan.group_of(CONTENT, np.full(N, 2, np.int64), epochs)
    assert mixed.tolist() == [groups(epoch)[k] for k, epoch in enumerate(epochs.tolist())]


@pytest.mark.parametrize(("limit", "n_groups"), [(800, 1), (799, 2), (400, 2), (399, 4)])
def test_groups_are_the_least_power_of_two_within_the_limit(monkeypatch, limit, n_groups):
    monkeypatch.setattr(plan, "GROUP_TOKENS", limit)
    group = plan.group_of(CONTENT, np.full(N, 2, np.int64), np.zeros(N, np.int64))
    assert int(group.max()) + 1 == n_groups
