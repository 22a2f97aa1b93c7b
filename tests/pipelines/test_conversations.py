import json

import msgspec
import pyarrow as pa
import pytest

from pipelines.conversations import Conversation, Message, decode, strings, without_contexts

CALL = {"function": {"name": "look", "arguments": {"at": "sky", "n": 2}}}
SAMPLE = Conversation(
    [
        Message("system", "Be kind."), Message("user", "Context.\n\nWhat?"), Message("assistant", "", tool_calls=[CALL]),
        Message("tool", "blue", name="look", tool_call_id="1"), Message("assistant", 'It is "blue".'),
    ],
    10,
    [{"name": "look"}],
)  # fmt: skip


def test_json_and_back():
    assert decode(SAMPLE.json()) == SAMPLE
    assert json.loads(SAMPLE.json())["messages"][3] == {
        "role": "tool", "content": "blue", "name": "look", "tool_call_id": "1",
    }  # fmt: skip
    assert SAMPLE.json().encode() == msgspec.json.encode(SAMPLE)  # one way to write it


def test_parts():
    assert (SAMPLE.context, SAMPLE.instruction, SAMPLE.first_user, SAMPLE.responses) == (
        "Context.\n\n",
        "What?",
        1,
        [2, 4],
    )


def test_what_near_duplicates_are_compared_by():
    """Instruction and all after it: no context, no system prompt, no JSON syntax."""
    assert SAMPLE.without_context() == 'What?\n\nlook\nsky\nblue\nIt is "blue".'
    assert (
        without_contexts(pa.array([SAMPLE.json()] * 2, pa.large_string())).to_pylist() == [SAMPLE.without_context()] * 2
    )


def test_strings_of_a_value():
    assert strings({"a": ["x", {"b": "y"}, 1, None], "z": "w"}) == ["x", "y", "w"]
    assert strings(None) == []


def test_a_number_that_json_lacks():
    with pytest.raises(ValueError, match="JSON"):
        Conversation(SAMPLE.messages, 0, [{"a": float("inf")}]).json()
