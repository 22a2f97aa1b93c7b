"""One process at a time: the second is refused, by the name of what the first does."""

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime

import pytest

from pipelines.store.lock import FILE, locked
from schemas.errors import BusyError, RecipeError

HOLD = """
import sys, time
from pathlib import Path
from pipelines.store.lock import locked
with locked(Path(sys.argv[1]), "a build of 'x'", "--root"):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "root")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_lock_names_its_holder(tmp_path):
    folder = tmp_path / "new" / "root"
    with locked(folder, "a build of 'x'", "--root"):
        who = json.loads((folder / FILE).read_text())
        assert (who["purpose"], who["pid"], who["host"]) == ("a build of 'x'", os.getpid(), socket.gethostname())
        assert datetime.fromisoformat(who["since"]).utcoffset().total_seconds() == 0
        with pytest.raises(BusyError) as error, locked(folder, "gc", "--root"):
            pytest.fail("locked twice")
    holder = f"a build of 'x' holds it since {who['since']} (process {os.getpid()} on {socket.gethostname()})"
    assert str(error.value) == f"{folder}: {holder}; wait for it or choose another --root"


def test_a_shorter_purpose_leaves_nothing_of_a_longer_one(tmp_path):
    for purpose in ("a build of 'a mix with a long name'", "gc"):
        with locked(tmp_path, purpose, "--root"):
            assert json.loads((tmp_path / FILE).read_text())["purpose"] == purpose


def test_another_process_is_named_and_its_end_frees_the_lock(tmp_path, other):
    root = tmp_path / "root"
    with pytest.raises(BusyError, match=rf"a build of 'x' holds it since .* \(process {other.pid} on "), locked(root, "gc", "--root"):  # fmt: skip
        pytest.fail("locked twice")
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with locked(root, "gc", "--root"):
        pass


def test_an_error_inside_frees_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path, "gc", "--root"):
        raise ZeroDivisionError
    with locked(tmp_path, "gc", "--root"):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]"])
def test_a_holder_that_has_not_written_its_name_yet(tmp_path, content):
    with locked(tmp_path, "gc", "--root"):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(BusyError, match="another process holds it; wait for it or choose another --cache"), locked(tmp_path, "x", "--cache"):  # fmt: skip
            pytest.fail("locked twice")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError) as error, locked(tmp_path / "file" / "root", "gc", "--root"):
        pytest.fail("locked")
    assert str(error.value) == f"{tmp_path}/file/root: can't be written (Not a directory); choose another --root"
