"""Make `prefect deployment run build-128k-mix` work; Prefect itself requires FLOW/DEPLOYMENT.

This is a start-up hook of the entry-point group `prefect.plugins`. For `deployment run NAME` it replaces NAME by
FLOW/NAME if exactly one deployment on the server has that name; otherwise it lists the candidates and exits. Other
commands are not changed. Prefect runs plugins only if the profile enables them; `make deploy` creates such a profile
and `make undeploy` removes it.
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
MAX_LISTED = 10  # deployments in a message
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def bare_name(argv: Sequence[str]) -> int | None:
    """The index in argv of a deployment's name that lacks the flow's name; None for all other command lines.

    >>> bare_name(["prefect", "deployment", "run", "--watch", "nightly"])
    4
    """
    words, place = [], 1
    while place < len(argv):
        option = argv[place].partition("=")[0].replace("_", "-")  # Prefect takes --watch_interval too
        if option in NOT_BY_NAME:
            return None
        if argv[place].replace("_", "-") in TAKES_A_VALUE:
            place += 1  # skip the option's value
        elif not option.startswith("-"):
            words.append(place)
        place += 1
    command = [argv[i] for i in words[:2]]
    if command not in (["deployment", "run"], ["deployments", "run"]) or len(words) != 3 or "/" in argv[words[2]]:
        return None
    return words[2]


def is_prefect(argv: Sequence[str], orig_argv: Sequence[str]) -> bool:
    """Whether the program is Prefect's command line: the script, or `python -m prefect`.

    Args:
        argv: sys.argv.
        orig_argv: sys.orig_argv. While Python resolves -m, argv[0] is "-m" and only orig_argv has the module's name.
    """
    if argv[:1] == ["-m"]:
        return orig_argv[-len(argv)] in ("prefect", "-mprefect")
    return bool(argv) and PurePath(argv[0]).stem == "prefect"


def profile_of(argv: Sequence[str]) -> str | None:
    """The profile that the command line selects. After the command, -p has another meaning."""
    before_command = True
    for word, next_word in zip(argv[1:], [*argv[2:], ""], strict=True):
        if word == "--profile" or (word == "-p" and before_command):
            return next_word
        if word.startswith("--profile="):
            return word.partition("=")[2]
        before_command = before_command and word.startswith("-")
    return None


async def candidates(name: str) -> list[str]:
    """FLOW/DEPLOYMENT of every deployment on the server with this name, or of all deployments if none has it.

    Raises:
        Exception: the server does not respond.
    """
    from anyio import fail_after
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterId
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if not settings.api.url:
        raise ConnectionError("the profile has no API URL")
    if urlsplit(settings.api.url).hostname in LOOPBACK:  # a proxy can't reach it
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join([*LOOPBACK, os.environ.get("NO_PROXY", "")])
    same_name = DeploymentFilter(name=DeploymentFilterName(any_=[name]))
    with fail_after(
        0.9 * settings.plugins.setup_timeout_seconds
    ):  # after the timeout Prefect continues without the hook
        async with get_client() as client:
            deployments = await client.read_deployments(deployment_filter=same_name) or await client.read_deployments()
            ids = [deployment.flow_id for deployment in deployments]
            flows = await client.read_flows(flow_filter=FlowFilter(id=FlowFilterId(any_=ids))) if ids else []
    names = {flow.id: flow.name for flow in flows}
    return sorted(f"{names[d.flow_id]}/{d.name}" for d in deployments if d.flow_id in names)


async def complete(argv: list[str], find: Any = candidates) -> None:
    """Replace the bare name in argv by the full name.

    Raises:
        SystemExit: the server does not respond, or not exactly one deployment has the name; after one line on stderr.
    """
    from prefect.context import use_profile

    place = bare_name(argv)
    if place is None:
        return
    name, profile = argv[place], profile_of(argv)
    try:
        with use_profile(profile, override_environment_variables=True) if profile else nullcontext():
            full_names = await find(name)
    except KeyError:
        return  # the profile does not exist, which Prefect reports itself
    except Exception as error:  # noqa: BLE001 the remedy is the same for all errors
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        stop(f"{name}: no Prefect server answers ({reason}); start one with `make server`")
    matches = [full_name for full_name in full_names if full_name.partition("/")[2] == name]
    if len(matches) == 1:
        argv[place] = matches[0]
    elif matches:
        stop(f"{name}: several deployments have this name; choose {' or '.join(matches)}")
    elif full_names:
        more = ", ..." if len(full_names) > MAX_LISTED else ""
        stop(f"{name}: no deployment has this name; choose from {', '.join(full_names[:MAX_LISTED])}{more}")
    else:
        stop(f"{name}: the server has no deployments; create them with `make deploy`")


def stop(message: str) -> None:
    print(f"longmix: {message}", file=sys.stderr)
    raise SystemExit(1)


@register_hook
async def setup_environment(*, ctx: Any) -> None:  # noqa: ARG001 the hook's own signature
    """Prefect calls this at import, before it parses the command line."""
    if is_prefect(sys.argv, sys.orig_argv):
        if "--watch" in sys.argv:
            from flows import watch

            watch.install()
        await complete(sys.argv)
