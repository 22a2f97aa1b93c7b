"""The pieces of a sample."""

from scorers.sample import Sample
from tests.scorers.gateau import sample_of


def test_pieces_are_where_the_boundaries_say():
    sample = sample_of([1, 2], [3], [4, 5, 6], [7])
    assert isinstance(sample, Sample)
    assert [each.tolist() for each in (sample.header, sample.context, sample.instruction, sample.response)] == [
        [1, 2], [3], [4, 5, 6], [7],
    ]  # fmt: skip


def test_a_sample_without_context():
    sample = sample_of([1], [], [2], [3])
    assert (sample.context.size, sample.header.tolist(), sample.instruction.tolist()) == (0, [1], [2])
