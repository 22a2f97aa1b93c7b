"""Details of a choice; test_choose.py holds it against slow code."""

import pyarrow as pa

from pipelines.choose.choice import choose, empty_set, quota
from pipelines.choose.params import ChooseParams
from pipelines.choose.similar import Anything, Distinct
from tests.pipelines.choose.test_candidates import samples


def signatures(n):
    components = pa.FixedSizeListArray.from_arrays(pa.array(range(128 * n), pa.uint32()), 128)
    return pa.table({"signature": components, "n_shingles": pa.array([1] * n, pa.int32())})


def test_a_set_needs_signatures_and_a_threshold():
    assert isinstance(empty_set(None, 0.8), Anything)
    assert isinstance(empty_set(signatures(2), None), Anything)
    assert isinstance(empty_set(signatures(2).slice(0, 0), 0.8), Anything)
    assert isinstance(empty_set(signatures(2), 0.8), Distinct)


def test_quotas_count_candidates_of_a_cell_and_name_it(tmp_path):
    made = samples(tmp_path)
    choice = choose(made, None, ChooseParams(top=0.5, quotas=("domain",)))
    top = [row for row in choice.quotas if row["why"] == "top"]
    assert [row["domain"] for row in top] == ["book", "web"]
    assert sum(row["candidates"] for row in top) == len(made.candidates) == len(choice.order)
    assert sum(row["target"] for row in top) == sum(row["chosen"] for row in top) == len(choice.top)
    assert quota("short", (None, None, None), 3, 2, 1)["target"] == 2
