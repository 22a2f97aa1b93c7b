"""Beam's PortableRunner with its embedded job service and workers in another process: the nearest thing to a cluster.

    python -m tests.workers

is that process: it prints its address, and serves until it is ended. Beam opens its ports on every address; here they are
opened on loopback alone, in both processes.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import grpc._server
from apache_beam.runners.portability.stager import Stager
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

from pipelines.stage import Runner

LOOPBACK = "127.0.0.1"


@contextmanager
def on_loopback() -> Iterator[None]:
    """gRPC servers that are started in this block listen on loopback, whatever address they ask for."""
    add_insecure_port = grpc._server._Server.add_insecure_port

    def on_loopback_alone(self: object, address: str) -> int:
        return add_insecure_port(self, f"{LOOPBACK}:{address.rpartition(':')[2]}")

    with patch.object(grpc._server._Server, "add_insecure_port", on_loopback_alone):
        yield


@contextmanager
def without_pip() -> Iterator[None]:
    """Pipelines of this block do not stage what `pip freeze` prints, a second each, for Beam's log."""
    with patch.object(Stager, "_create_stage_submission_env_dependencies", lambda _: []):
        yield


@contextmanager
def worker_pool() -> Iterator[Runner]:
    """A runner whose workers live in a process of their own and share nothing with the driver but the store."""
    command, folder = [sys.executable, "-m", "tests.workers"], Path(__file__).parents[1]
    with on_loopback(), without_pip(), subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as pool:
        try:
            assert pool.stdout is not None
            address = pool.stdout.readline().strip()
            options = {"job_endpoint": "embed", "environment_type": "EXTERNAL", "environment_config": address}
            yield Runner(runner="PortableRunner", options=options)
        finally:
            pool.kill()


def main() -> None:
    with on_loopback():
        address, server = BeamFnExternalWorkerPoolServicer.start(use_process=False)
    print(address, flush=True)
    try:
        threading.Event().wait()
    finally:
        server.stop(0)


if __name__ == "__main__":
    main()
