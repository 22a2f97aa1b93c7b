import pytest

from pipelines.encode.attempt import attempted


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
