"""Rows of QUOTAS on what no cell can supply."""

import pytest

from pipelines.choose.choice import choose
from pipelines.choose.params import ChooseParams
from tests.pipelines.choose.test_candidates import samples


@pytest.mark.parametrize("more", [0, 1, 5])
def test_what_is_asked_for_beyond_all_candidates_is_a_row(tmp_path, more):
    made = samples(tmp_path)
    n = len(made.candidates)
    quotas = choose(made, None, ChooseParams(top=n + more, quotas=("domain",))).quotas
    beyond = [(row["target"], row["chosen"]) for row in quotas if not row["candidates"]]
    assert beyond == ([(more, 0)] if more else [])
    assert sum(row["target"] for row in quotas if row["why"] == "top") == n + more
