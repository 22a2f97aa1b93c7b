import threading
import time

import pyarrow as pa
import pytest

from pipelines.encode import attempt
from pipelines.encode.attempt import attempted, span, within_limit
from schemas.errors import StageError


class PanicException(BaseException):
    """As raised by a panic in a library that is written in Rust."""


def raising(error):
    def call():
        raise error

    return call


def test_the_result_or_none():
    assert attempted(lambda: 3) == 3
    assert attempted(raising(ValueError())) is None
    assert attempted(raising(PanicException())) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_no_fault_of_the_text_is_raised(error):
    with pytest.raises(error):
        attempted(raising(error()))


def test_a_call_that_ends_gives_its_result_or_its_error():
    assert within_limit(lambda: 3, 1, lambda: "") == 3
    with pytest.raises(PanicException):
        within_limit(raising(PanicException()), 1, lambda: "")
    assert within_limit(lambda: 4, 1, lambda: "") == 4


def test_calls_of_one_thread_are_made_by_one_helper():
    names = {within_limit(lambda: threading.current_thread().name, 1, lambda: "") for _ in range(5)}
    assert len(names) == 1
    assert names != {threading.current_thread().name}


def test_a_call_that_does_not_end_is_left_behind(monkeypatch):
    monkeypatch.setattr(attempt, "LEAST_SECONDS", 0.05)
    monkeypatch.setattr(attempt, "SECONDS_PER_MB", 0)
    gate = threading.Event()
    with pytest.raises(
        StageError, match=r"document d1: 5,000,000 bytes of text are not encoded after 0 s.*; remove the"
    ):
        within_limit(gate.wait, 5_000_000, lambda: span(pa.array(["d1"])))
    assert within_limit(lambda: 4, 1, lambda: "") == 4  # by another helper
    gate.set()


def test_a_long_text_has_more_time(monkeypatch):
    monkeypatch.setattr(attempt, "LEAST_SECONDS", 0)
    monkeypatch.setattr(attempt, "SECONDS_PER_MB", 0.5)
    assert within_limit(lambda: time.sleep(0.2), 20_000_000, lambda: "") is None
    with pytest.raises(StageError):
        within_limit(lambda: time.sleep(0.2), 20_000, lambda: "")


def test_a_batch_is_named_by_its_first_and_last():
    assert span(pa.chunked_array([["a"], ["b", "c"]])) == "one of the 3 documents a to c"
