"""Which sockets a process and its children hold open to others, looked at again and again until it ends."""

import os
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from socket import SOCK_DGRAM

import psutil

POLL_SECONDS = 0.02
LIMIT_SECONDS = 600


def open_to_others(process: psutil.Process) -> set[str]:
    """The sockets of a process and its children that anyone may connect to or send to, in words."""
    sockets = set()
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        for each in [process, *process.children(recursive=True)]:
            for connection in each.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN or (connection.type == SOCK_DGRAM and connection.laddr):
                    sockets.add(f"{connection.type.name} {connection.laddr.ip}:{connection.laddr.port}")
    return sockets


def watched(command: list[str], output: Path) -> dict:
    """Run a command to its end. Returns its exit status, the sockets that were open, and how often that was looked at.

    output: the file of all that it prints.
    """
    with open(output, "wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, "COLUMNS": "200"}
        )
    sockets: set[str] = set()
    n_looks = 0
    ended = threading.Event()

    def look() -> None:
        nonlocal n_looks
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(process.pid)
            while not ended.is_set():
                sockets.update(open_to_others(root))
                n_looks += 1
                time.sleep(POLL_SECONDS)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        status = process.wait(LIMIT_SECONDS)
    finally:
        process.kill()
        ended.set()
        watcher.join()
    return {"status": status, "open": sorted(sockets), "n_looks": n_looks}
