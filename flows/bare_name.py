"""`prefect deployment run build-128k-mix`, typed just so: Prefect's own command wants FLOW/DEPLOYMENT.

A start-up hook of the entry-point group `prefect.plugins`. It acts on `deployment run NAME` alone and completes a bare
name when exactly one deployment of the server bears it; otherwise it names the candidates and stops. Every other command
passes through untouched, at the cost of looking at the words of the command line. Prefect runs plugins only where a
profile enables them; `make deploy` makes such a profile and `make undeploy` removes it.
"""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import PurePath
from typing import Any

from prefect.plugins import register_hook

TAKES_A_VALUE = {
    "--flow-run-name", "--id", "--job-variable", "--param", "--params", "--profile", "--start-at", "--start-in", "--tag",
    "--watch-interval", "--watch-timeout", "-p",
}  # fmt: skip
NOT_A_RUN = {"--help", "-h", "--id", "--version"}


def bare_name(argv: Sequence[str]) -> int | None:
    """The place in argv of a deployment's name without its flow's; None where the command is any other.

    >>> bare_name(["prefect", "deployment", "run", "--watch", "nightly"])
    4
    """
    if not argv or not is_prefect(argv[0]):
        return None
    words, place = [], 1
    while place < len(argv):
        word = argv[place]
        if word.partition("=")[0] in NOT_A_RUN:
            return None
        if word in TAKES_A_VALUE:
            place += 1  # its value is no name
        elif not word.startswith("-"):
            words.append(place)
        place += 1
    command = [argv[i] for i in words[:2]]
    if command != ["deployment", "run"] or len(words) != 3 or "/" in argv[words[2]]:
        return None
    return words[2]


def is_prefect(program: str) -> bool:
    """Whether argv[0] is Prefect's command: the script, or `python -m prefect`."""
    path = PurePath(program)
    return path.stem == "prefect" or (path.name == "__main__.py" and path.parent.name == "prefect")


def profile_of(argv: Sequence[str]) -> str | None:
    """The profile that the command line chooses."""
    for place, word in enumerate(argv):
        if word == "--profile" and place + 1 < len(argv):
            return argv[place + 1]
        if word.startswith("--profile="):
            return word.partition("=")[2]
    return None


async def candidates(name: str, profile: str | None) -> list[str]:
    """FLOW/DEPLOYMENT of every deployment of the server that bears the name; of all of them where none does.

    Raises:
        Exception: no server answers.
    """
    from prefect.client.orchestration import get_client
    from prefect.context import use_profile
    from prefect.settings import get_current_settings

    with use_profile(profile, include_current_context=False) if profile else nullcontext():
        if not get_current_settings().api.url:
            raise ConnectionError("no server is set")
        async with get_client() as client:
            found = await client.read_deployments()
            flows = {flow.id: flow.name for flow in await client.read_flows()}
    full = sorted(f"{flows.get(deployment.flow_id, '?')}/{deployment.name}" for deployment in found)
    return [each for each in full if each.partition("/")[2] == name] or full


async def complete(argv: list[str], find: Any = candidates) -> None:
    """Put the full name in argv.

    Raises:
        SystemExit: no server answers, or not exactly one deployment bears the name; with one line on standard error.
    """
    place = bare_name(argv)
    if place is None:
        return
    name = argv[place]
    try:
        full = await find(name, profile_of(argv))
    except Exception as error:  # noqa: BLE001 whatever it is, the remedy is the same
        stop(f"{name}: no Prefect server answers ({type(error).__name__}); start one with `make server`")
    bearers = [each for each in full if each.partition("/")[2] == name]
    if not bearers:
        known = f"there are {', '.join(full)}" if full else "there is none at all; `make deploy` makes them"
        stop(f"{name}: no deployment bears this name; {known}")
    if len(bearers) > 1:
        stop(f"{name}: several deployments bear this name; choose {' or '.join(bearers)}")
    argv[place] = bearers[0]


def stop(message: str) -> None:
    print(f"longmix: {message}", file=sys.stderr)
    raise SystemExit(1)


@register_hook
async def setup_environment(*, ctx: Any) -> None:  # noqa: ARG001 the hook's own signature
    """Prefect calls this when it is imported, before it reads the command line."""
    await complete(sys.argv)
