"""Which passes a sample takes: their texts, written out, and how many tokens they forward."""

from types import SimpleNamespace

import numpy as np
import pytest

from scorers.passes import Fault, passes_of
from tests.scorers.gateau import sample_of

HEADER, CONTEXT, INSTRUCTION, RESPONSE = [1, 2], [10, 11, 12, 13, 14, 15, 16], [20, 21], [30, 31, 32]


def params(last=4, **changes):
    values = {"parts": ("hmg", "cam"), "segment_tokens": 3, "sink_tokens": 1, "max_response_tokens": None}
    return SimpleNamespace(**values | {"short": SimpleNamespace(context_tokens=last)} | changes)


def passes(*cut, window=50, **changes):
    return passes_of(sample_of(*(cut or (HEADER, CONTEXT, INSTRUCTION, RESPONSE))), params(**changes), window)


def test_the_texts_of_all_passes():
    each = passes()
    assert each.long.tolist() == [1, 2, 10, 11, 12, 13, 14, 15, 16, 20, 21, 30, 31, 32]
    assert each.short.tolist() == [1, 2, 13, 14, 15, 16, 20, 21, 30, 31, 32]
    assert each.no_context.tolist() == [1, 2, 20, 21, 30, 31, 32]
    assert each.alone.tolist() == [1, 2, 30, 31, 32]
    middles = [[10, 11, 12], [13, 14, 15], [16]]
    assert [ids.tolist() for ids in each.segments] == [[1, 2, *ids, 20, 21, 30, 31, 32] for ids in middles]
    assert each.edges == [3, 5, 8, 9]
    assert each.model_tokens == 14 + 10 + 6 + 4 + 9 + 9 + 7


@pytest.mark.parametrize(("last", "same"), [(6, False), (7, True), (8, True)])
def test_a_short_window_that_holds_the_context_is_the_long_pass(last, same):
    each = passes(last=last)
    assert (each.short is each.long) == same
    assert each.model_tokens == 59 - 10 + (0 if same else 12)


def test_another_model_reads_the_same_text_in_a_pass_of_its_own():
    each = passes(last=None)
    assert np.array_equal(each.short, each.long)
    assert each.model_tokens == 59 - 10 + 13


def test_a_cut_is_at_the_end_of_the_context_and_before_segments():
    each = passes(window=12)
    assert each.long.tolist() == [1, 2, 10, 11, 12, 13, 14, 20, 21, 30, 31, 32]
    assert (each.is_cut, each.context_tokens, each.edges) == (True, 5, [3, 5, 7])


def test_faults():
    assert passes(HEADER, CONTEXT, INSTRUCTION, []) == Fault("too_short", "the response has no token")
    assert passes([], [], [], RESPONSE) == Fault("too_short", "no token precedes the response")
    assert passes(window=7).status == "error"
    assert passes(window=8).context_tokens == 1
