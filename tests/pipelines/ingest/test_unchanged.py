"""A raw file that changes while it is read stops the stage, whatever of it changed."""

import os

import pytest

from pipelines.ingest import check_unchanged
from pipelines.ingest.readers.record import File
from schemas.errors import StageError

MTIME = 1_700_000_000_000_000_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one")
    os.utime(path, ns=(MTIME, MTIME))
    return File("a.jsonl", str(path), n_bytes=3, mtime_ns=MTIME)


def test_an_unchanged_file_is_read(file):
    assert check_unchanged(file) is None


@pytest.mark.parametrize(
    ("data", "mtime_ns"), [(b"two", MTIME + 1), (b"longer", MTIME)], ids=["equal size", "equal time"]
)
def test_a_changed_file_is_not(file, data, mtime_ns):
    with open(file.path, "wb") as stream:
        stream.write(data)
    os.utime(file.path, ns=(mtime_ns, mtime_ns))
    with pytest.raises(StageError, match=r"a\.jsonl: changed while it was read; run the build again"):
        check_unchanged(file)
