"""Small columns of samples: cells, orders and reasons."""

import numpy as np
import pytest

from pipelines.choose.candidates import READS, read_samples, reads_of
from pipelines.choose.params import ChooseParams
from tests.pipelines.corpora import engine_in
from tests.sft import joined, random_rows, written


def samples(root, max_tokens=1_300, rows=None, **params):
    engine = engine_in(root)
    tables = written(rows or random_rows(0), engine.store)
    choice = ChooseParams(short_sources=("tips",), **params)
    return read_samples(reads_of(tables), choice, max_tokens, engine.store)


def test_only_small_columns_are_read(tmp_path):
    reads = reads_of(written(random_rows(0), engine_in(tmp_path).store))
    assert set(reads) == set(READS)
    columns = {column for each in reads.values() for (read,) in each for column in read.columns}
    assert not columns & {"text", "input_ids", "attention", "segment_nll", "responses"}


def test_cells_are_ascending_and_name_the_quotas_alone(tmp_path):
    made = samples(tmp_path)
    rows = made.candidates
    cell, cells = made.cells(rows, ("length_bucket",))
    assert cells == [(None, "0-1K", None), (None, "1-2K", None)]
    assert cell.tolist() == (made.n_tokens[rows] >= 1024).astype(int).tolist()
    assert made.cells(rows, ())[1] == [(None, None, None)]
    _, cells = made.cells(rows, ("domain", "response_bucket"))
    assert [domain for domain, _, _ in cells] == sorted(domain for domain, _, _ in cells)
    assert len(cells) == len(set(cells)) > 4
    assert made.cells(rows[:0], ("domain",))[1] == []


@pytest.mark.parametrize("longest", [50, 100])
def test_a_sample_of_exactly_the_length_fits(tmp_path, longest):
    rows = random_rows(0)
    lengths = sorted(s["SAMPLES"]["n_tokens"] for s in joined(rows) if s["SAMPLES"]["status"] == "encoded")
    limit = lengths[longest % len(lengths)]
    made = samples(tmp_path, limit, rows)
    assert (made.reason == "too_long").sum() == sum(n > limit for n in lengths) > 0
    assert made.n_tokens[made.reason == "too_long"].min() > limit


def test_a_keyed_order_depends_on_use_and_seed(tmp_path):
    made = samples(tmp_path)
    orders = [made.at_random(use, seed, made.candidates) for use, seed in (("a", 0), ("a", 1), ("b", 0))]
    assert len({tuple(order.tolist()) for order in orders}) == 3
    assert all(np.array_equal(np.sort(order), made.candidates) for order in orders)


def test_values_of_samples_that_may_not_be_chosen_normalise_nothing(tmp_path):
    """Other scores of a short instruction and of a sample that is too long change no score."""
    rows = random_rows(0)
    before = samples(tmp_path / "a", 1_200, rows, normalise="official")
    for sample in joined(rows):
        is_long = (sample["SAMPLES"]["n_tokens"] or 0) > 1_200
        if is_long and sample["SCORES_HMG"]["status"] == "scored":
            sample["SCORES_HMG"]["nll_short"] = 99.0
    after = samples(tmp_path / "b", 1_200, rows, normalise="official")
    assert before.score.equals(after.score)
    assert before.hmg.null_count == after.hmg.null_count > 0
