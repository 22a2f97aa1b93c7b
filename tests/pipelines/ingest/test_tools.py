import pytest

from pipelines.ingest.readers.record import Unusable
from pipelines.ingest.tools import calls_of, tools_of


def test_arguments_become_an_object():
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    assert calls_of([call], "x") == [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}]
    assert calls_of([{"name": "f", "arguments": '{"a": 1}'}], "x") == [{"name": "f", "arguments": {"a": 1}}]


@pytest.mark.parametrize("arguments", ["look up", "[1]", "", {"a": 1}, None])
def test_other_arguments_stay(arguments):
    call = {"function": {"name": "f", "arguments": arguments}}
    assert calls_of([call], "x") == [call]


@pytest.mark.parametrize("none", [None, [], "", " "])
def test_no_tools(none):
    assert tools_of(none) is None


@pytest.mark.parametrize("tools", ["{", "{}", 7, ["f"], [{}], [{"function": "f"}], [{"name": 1}]])
def test_what_is_no_list_of_tools(tools):
    with pytest.raises(Unusable, match="tools_wrong_type"):
        tools_of(tools)
    if not isinstance(tools, str):
        with pytest.raises(Unusable, match="tools_wrong_type"):
            calls_of(tools, "message 1")
