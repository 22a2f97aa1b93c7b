"""`make server`: Prefect's server and a worker in the foreground, on loopback. Ctrl-C stops both."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import FrameType

HOME = Path(os.environ.get("LONGMIX_HOME", Path.cwd())).absolute()
HOST, PORT = "127.0.0.1", int(os.environ.get("LONGMIX_PORT", "4200"))
START_SECONDS = 300  # a first start makes the database; busy machines take minutes
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def environment() -> dict[str, str]:
    """The server's own: its database lies in the project, not in the user's home, and nothing is told to anyone."""
    own = {"PREFECT_HOME": str(HOME / ".prefect"), "PREFECT_API_URL": f"http://{HOST}:{PORT}/api"}
    return {**os.environ, **QUIET, **own}


def healthy() -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
    try:
        with opener.open(f"http://{HOST}:{PORT}/api/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def in_use() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, PORT)) == 0


def prefect(*words: str) -> subprocess.Popen:
    # A session of its own: Ctrl-C reaches this process alone, which then stops the two in turn.
    return subprocess.Popen(  # noqa: S603 our own words
        [sys.executable, "-m", "prefect", *words], env=environment(), cwd=HOME, start_new_session=True
    )


def stop(processes: list[subprocess.Popen]) -> None:
    for process in reversed(processes):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def main() -> int:
    if in_use():
        what = "a Prefect server answers there already" if healthy() else "something else listens there"
        print(f"longmix: {HOST}:{PORT}: {what}; stop it, or choose another with LONGMIX_PORT", file=sys.stderr)
        return 1

    def leave(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
    processes = [prefect("server", "start", "--host", HOST, "--port", str(PORT))]
    try:
        until = time.monotonic() + START_SECONDS
        while not healthy():
            if processes[0].poll() is not None or time.monotonic() > until:
                print("longmix: Prefect's server did not start; its last lines say why", file=sys.stderr)
                return 1
            time.sleep(0.5)
        processes.append(prefect("worker", "start", "--pool", "longmix", "--type", "process"))
        print(f"longmix: http://{HOST}:{PORT} is up; next, in another terminal: make deploy", flush=True)
        while all(process.poll() is None for process in processes):
            time.sleep(1)
    except KeyboardInterrupt:
        return 0
    else:
        return 1
    finally:
        stop(processes)


if __name__ == "__main__":
    sys.exit(main())
