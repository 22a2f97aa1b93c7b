"""Tracebacks are kept in files, a bounded number of them, and a full disk hides no error."""

import pytest

from pipelines import failures
from pipelines.failures import MOST_LOGS, pointer, remedy_of, write_traceback


def raised(message):
    with pytest.raises(ValueError) as error:
        raise ValueError(message)
    return error.value


def test_the_newest_logs_are_kept(tmp_path):
    for i in range(MOST_LOGS + 3):
        path = write_traceback(tmp_path, "a/b", raised(f"number {i}"))
        assert path.parent == tmp_path / "logs"
        assert f"number {i}" in path.read_text()
        assert path.name.endswith("-a_b.log")
    kept = sorted((tmp_path / "logs").iterdir())
    assert len(kept) == MOST_LOGS
    assert "number 3\n" in kept[0].read_text()


def test_without_a_root_it_is_a_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr(failures.tempfile, "tempdir", str(tmp_path))
    for root in (None, tmp_path / "none"):
        path = write_traceback(root, "plan", raised("x"))
        assert path.parent == tmp_path
        assert "ValueError: x" in path.read_text()
    (tmp_path / "logs").write_text("a file")
    assert write_traceback(tmp_path, "plan", raised("x")).parent == tmp_path
    monkeypatch.setattr(failures.tempfile, "tempdir", str(tmp_path / "none"))
    assert write_traceback(None, "plan", raised("x")) is None
    assert pointer(None) == "the traceback could not be written to a file"


@pytest.mark.parametrize(
    ("name", "message", "begins"),
    [
        ("OSError", "[Errno 28] No space left on device", "free space on the disk"),
        ("MemoryError", "", "use fewer workers"),
        ("OSError", "[Errno 9999] x", None),
        ("ValueError", "at [Errno 28]", None),
    ],
)
def test_remedies(name, message, begins):
    remedy = remedy_of(name, message)
    assert (remedy is None) == (begins is None)
    assert not begins or remedy.startswith(begins)
