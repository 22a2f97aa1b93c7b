"""Which samples a budget of model tokens reads: the cheapest, to the last token; equal ones by key."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.influence import reading as reading_module
from pipelines.influence.reading import reading_of
from pipelines.keys import contents, keyed, salt
from tests.pipelines.corpora import digest
from tests.pipelines.influence.test_influence import params


@pytest.fixture
def read(monkeypatch):
    """A function of lengths and a budget -> the rows that are read."""
    monkeypatch.setattr(reading_module, "cost", lambda sample, _: len(sample.ids))

    def rows(lengths, budget):
        n = len(lengths)
        spans = {name: [0] * n for name in ("context_start", "context_stop", "response_start")}
        columns = {
            "content_hash": [digest(str(k)) for k in range(n)], "source": ["web"] * n, "status": ["encoded"] * n,
            **spans, "response_stop": lengths,
        }  # fmt: skip
        reading = reading_of(pa.table(columns), (), params(budget_tokens=budget))
        is_read = reading.reason == ""
        assert set(reading.reason.tolist()) <= {"", "budget"}
        assert reading.costs.tolist() == np.where(is_read, lengths, 0).tolist()
        return np.flatnonzero(is_read).tolist()

    return rows


@pytest.mark.parametrize(("budget", "n_read"), [(10, 4), (9, 3), (6, 3), (5, 2), (1, 1)])
def test_a_budget_is_spent_to_the_last_token(read, budget, n_read):
    lengths = [3, 1, 4, 2]
    assert read(lengths, budget) == sorted(np.argsort(lengths)[:n_read].tolist())


def test_equal_samples_are_read_in_keyed_order_and_none_is_given_up_by_a_larger_budget(read):
    """A sort that is not stable would exchange some of so many."""
    content = contents(pa.array([digest(str(k)) for k in range(900)]))
    keys, lengths = keyed(content, salt("influence")).tolist(), [5 + k % 3 for k in range(900)]
    in_order = sorted(range(900), key=lambda k: (lengths[k], keys[k], *content[k].tolist()))
    for n in (1, 40, 41, 299, 450, 899):
        assert read(lengths, sum(lengths[k] for k in in_order[:n])) == sorted(in_order[:n])
