"""`prefect deployment run build-128k-mix`, typed just so: Prefect's own command wants FLOW/DEPLOYMENT.

A start-up hook of the entry-point group `prefect.plugins`. It acts on `deployment run NAME` alone and completes a bare
name when exactly one deployment of the server bears it; otherwise it names the candidates and stops. Every other command
passes through untouched, at the cost of looking at the words of the command line. Prefect runs plugins only where a
profile enables them; `make deploy` makes such a profile and `make undeploy` removes it.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from prefect.plugins import register_hook

TAKES_A_VALUE = {
    "--flow-run-name", "--job-variable", "--param", "--params", "--profile", "--start-at", "--start-in", "--tag",
    "--watch-interval", "--watch-timeout", "-jv", "-p",
}  # fmt: skip
NOT_BY_NAME = {"--help", "--id"}
MOST_NAMED = 10  # deployments in a message
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def bare_name(argv: Sequence[str]) -> int | None:
    """The place in argv of a deployment's name without its flow's; None where the command is any other.

    >>> bare_name(["prefect", "deployment", "run", "--watch", "nightly"])
    4
    """
    words, place = [], 1
    while place < len(argv):
        option = argv[place].partition("=")[0].replace("_", "-")  # Prefect takes --watch_interval too
        if option in NOT_BY_NAME:
            return None
        if argv[place].replace("_", "-") in TAKES_A_VALUE:
            place += 1  # the next word is its value, no name
        elif not option.startswith("-"):
            words.append(place)
        place += 1
    command = [argv[i] for i in words[:2]]
    if command not in (["deployment", "run"], ["deployments", "run"]) or len(words) != 3 or "/" in argv[words[2]]:
        return None
    return words[2]


def is_prefect(argv: Sequence[str], typed: Sequence[str]) -> bool:
    """Whether the program is Prefect's command: the script, or `python -m prefect`.

    Args:
        argv: sys.argv.
        typed: sys.orig_argv. While Python looks for the module of -m, argv[0] is "-m" and the module's name stands here.
    """
    if argv[:1] == ["-m"]:
        return typed[-len(argv)] in ("prefect", "-mprefect")
    return bool(argv) and PurePath(argv[0]).stem == "prefect"


def profile_of(argv: Sequence[str]) -> str | None:
    """The profile that the command line chooses; -p means it only before the command."""
    before = True
    for word, following in zip(argv[1:], [*argv[2:], ""], strict=True):
        if word == "--profile" or (word == "-p" and before):
            return following
        if word.startswith("--profile="):
            return word.partition("=")[2]
        before = before and word.startswith("-")
    return None


async def candidates(name: str) -> list[str]:
    """FLOW/DEPLOYMENT of every deployment of the server that bears the name; of others where none does.

    Raises:
        Exception: no server answers.
    """
    from anyio import fail_after
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterId
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if not settings.api.url:
        raise ConnectionError("the profile names none")
    if urlsplit(settings.api.url).hostname in LOOPBACK:  # a proxy can't reach it
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join([*LOOPBACK, os.environ.get("NO_PROXY", "")])
    bearing = DeploymentFilter(name=DeploymentFilterName(any_=[name]))
    with fail_after(0.9 * settings.plugins.setup_timeout_seconds):  # when it is over Prefect goes on without the hook
        async with get_client() as client:
            found = await client.read_deployments(deployment_filter=bearing) or await client.read_deployments()
            ids = [deployment.flow_id for deployment in found]
            flows = await client.read_flows(flow_filter=FlowFilter(id=FlowFilterId(any_=ids))) if ids else []
    names = {flow.id: flow.name for flow in flows}
    return sorted(f"{names[each.flow_id]}/{each.name}" for each in found if each.flow_id in names)


async def complete(argv: list[str], find: Any = candidates) -> None:
    """Put the full name in argv.

    Raises:
        SystemExit: no server answers, or not exactly one deployment bears the name; with one line on standard error.
    """
    from prefect.context import use_profile

    place = bare_name(argv)
    if place is None:
        return
    name, profile = argv[place], profile_of(argv)
    try:
        with use_profile(profile, override_environment_variables=True) if profile else nullcontext():
            full = await find(name)
    except KeyError:
        return  # there is no such profile, which Prefect says itself
    except Exception as error:  # noqa: BLE001 whatever it is, the remedy is the same
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        stop(f"{name}: no Prefect server answers ({why}); start one with `make server`")
    bearers = [each for each in full if each.partition("/")[2] == name]
    if len(bearers) == 1:
        argv[place] = bearers[0]
    elif bearers:
        stop(f"{name}: several deployments bear this name; choose {' or '.join(bearers)}")
    elif full:
        more = ", ..." if len(full) > MOST_NAMED else ""
        stop(f"{name}: no deployment bears this name; there are {', '.join(full[:MOST_NAMED])}{more}")
    else:
        stop(f"{name}: no deployment bears this name; there is none at all, `make deploy` makes them")


def stop(message: str) -> None:
    print(f"longmix: {message}", file=sys.stderr)
    raise SystemExit(1)


@register_hook
async def setup_environment(*, ctx: Any) -> None:  # noqa: ARG001 the hook's own signature
    """Prefect calls this when it is imported, before it reads the command line."""
    if is_prefect(sys.argv, sys.orig_argv):
        await complete(sys.argv)
