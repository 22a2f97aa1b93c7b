"""`make deploy` and `make undeploy`: the Prefect profile `longmix`, the work pool, and the deployments of prefect.yaml.

The profile is written to the user's Prefect home, so that `prefect deployment run build-128k-mix` and
`prefect deployment run select-influential` work in any folder.
It sets the API URL of the local server, disables telemetry, and enables the plugin of bare_name.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import prefect.settings
from prefect.settings import PREFECT_PROFILES_PATH, Profile, ProfilesCollection, load_profiles, save_profiles

from flows import server
from flows.server import HOME, HOST, NO_TELEMETRY, POOL, PORT, SETTINGS, environment, healthy

NAME = "longmix"
DEPLOYMENTS = ("build-128k-mix", "refresh-128k-mix", "select-influential")  # those of prefect.yaml
UNFINISHED = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]
STOP_SECONDS = 90
STOCK = "ephemeral"  # Prefect's default profile
PREFECT_COMMANDS = (
    ["work-pool", "create", POOL, "--type", "process", "--overwrite"],
    ["work-pool", "set-concurrency-limit", POOL, "1"],  # build and refresh lock the same root
    ["--no-prompt", "deploy", "--all", "--prefect-file", str(HOME / "prefect.yaml")],
)


def settings() -> dict:
    values = {
        "PREFECT_API_URL": SETTINGS["PREFECT_API_URL"],
        "PREFECT_PLUGINS_ENABLED": "true",
        "PREFECT_PLUGINS_SETUP_TIMEOUT_SECONDS": "60",  # a busy server can take more than 20 s to respond
        **{key: value for key, value in NO_TELEMETRY.items() if key.startswith("PREFECT_")},
    }
    return {getattr(prefect.settings, key): value for key, value in values.items()}


def save(profiles: ProfilesCollection) -> None:
    PREFECT_PROFILES_PATH.value().parent.mkdir(parents=True, exist_ok=True)
    save_profiles(profiles)


def previous_profile() -> Path:
    """The file with the name of the previously selected profile, next to the profiles, so that clones share it."""
    return PREFECT_PROFILES_PATH.value().with_name("profile-before-longmix")


def select() -> None:
    """Create the profile and select it. The name of the previously selected profile is saved."""
    profiles = load_profiles()
    if profiles.active_name != NAME:
        PREFECT_PROFILES_PATH.value().parent.mkdir(parents=True, exist_ok=True)
        previous_profile().write_text(profiles.active_name or STOCK, encoding="utf-8")
    if NAME in profiles.names:
        profiles.remove_profile(NAME)
    profiles.add_profile(Profile(name=NAME, settings=settings(), source=PREFECT_PROFILES_PATH.value()))
    profiles.set_active(NAME)
    save(profiles)


def deselect() -> None:
    """Remove the profile. If it is selected, select the previous one."""
    profiles = load_profiles()
    if profiles.active_name == NAME:
        previous = previous_profile().read_text(encoding="utf-8") if previous_profile().is_file() else STOCK
        profiles.set_active(previous if previous in profiles.names else STOCK)
    if NAME in profiles.names:
        profiles.remove_profile(NAME)
    save(profiles)
    previous_profile().unlink(missing_ok=True)
    print(f"longmix: removed the profile {NAME}; the selected profile is {profiles.active_name}")


def deploy() -> int:
    """Create the deployments of prefect.yaml with absolute paths of this folder, then select the profile."""
    if not healthy():
        print(f"longmix: no server answers at {HOST}:{PORT}; start one with `make server`", file=sys.stderr)
        return 1
    for arguments in PREFECT_COMMANDS:
        completed = subprocess.run(  # noqa: S603 constant arguments
            [sys.executable, "-m", "prefect", *arguments],
            env=environment(), cwd=HOME, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if completed.returncode:
            print(completed.stdout + completed.stderr, file=sys.stderr)
            return completed.returncode
    select()
    print(f"longmix: server http://{HOST}:{PORT}, work pool {POOL}, Prefect profile {NAME} (selected)")
    print("  build-128k-mix      builds mixes/128k.toml")
    print("  refresh-128k-mix    reads its sources again, Sundays at 03:00 UTC")
    print("  select-influential  builds mixes/sft-64k.toml")
    print("longmix: `make undeploy` removes all of it and stops server and worker")
    for name in sorted({"PREFECT_API_URL", "PREFECT_PROFILE"} & os.environ.keys()):
        print(f"longmix: {name} is set in this shell and overrides the profile; unset it", file=sys.stderr)
    print("next, in any folder: prefect deployment run build-128k-mix --watch")
    return 0


def undeploy() -> int:
    """Remove the profile, and from the server the deployments with their schedules and the work pool; stop server and worker.

    What is gone already is no error. The history of runs and the datasets stay.
    """
    deselect()
    if not healthy():
        print(f"longmix: no server answers at {HOST}:{PORT}: there is nothing else to remove or stop", file=sys.stderr)
        return 0
    process = server.running()
    if process is None:
        print(
            f"longmix: {remove()}; the server at {HOST}:{PORT} is none of `make server` in this folder and still runs"
        )
        return 0
    process.suspend()  # else it would start another worker
    try:
        server.end_workers(process.pid, 0)
        removed = remove()
    finally:
        process.terminate()
        process.resume()
    process.wait(STOP_SECONDS)
    print(f"longmix: {removed}; stopped the server and the worker")
    return 0


def remove() -> str:
    """Cancel the unfinished runs, delete deployments and work pool. Returns what was removed, in words."""
    cancelled = {"type": "CANCELLED", "message": "longmix: `make undeploy` removed the deployment"}
    for run in server.runs_in(UNFINISHED):
        server.post(f"flow_runs/{run['id']}/set_state", {"state": cancelled, "force": True})
    in_pool = {"work_pools": {"name": {"any_": [POOL]}}}
    deployments = server.post("deployments/filter", in_pool)
    for deployment in deployments:
        server.delete(f"deployments/{deployment['id']}")
    pools = server.post("work_pools/filter", in_pool)
    for pool in pools:
        server.delete(f"work_pools/{pool['name']}")
    parts = [f"the work pool {POOL}"] * bool(pools) + sorted(deployment["name"] for deployment in deployments)
    return f"removed {', '.join(parts)}" if parts else "the server has no deployment of longmix"


if __name__ == "__main__":
    sys.exit(undeploy() if sys.argv[1:] == ["undo"] else deploy())
