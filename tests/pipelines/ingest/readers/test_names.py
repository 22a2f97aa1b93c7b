"""A name that a dataset gives leads to a place inside its folder, or is refused."""

import pytest

from pipelines.ingest.readers.names import is_inside


@pytest.mark.parametrize("name", ["a", "a/b.parquet", "lang=de/..a", "a..b", "...", "\u00e9"])
def test_inside(name):
    assert is_inside(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b", "/a", "a/", "a//b", "./a", "a\0", "\ud800"])
def test_outside(name):
    assert not is_inside(name)
