"""The root's lock: one process at a time builds, calibrates or collects garbage under a root."""

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipelines.store import Store
from schemas.errors import BusyError, RecipeError


@contextmanager
def held(store: Store, mix: str) -> Iterator[None]:
    """Hold the root against a second build, and begin with an empty scratch folder and progress file.

    The lock is the kernel's: it is gone with the process, however that ends.

    Raises:
        BusyError: names the build that holds it.
        RecipeError: the root can't be written.
    """
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(store.root / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RecipeError(f"{store.root}: can't be written ({error.strerror}); choose another --root") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{store.root}: {holder(store.root / 'lock')}; wait for it or choose another --root"
            ) from None
        os.ftruncate(handle, 0)
        who = {
            "mix": mix,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.write(handle, json.dumps(who).encode())
        shutil.rmtree(store.root / "scratch", ignore_errors=True)
        (store.root / "scratch").mkdir()
        (store.root / "progress.jsonl").write_bytes(b"")
        store.tell({"event": "build", "mix": mix})
        yield
        shutil.rmtree(store.root / "scratch", ignore_errors=True)
    finally:
        os.close(handle)


def holder(lock: Path) -> str:
    try:
        who = json.loads(lock.read_text())
        return f"a build of {who['mix']!r} holds it since {who['since']} (process {who['pid']} on {who['host']})"
    except (OSError, ValueError, KeyError):
        return "another build holds it"
