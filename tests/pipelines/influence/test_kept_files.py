"""Kept values of a sample: a file that has not both tables is read as if it were not there."""

import json

import pytest

from pipelines.influence.kept import Kept
from pipelines.influence.reading import blank

WHOLE = {"SCORES_HMG": {"status": "scored"}, "SCORES_CAM": {"status": "scored"}}


@pytest.mark.parametrize(
    ("data", "is_read"),
    [(json.dumps(WHOLE), True), ("{}", False), ('{"SCORES_HMG": {}}', False), ("[]", False), ("{", False), ("", False),
     (json.dumps({**WHOLE, "more": {}}), False)],
)  # fmt: skip
def test_a_file_with_both_tables_is_read_and_no_other(tmp_path, data, is_read):
    kept, sample = Kept(tmp_path), blank(0, 1, 2, 3)
    assert kept.read(sample) is None
    kept.path(sample).parent.mkdir()
    kept.path(sample).write_text(data)
    assert kept.read(sample) == (WHOLE if is_read else None)


def test_each_span_of_a_sample_is_part_of_its_place(tmp_path):
    spans = [(1, 3, 4, 6), (0, 3, 4, 6), (1, 2, 4, 6), (1, 3, 5, 6), (1, 3, 4, 7)]
    assert len({Kept(tmp_path).path(blank(*each)) for each in spans}) == len(spans)
