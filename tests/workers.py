"""Beam's PortableRunner with its embedded job service and workers in another process: the nearest thing to a cluster."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.stage import Runner


@contextmanager
def worker_pool() -> Iterator[Runner]:
    """A runner whose workers live in a process of their own and share nothing with the driver but the store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the pool starts `python` from PATH
    pool = subprocess.Popen(
        [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"],
        env={**os.environ, "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        options = {"job_endpoint": "embed", "environment_type": "EXTERNAL", "environment_config": f"localhost:{port}"}
        yield Runner(runner="PortableRunner", options=options)
    finally:
        pool.terminate()
        pool.wait()
