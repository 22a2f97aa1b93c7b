"""Samples as a scorer reads them."""

import pyarrow as pa

from pipelines.influence.reading import blank, sample_of
from schemas.samples import SAMPLES
from tests.sft import sample_row


def test_a_sample_ends_with_its_scored_response():
    table = pa.Table.from_pylist([sample_row("b", "refused"), sample_row("a")], schema=SAMPLES)
    sample = sample_of(table, 1)
    parts = sample.header, sample.context, sample.instruction, sample.response
    assert [part.tolist() for part in parts] == [[1, 2], [3, 4, 5, 6], [7, 8], [9, 10, 11]]
    like = blank(2, 6, 8, 11)
    assert [len(part) for part in (like.header, like.context, like.instruction, like.response)] == [2, 4, 2, 3]
