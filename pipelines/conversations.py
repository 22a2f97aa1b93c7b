"""An instruction sample as the text of a document: its messages in canonical JSON.

    {"messages":[{"role":"user","content":"..."},{"role":"assistant","content":"..."}],"context_chars":1234}

Keys have a fixed order: role, content, name, tool_calls, tool_call_id in a message; messages, context_chars, tools outside.
Equal samples therefore are equal texts, whatever format they were read from.
"""

import json
from typing import Any, Literal

import msgspec
import pyarrow as pa

Role = Literal["system", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    role: Role
    content: str
    name: str | None = None
    tool_calls: list[Any] | None = None
    tool_call_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The keys that it has, as a chat template reads them."""
        return {key: value for key in self.__struct_fields__ if (value := getattr(self, key)) is not None}


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sample.

    context_chars: characters of the first user message that are the context, the blank line at its end included.
    """

    messages: list[Message]
    context_chars: int
    tools: list[Any] | None = None

    @property
    def first_user(self) -> int:
        """The index of the first user message."""
        return next(i for i, message in enumerate(self.messages) if message.role == "user")

    @property
    def context(self) -> str:
        return self.messages[self.first_user].content[: self.context_chars]

    @property
    def instruction(self) -> str:
        """The rest of the first user message."""
        return self.messages[self.first_user].content[self.context_chars :]

    @property
    def responses(self) -> list[int]:
        """The indices of the assistant's messages."""
        return [i for i, message in enumerate(self.messages) if message.role == "assistant"]

    def json(self) -> str:
        """
        Raises:
            ValueError: a tool or a tool call has a number that JSON cannot write.
        """
        value: dict[str, Any] = {
            "messages": [message.as_dict() for message in self.messages],
            "context_chars": self.context_chars,
        }
        if self.tools is not None:
            value["tools"] = self.tools
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    def without_context(self) -> str:
        """Instruction, responses and later turns: what near-duplicate detection compares. No system prompt, no JSON syntax."""
        texts = [self.instruction]
        for message in self.messages[self.first_user + 1 :]:
            texts += [message.content, *(strings(message.tool_calls))]
        return "\n".join(texts)


decode = msgspec.json.Decoder(Conversation).decode


def without_contexts(texts: pa.Array) -> pa.Array:
    """[n] large_string: `without_context` of each sample. texts: as in DOCUMENTS."""
    return pa.array([decode(text).without_context() for text in texts.to_pylist()], pa.large_string())


def strings(value: Any) -> list[str]:
    """All strings in a JSON value, keys excluded, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = [*value.values()]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []
