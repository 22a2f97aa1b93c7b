"""Errors differ by what mends them, and one except clause catches all of ours."""

import inspect
import pickle

import pytest

from schemas import errors

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def test_every_error_is_ours_and_says_what_it_is():
    assert len(ALL) >= 8
    for kind in ALL:
        assert issubclass(kind, errors.LongmixError), kind
        assert kind.__doc__, kind


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (errors.LawError, errors.SchemaError),  # neither is ever tried again
        (errors.RecipeError, errors.LongmixError),
        (errors.StageError, errors.LongmixError),
        (errors.DamagedError, errors.LongmixError),
        (errors.NotMade, errors.LongmixError),
        (errors.BusyError, errors.LongmixError),
    ],
)
def test_what_mends_one_does_not_mend_another(kind, parent):
    assert kind.__bases__ == (parent,)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_comes_from_another_process_as_it_was(kind):
    again = pickle.loads(pickle.dumps(kind("a: b; c")))
    assert (type(again), str(again)) == (kind, "a: b; c")
