"""Tools and tool calls of a sample, as a template reads them."""

import json
from typing import Any

from pipelines.ingest.readers.record import Unusable


def calls_of(calls: Any, place: str) -> list[Any] | None:
    """The tool calls of a message, with arguments as objects: many data sets hold them as a string of JSON.

    Raises:
        Unusable: tools_wrong_type.
    """
    if calls is None or calls == []:
        return None
    if not isinstance(calls, list) or not all(isinstance(function_of(call).get("name"), str) for call in calls):
        raise Unusable(
            "tools_wrong_type", f"tool_calls of {place}: wanted a list of calls, each with a function's name"
        )
    return [with_arguments(call) for call in calls]


def function_of(call: Any) -> dict[str, Any]:
    """The object of a tool or of a call that has the name; empty if there is none."""
    if not isinstance(call, dict):
        return {}
    function = call.get("function", call)
    return function if isinstance(function, dict) else {}


def with_arguments(call: dict[str, Any]) -> dict[str, Any]:
    function = function_of(call)
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return call
    if not isinstance(arguments, dict):
        return call
    changed = {**function, "arguments": arguments}
    return {**call, "function": changed} if "function" in call else changed


def tools_of(tools: Any) -> list[Any] | None:
    """
    Raises:
        Unusable: tools_wrong_type.
    """
    if isinstance(tools, str):
        try:
            tools = json.loads(tools) if tools.strip() else None
        except (ValueError, RecursionError):
            raise Unusable("tools_wrong_type", "the tools are a string that is not JSON") from None
    if tools is None or tools == []:
        return None
    if not isinstance(tools, list) or not all(isinstance(function_of(tool).get("name"), str) for tool in tools):
        raise Unusable("tools_wrong_type", "the tools: wanted a list of objects, each with a function's name")
    return tools
