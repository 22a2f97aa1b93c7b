"""`make server`: Prefect's server and a worker in the foreground, on loopback. Ctrl-C stops both and any active run."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

HOME = Path(os.environ.get("LONGMIX_HOME", Path.cwd())).absolute()
HOST, PORT = "127.0.0.1", int(os.environ.get("LONGMIX_PORT", "4200"))
START_SECONDS = 300  # the first start creates the database, which takes minutes on a busy machine
STOP_SECONDS = 30
POOL = "longmix"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NO_TELEMETRY = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
SETTINGS = {
    "PREFECT_HOME": str(HOME / ".prefect"),
    "PREFECT_API_URL": f"http://{HOST}:{PORT}/api",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # while a build uses the disk, SQLite can wait longer than 10 s
    "PREFECT_WORKER_QUERY_SECONDS": "3",  # a requested run starts soon
    "LONGMIX_HOME": str(HOME),
}


def environment() -> dict[str, str]:
    """The environment of the server and the worker: the database is in the project, and telemetry is disabled.

    The user's Prefect settings are ignored, except those of logging. Loopback addresses bypass proxies.
    """
    user = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_") or k.startswith("PREFECT_LOGGING_")}
    direct = ",".join(filter(None, [HOST, "localhost", os.environ.get("NO_PROXY") or os.environ.get("no_proxy")]))
    return {**user, **NO_TELEMETRY, **SETTINGS, "NO_PROXY": direct, "no_proxy": direct}


def healthy() -> bool:
    try:
        with DIRECT.open(f"http://{HOST}:{PORT}/api/health", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def post(path: str, body: dict) -> list | dict:
    """The server's response to a POST request."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{HOST}:{PORT}/api/{path}", json.dumps(body).encode(), headers)
    with DIRECT.open(request, timeout=60) as response:
        return json.load(response)


def mark_crashed() -> None:
    """Mark the runs that ended with an earlier server as crashed. Otherwise they would occupy the only run slot."""
    unfinished = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}
    crashed = {"type": "CRASHED", "message": "The server was stopped. Run the deployment again to resume."}
    for run in post("flow_runs/filter", {"flow_runs": unfinished, "work_pools": {"name": {"any_": [POOL]}}}):
        post(f"flow_runs/{run['id']}/set_state", {"state": crashed, "force": True})
        print(f"longmix: run {run['name']} ended with the last server and is marked as crashed", flush=True)


def in_use() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, PORT)) == 0


def prefect(*arguments: str) -> subprocess.Popen:
    # In a new session, Ctrl-C reaches only this process, which then stops the other two in order.
    return subprocess.Popen(  # noqa: S603 constant arguments
        [sys.executable, "-m", "prefect", *arguments], env=environment(), cwd=HOME, start_new_session=True
    )


def stop(processes: list[subprocess.Popen]) -> None:
    """Stop the processes, last one first, with their children.

    A worker that is terminated alone waits for its run, and one that is killed alone leaves its run behind.
    """
    for sign in STOPS:
        signal.signal(sign, signal.SIG_IGN)  # a second Ctrl-C must not leave a process behind
    for process in reversed(processes):
        try:
            parent = psutil.Process(process.pid)
            family = [*parent.children(recursive=True), parent]
        except psutil.NoSuchProcess:
            continue
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.terminate()
        _, alive = psutil.wait_procs(family, STOP_SECONDS)
        for member in alive:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()


def main() -> int:
    if in_use():
        user = "a Prefect server" if healthy() else "another program"
        print(
            f"longmix: {HOST}:{PORT}: in use by {user}; stop it, or set LONGMIX_PORT to another port", file=sys.stderr
        )
        return 1

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for sign in STOPS:
        signal.signal(sign, interrupt)
    processes: list[subprocess.Popen] = []
    try:
        processes.append(prefect("server", "start", "--host", HOST, "--port", str(PORT)))
        until = time.monotonic() + START_SECONDS
        while not healthy():
            if processes[0].poll() is not None or time.monotonic() > until:
                print("longmix: Prefect's server did not start; see its last lines above", file=sys.stderr)
                return 1
            time.sleep(0.5)
        mark_crashed()
        processes.append(prefect("worker", "start", "--pool", POOL, "--type", "process"))
        print(f"longmix: http://{HOST}:{PORT} is up; next, in another terminal: make deploy", flush=True)
        while all(process.poll() is None for process in processes):
            time.sleep(1)
        print("longmix: a Prefect process ended unexpectedly; see its last lines above", file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    else:
        return 1
    finally:
        stop(processes)


if __name__ == "__main__":
    sys.exit(main())
