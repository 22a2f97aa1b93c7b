"""`make deploy` and `make undeploy`: the Prefect profile `longmix`, the work pool, and the deployments of prefect.yaml.

The profile lies in the user's own Prefect home, so that `prefect deployment run build-128k-mix` works from any folder. It
names the server on loopback, turns telemetry off, and turns on the plugin that completes a bare name (see bare_name.py).
"""

import os
import subprocess
import sys
from pathlib import Path

import prefect.settings
from prefect.settings import PREFECT_PROFILES_PATH, Profile, ProfilesCollection, load_profiles, save_profiles

from flows.server import HOME, HOST, OWN, POOL, PORT, QUIET, environment, healthy

NAME = "longmix"
STOCK = "ephemeral"  # what Prefect selects where nobody chose
PREFECT_COMMANDS = (
    ["work-pool", "create", POOL, "--type", "process", "--overwrite"],
    ["work-pool", "set-concurrency-limit", POOL, "1"],  # build and refresh share a root, which takes one at a time
    ["--no-prompt", "deploy", "--all", "--prefect-file", str(HOME / "prefect.yaml")],
)


def settings() -> dict:
    wanted = {
        "PREFECT_API_URL": OWN["PREFECT_API_URL"],
        "PREFECT_PLUGINS_ENABLED": "true",
        "PREFECT_PLUGINS_SETUP_TIMEOUT_SECONDS": "60",  # a busy server's answer may take more than 20 s
        **{key: value for key, value in QUIET.items() if key.startswith("PREFECT_")},
    }
    return {getattr(prefect.settings, key): value for key, value in wanted.items()}


def save(profiles: ProfilesCollection) -> None:
    PREFECT_PROFILES_PATH.value().parent.mkdir(parents=True, exist_ok=True)
    save_profiles(profiles)


def before() -> Path:
    """Where the name of the profile that was selected before is kept: beside the profiles, so that clones share it."""
    return PREFECT_PROFILES_PATH.value().with_name("profile-before-longmix")


def select() -> None:
    """Make the profile and select it; the one that was selected before is kept in mind."""
    profiles = load_profiles()
    if profiles.active_name != NAME:
        PREFECT_PROFILES_PATH.value().parent.mkdir(parents=True, exist_ok=True)
        before().write_text(profiles.active_name or STOCK)
    if NAME in profiles.names:
        profiles.remove_profile(NAME)
    profiles.add_profile(Profile(name=NAME, settings=settings(), source=PREFECT_PROFILES_PATH.value()))
    profiles.set_active(NAME)
    save(profiles)


def deselect() -> None:
    """Remove the profile and, where it is selected, select the one before."""
    profiles = load_profiles()
    if profiles.active_name == NAME:
        earlier = before().read_text() if before().is_file() else STOCK
        profiles.set_active(earlier if earlier in profiles.names else STOCK)
    if NAME in profiles.names:
        profiles.remove_profile(NAME)
    save(profiles)
    before().unlink(missing_ok=True)
    print(f"longmix: the profile {NAME} is gone; selected is {profiles.active_name}")


def deploy() -> int:
    """Let Prefect deploy what prefect.yaml lists, with this folder's absolute paths; then select the profile."""
    if not healthy():
        print(f"longmix: no server answers at {HOST}:{PORT}; start one with `make server`", file=sys.stderr)
        return 1
    for words in PREFECT_COMMANDS:
        done = subprocess.run(  # noqa: S603 our own words
            [sys.executable, "-m", "prefect", *words],
            env=environment(), cwd=HOME, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            return done.returncode
    select()
    print(
        f"longmix: deployed build-128k-mix and refresh-128k-mix; the profile {NAME} is selected, `make undeploy` undoes it"
    )
    for name in sorted({"PREFECT_API_URL", "PREFECT_PROFILE"} & os.environ.keys()):
        print(f"longmix: {name} is set in this shell and wins over the profile; unset it", file=sys.stderr)
    print("next, from any folder: prefect deployment run build-128k-mix --watch")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["undo"]:
        deselect()
    else:
        sys.exit(deploy())
