"""One process at a time builds, calibrates, collects garbage or gathers in a folder."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipelines.store import files
from schemas.errors import BusyError, RecipeError

FILE = "lock"


@contextmanager
def locked(folder: Path, purpose: str, option: str) -> Iterator[None]:
    """Lock a folder, made where it is missing. The kernel releases the lock when the process ends, however it ends.

    Args:
        purpose: what the message of a second process names, such as "a build of '128k'".
        option: the command-line option that names another folder.

    Raises:
        BusyError: another process holds the lock; the message names its purpose.
        RecipeError: the folder cannot be written.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = files.lock(path)
    except OSError as error:
        raise RecipeError(f"{folder}: can't be written ({error.strerror}); choose another {option}") from error
    if descriptor is None:
        raise BusyError(f"{folder}: {holder(path)}; wait for it or choose another {option}")
    try:
        os.ftruncate(descriptor, 0)
        who = {
            "purpose": purpose,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.write(descriptor, json.dumps(who).encode())
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"{who['purpose']} holds it since {who['since']} (process {who['pid']} on {who['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process holds it"
