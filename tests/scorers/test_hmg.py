"""The reductions of HMG, on values that are easy to check."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from scorers import hmg


def raw(**changes):
    arrays = {"nll_long": [1.0, 2.0], "nll_short": [2.0, 4.0], "nll_no_context": [3.0, 3.0], "nll_alone": [4.0, 2.0]}
    values = {"status": "scored", "context_tokens": 7} | {name: np.array(each) for name, each in arrays.items()}
    return SimpleNamespace(**values | changes)


def test_hmg_is_the_short_nll_minus_the_long_one():
    assert hmg.parts(raw()) == {
        "nll_gain": 1.5, "nll_long": 1.5, "nll_short": 3.0, "nll_no_context": 3.0, "nll_alone": 3.0,
        "ifd": pytest.approx(math.exp(-1.5)), "context_tokens": 7.0, "response_tokens": 2.0,
    }  # fmt: skip


def test_what_was_not_measured_is_none():
    nothing = np.empty(0)
    parts = hmg.parts(raw(status="too_short", nll_short=nothing, nll_alone=nothing))
    assert [name for name, value in parts.items() if value is None] == ["nll_gain", "nll_short", "nll_alone", "ifd"]
    assert hmg.parts(raw(status="too_short"))["nll_gain"] is None
    assert set(
        hmg.parts(
            raw(status="error", **dict.fromkeys(("nll_long", "nll_short", "nll_no_context", "nll_alone"), nothing))
        ).values()
    ) == {None}


def test_ifd_is_finite_where_its_exponent_overflows():
    assert np.isfinite(hmg.parts(raw(nll_long=np.array([900.0])))["ifd"])
