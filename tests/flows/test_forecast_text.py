"""The wording of `longmix plan`; its sentences on figures are tested where the figures are made."""

import numpy as np

from flows.forecast_text import LONG_BUCKETS, absent_lengths
from schemas.lengths import BUCKETS
from tests.flows.test_text import target


def test_a_length_without_a_document_is_named_where_the_domain_has_a_target():
    tokens = np.ones((3, 9), np.int64)
    tokens[0, 5], tokens[1, 8], tokens[2, 2] = 0, 0, 0  # 2-4K is no long bucket
    targets = [target("a", "long", 1, 1), target("b", "long", 0, 0), target("c", "long", 1, 1)]
    head, line = absent_lengths(["a", "b", "c"], tokens, targets)
    assert line == "  a: 16-32K"
    assert head.startswith("Lengths of 16K and more that no document has")
    assert absent_lengths(["b"], tokens[1:2], targets) == []
    assert BUCKETS[LONG_BUCKETS] == "16-32K"
