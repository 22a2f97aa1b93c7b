"""`make deploy` and `make undeploy`: the Prefect profile `longmix`, the work pool, and the deployments of prefect.yaml.

The profile lies in the user's own Prefect home, so that `prefect deployment run build-128k-mix` works from any folder. It
names the server on loopback, turns telemetry off, and turns on the plugin that completes a bare name (see bare_name.py).
"""

import os
import subprocess
import sys

import prefect.settings
from prefect.settings import PREFECT_PROFILES_PATH, Profile, ProfilesCollection, load_profiles, save_profiles

from flows.server import HOME, HOST, PORT, QUIET, healthy

NAME = "longmix"
BEFORE = HOME / ".prefect" / "profile-before"


def settings() -> dict:
    wanted = {
        "PREFECT_API_URL": f"http://{HOST}:{PORT}/api",
        "PREFECT_PLUGINS_ENABLED": "true",
        **{key: value for key, value in QUIET.items() if key.startswith("PREFECT_")},
    }
    return {getattr(prefect.settings, key): value for key, value in wanted.items()}


def save(profiles: ProfilesCollection) -> None:
    PREFECT_PROFILES_PATH.value().parent.mkdir(parents=True, exist_ok=True)
    save_profiles(profiles)


def select() -> None:
    """Make the profile and select it; the one that was selected before is kept in mind."""
    profiles = load_profiles()
    if profiles.active_name and profiles.active_name != NAME:
        BEFORE.parent.mkdir(parents=True, exist_ok=True)
        BEFORE.write_text(profiles.active_name)
    if NAME in profiles.names:
        profiles.remove_profile(NAME)
    profiles.add_profile(Profile(name=NAME, settings=settings(), source=PREFECT_PROFILES_PATH.value()))
    profiles.set_active(NAME)
    save(profiles)


def deselect() -> None:
    """Remove the profile and select the one before."""
    profiles = load_profiles()
    before = BEFORE.read_text() if BEFORE.is_file() else "ephemeral"
    if profiles.active_name == NAME:
        profiles.set_active(before if before in profiles.names else None)
    if NAME in profiles.names:
        profiles.remove_profile(NAME)
    save(profiles)
    BEFORE.unlink(missing_ok=True)
    print(f"longmix: the profile {NAME} is gone; selected is {profiles.active_name or 'none'}")


def deploy() -> int:
    """Select the profile, then let Prefect deploy what prefect.yaml lists, with this folder's absolute paths."""
    if not healthy():
        print(f"longmix: no server answers at {HOST}:{PORT}; start one with `make server`", file=sys.stderr)
        return 1
    select()
    own = {**os.environ, **QUIET, "LONGMIX_HOME": str(HOME), "PREFECT_API_URL": f"http://{HOST}:{PORT}/api"}
    for words in (
        ["work-pool", "create", "longmix", "--type", "process", "--overwrite"],
        ["--no-prompt", "deploy", "--all", "--prefect-file", str(HOME / "prefect.yaml")],
    ):
        done = subprocess.run(  # noqa: S603 our own words
            [sys.executable, "-m", "prefect", *words], env=own, cwd=HOME, capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            return done.returncode
    print(
        "longmix: deployed build-128k-mix and refresh-128k-mix; the profile longmix is selected (make undeploy undoes it)"
    )
    print("next, from any folder: prefect deployment run build-128k-mix --watch")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["undo"]:
        deselect()
    else:
        sys.exit(deploy())
