"""Ctrl-C ends a command within two seconds, whatever its threads and libraries are doing.

Python raises KeyboardInterrupt in the main thread, which then waits for Beam's workers to finish their shards, and a
library in C delays it. Every file is complete once it has its name, so a process may end at any moment.
"""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.exits import INTERRUPTED
from flows.terminal import complain

SECONDS = 1.2  # in which a command may end by itself

SAID = threading.Event()
FOLDERS: set[Path] = set()  # temporary ones of this process, outside of a root


def stopped() -> None:
    """Print that the command was stopped, once."""
    if not SAID.is_set():
        SAID.set()
        complain("stopped; the same command resumes where this one stopped")


def end_soon_after_interrupt() -> None:
    """From now on an interrupt ends this process, after SECONDS at the latest. Only for the main thread."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # written when the signal comes, also while C code runs
    threading.Thread(target=wait, args=(reader,), daemon=True).start()


def wait(reader: int) -> None:
    while os.read(reader, 1) != bytes([signal.SIGINT]):
        pass
    time.sleep(SECONDS)
    stopped()
    for folder in list(FOLDERS):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(INTERRUPTED)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder that is removed at the end of the block, also where an interrupt ends the process inside it."""
    with TemporaryDirectory(prefix=prefix) as name:
        FOLDERS.add(Path(name))
        try:
            yield Path(name)
        finally:
            FOLDERS.discard(Path(name))
