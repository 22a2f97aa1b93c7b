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
from typing import Any

import psutil

HOME = Path(os.environ.get("LONGMIX_HOME", Path.cwd())).absolute()
HOST, PORT = "127.0.0.1", int(os.environ.get("LONGMIX_PORT", "4200"))
START_SECONDS = 300  # the first start creates the database, which takes minutes on a busy machine
STOP_SECONDS = 30
ORPHAN_SECONDS = 5  # a run's process notices within one or two that its worker was killed
STEADY_SECONDS = 60  # a worker that ends earlier counts as one that can't run
MAX_RESTARTS = 3  # one after the other, of workers that can't run
POOL = "longmix"
RUNNING = HOME / ".prefect" / "server.json"  # the process of `make server`, while it runs
WORKER = "LONGMIX_WORKER_OF"  # a variable with the process number of this program
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
    "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",  # `prefect deployment run --watch` shows the log
    "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
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


def post(path: str, body: dict) -> Any:
    """The server's response to a POST request."""
    return json.loads(request("POST", path, json.dumps(body).encode()))


def delete(path: str) -> None:
    request("DELETE", path, None)


def request(method: str, path: str, body: bytes | None) -> bytes:
    url, headers = f"http://{HOST}:{PORT}/api/{path}", {"Content-Type": "application/json"}
    with DIRECT.open(urllib.request.Request(url, body, headers, method=method), timeout=60) as response:
        return bytes(response.read())


def runs_in(states: list[str]) -> list[dict]:
    """The runs of the work pool in one of the states."""
    body = {"flow_runs": {"state": {"type": {"any_": states}}}, "work_pools": {"name": {"any_": [POOL]}}}
    return list(post("flow_runs/filter", body))


def mark_crashed(cause: str) -> None:
    """Mark the unfinished runs as crashed. Otherwise they would occupy the only run slot.

    cause: what ended their processes, such as "the server was stopped".
    """
    message = f"longmix: {cause}; run the deployment again, which resumes where this run stopped"
    for run in runs_in(["RUNNING", "PENDING", "CANCELLING"]):
        post(f"flow_runs/{run['id']}/set_state", {"state": {"type": "CRASHED", "message": message}, "force": True})
        print(f"longmix: run {run['name']} is marked as crashed: {cause}", flush=True)


def in_use() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, PORT)) == 0


def prefect(*arguments: str, **variables: str) -> subprocess.Popen:
    # In a new session, Ctrl-C reaches only this process, which then stops the other two in order.
    return subprocess.Popen(  # noqa: S603 constant arguments
        [sys.executable, "-m", "prefect", *arguments],
        env=environment() | variables, cwd=HOME, start_new_session=True,
    )  # fmt: skip


def worker() -> subprocess.Popen:
    """Start a worker. It and the processes of its runs bear the variable WORKER, which also finds them as orphans."""
    return prefect("worker", "start", "--pool", POOL, "--type", "process", **{WORKER: str(os.getpid())})


def end_workers(server: int, patience_seconds: float) -> None:
    """End the worker of a server and the processes of its runs, also those whose worker was killed.

    server: the process number of `make server`.
    patience_seconds: how long they may take to end by themselves.
    """
    processes = [process for process in psutil.process_iter() if works_for(process, server)]
    _, alive = psutil.wait_procs(processes, patience_seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    until = time.monotonic() + STOP_SECONDS
    while any(map(is_alive, alive)) and time.monotonic() < until:
        time.sleep(0.1)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; False for one whose parent has still to read its status."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def works_for(process: psutil.Process, server: int) -> bool:
    with suppress(psutil.Error, OSError):
        return process.environ().get(WORKER) == str(server)
    return False


def write_running() -> None:
    RUNNING.parent.mkdir(parents=True, exist_ok=True)
    own = psutil.Process()
    RUNNING.write_text(json.dumps({"pid": own.pid, "created": own.create_time()}), encoding="utf-8")


def running() -> psutil.Process | None:
    """The process of `make server` in this folder; None where there is none."""
    with suppress(OSError, ValueError, KeyError, psutil.Error):
        record = json.loads(RUNNING.read_text(encoding="utf-8"))
        process = psutil.Process(record["pid"])
        if process.create_time() == record["created"]:  # else another program has the number now
            return process
    return None


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


def supervise(processes: list[subprocess.Popen]) -> None:
    """Start another worker in place of one that ends. Returns when the server ends, or workers end again and again.

    processes: the server and the worker; a new worker replaces the old one.
    """
    began, n_failures = time.monotonic(), 0
    while processes[0].poll() is None:
        status = processes[1].poll()
        if status is not None:
            n_failures = n_failures + 1 if time.monotonic() - began < STEADY_SECONDS else 0
            if n_failures > MAX_RESTARTS:
                print(f"longmix: {n_failures} workers ended at once; see their last lines above", file=sys.stderr)
                return
            print(f"longmix: the worker ended with status {status}; another one starts", flush=True)
            end_workers(os.getpid(), ORPHAN_SECONDS)
            mark_crashed("the worker was killed")
            processes[1], began = worker(), time.monotonic()
        time.sleep(1)
    print("longmix: Prefect's server ended unexpectedly; see its last lines above", file=sys.stderr)


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
    write_running()
    try:
        processes.append(prefect("server", "start", "--host", HOST, "--port", str(PORT)))
        until = time.monotonic() + START_SECONDS
        while not healthy():
            if processes[0].poll() is not None or time.monotonic() > until:
                print("longmix: Prefect's server did not start; see its last lines above", file=sys.stderr)
                return 1
            time.sleep(0.5)
        mark_crashed("the server was stopped")
        processes.append(worker())
        print(f"longmix: server and worker run, http://{HOST}:{PORT}; Ctrl-C stops both", flush=True)
        print("next, in another terminal: make deploy", flush=True)
        supervise(processes)
    except KeyboardInterrupt:
        return 0
    else:
        return 1
    finally:
        stop(processes)
        RUNNING.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
