"""Which sockets a process and its children hold open to others, looked at again and again."""

import os
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Self

import psutil

POLL_SECONDS = 0.02
LIMIT_SECONDS = 600


class Watch:
    """Looks at a process and its children, from a thread, until the block ends.

    Attributes:
        open: the sockets that anyone could connect to or send to, in words.
        n_looks: how often it looked.
    """

    def __init__(self, pid: int):
        self.pid, self.open, self.n_looks = pid, set[str](), 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def look(self) -> None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            while not self.ended.is_set():
                self.open |= open_to_others(process)
                self.n_looks += 1
                time.sleep(POLL_SECONDS)


def open_to_others(process: psutil.Process) -> set[str]:
    """The sockets of a process and its children that listen, or receive datagrams."""
    sockets = set()
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            for connection in each.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN or (connection.type == SOCK_DGRAM and connection.laddr):
                    sockets.add(f"{connection.type.name} {connection.laddr.ip}:{connection.laddr.port}")
    return sockets


def watched(command: list[str], output: Path) -> dict:
    """Run a command to its end. Returns its exit status, the sockets that were open, and how often it was looked at.

    output: the file of all that it prints.
    """
    with open(output, "wb") as stream:
        environment = {**os.environ, "COLUMNS": "200"}
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
    try:
        with Watch(process.pid) as watch:
            status = process.wait(LIMIT_SECONDS)
    finally:
        process.kill()
    return {"status": status, "open": sorted(watch.open), "n_looks": watch.n_looks}
