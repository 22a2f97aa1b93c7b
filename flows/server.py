"""`make server`: Prefect's server and a worker in the foreground, on loopback. Ctrl-C stops both, and a run with them."""

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
START_SECONDS = 300  # a first start makes the database; busy machines take minutes
STOP_SECONDS = 30
POOL = "longmix"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
OWN = {
    "PREFECT_HOME": str(HOME / ".prefect"),
    "PREFECT_API_URL": f"http://{HOST}:{PORT}/api",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # a build keeps the disk busy: SQLite may wait longer than 10 s for it
    "PREFECT_WORKER_QUERY_SECONDS": "3",  # a run that was asked for begins soon
    "LONGMIX_HOME": str(HOME),
}


def environment() -> dict[str, str]:
    """The server's own: its database lies in the project, not in the user's home, and nothing is told to anyone.

    Of the user's Prefect settings only those of its logs count here; loopback is asked without a proxy.
    """
    users = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_") or k.startswith("PREFECT_LOGGING_")}
    direct = ",".join(filter(None, [HOST, "localhost", os.environ.get("NO_PROXY") or os.environ.get("no_proxy")]))
    return {**users, **QUIET, **OWN, "NO_PROXY": direct, "no_proxy": direct}


def healthy() -> bool:
    try:
        with DIRECT.open(f"http://{HOST}:{PORT}/api/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def asked(path: str, question: dict) -> list | dict:
    """The server's answer to a POST."""
    headers = {"Content-Type": "application/json"}
    body = json.dumps(question).encode()
    request = urllib.request.Request(f"http://{HOST}:{PORT}/api/{path}", body, headers)
    with DIRECT.open(request, timeout=60) as answer:
        return json.load(answer)


def settle() -> None:
    """Note the runs that ended with an earlier server as crashed: they would hold the only place for a run for ever."""
    unfinished = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}
    crashed = {"type": "CRASHED", "message": "The server was stopped. Run it again: it goes on where it was."}
    for run in asked("flow_runs/filter", {"flow_runs": unfinished, "work_pools": {"name": {"any_": [POOL]}}}):
        asked(f"flow_runs/{run['id']}/set_state", {"state": crashed, "force": True})
        print(f"longmix: run {run['name']} ended with the last server; it is marked as crashed", flush=True)


def in_use() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, PORT)) == 0


def prefect(*words: str) -> subprocess.Popen:
    # A session of its own: Ctrl-C reaches this process alone, which then stops the two in turn.
    return subprocess.Popen(  # noqa: S603 our own words
        [sys.executable, "-m", "prefect", *words], env=environment(), cwd=HOME, start_new_session=True
    )


def stop(processes: list[subprocess.Popen]) -> None:
    """Stop the last first, each with what it started: a worker would wait for its run, and leave it behind if killed."""
    for sign in STOPS:
        signal.signal(sign, signal.SIG_IGN)  # being impatient would leave one of them behind
    for process in reversed(processes):
        try:
            parent = psutil.Process(process.pid)
            family = [*parent.children(recursive=True), parent]
        except psutil.NoSuchProcess:
            continue
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.terminate()
        _, alive = psutil.wait_procs(family, STOP_SECONDS)
        for each in alive:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


def main() -> int:
    if in_use():
        what = "a Prefect server answers there already" if healthy() else "something else listens there"
        print(f"longmix: {HOST}:{PORT}: {what}; stop it, or choose another with LONGMIX_PORT", file=sys.stderr)
        return 1

    def leave(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for sign in STOPS:
        signal.signal(sign, leave)
    processes: list[subprocess.Popen] = []
    try:
        processes.append(prefect("server", "start", "--host", HOST, "--port", str(PORT)))
        until = time.monotonic() + START_SECONDS
        while not healthy():
            if processes[0].poll() is not None or time.monotonic() > until:
                print("longmix: Prefect's server did not start; its last lines say why", file=sys.stderr)
                return 1
            time.sleep(0.5)
        settle()
        processes.append(prefect("worker", "start", "--pool", POOL, "--type", "process"))
        print(f"longmix: http://{HOST}:{PORT} is up; next, in another terminal: make deploy", flush=True)
        while all(process.poll() is None for process in processes):
            time.sleep(1)
        print("longmix: one of Prefect's processes ended by itself; its last lines say why", file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    else:
        return 1
    finally:
        stop(processes)


if __name__ == "__main__":
    sys.exit(main())
