"""Records of instruction data -> samples in canonical JSON, see pipelines/conversations.py.

A record has a list of messages (OpenAI's role and content, or ShareGPT's from and value), or an instruction and a response,
each a text or a list of messages, and perhaps a context. Every other record is rejected: no turn is guessed, joined to
another or left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.conversations import Conversation, Message, strings
from pipelines.ingest.readers.record import Unusable, encoded, json_type
from pipelines.ingest.readers.values import label, shown
from pipelines.ingest.readers.values import listed as listed_names
from pipelines.ingest.tools import calls_of, tools_of

NAMES = {  # part of a sample -> names of the field that holds it, where the recipe names none
    "messages": ("messages", "conversations", "conversation"),
    "context": ("context", "input", "document", "passage"),
    "instruction": ("instruction", "instruct", "prompt", "question", "query"),
    "response": ("response", "completion", "output", "answer"),
    "system": ("system", "system_prompt"),
    "tools": ("tools",),
}
ROLES = {
    "system": ("system", "developer"),
    "user": ("user", "human"),
    "assistant": ("assistant", "gpt", "model", "chatgpt"),
    "tool": ("tool", "function", "observation", "ipython"),
}
ROLE_OF = {name: role for role, names in ROLES.items() for name in names}
NOT_TEXT = ("function_call", "reasoning_content", "thinking", "images", "audio")  # of a message; refused, not left out

BLANK = "\n\n"  # between a context and an instruction that are fields of their own


@dataclass(frozen=True)
class SampleFields:
    """Part of a sample -> the names that its field may have."""

    messages: tuple[str, ...]
    context: tuple[str, ...]
    instruction: tuple[str, ...]
    response: tuple[str, ...]
    system: tuple[str, ...]
    tools: tuple[str, ...]

    @classmethod
    def of(cls, named: Mapping[str, str | None]) -> "SampleFields":
        """named: part -> the field's name in the recipe, if any. A name that the recipe uses holds nothing else."""
        used = {name for name in named.values() if name}
        names = {part: tuple(n for n in usual if n not in used) for part, usual in NAMES.items()}
        names |= {part: (name,) for part, name in named.items() if name}
        if named.get("messages"):
            names |= dict.fromkeys(("context", "instruction", "response"), ())
        elif any(named.get(part) for part in ("context", "instruction", "response")):
            names["messages"] = ()
        return cls(**names)

    @property
    def columns(self) -> tuple[str, ...]:
        """All names of fields that are read."""
        parts = (self.messages, self.context, self.instruction, self.response, self.system, self.tools)
        return tuple(dict.fromkeys(name for names in parts for name in names))

    def missing(self, names: Sequence[str]) -> str | None:
        """Why records with fields of these names have no sample; None if they may have one."""
        if {*self.messages} & {*names} or ({*self.instruction} & {*names} and {*self.response} & {*names}):
            return None
        parts = [*self.messages, f"{' or '.join(self.instruction)} with {' or '.join(self.response)}"]
        return f"no {', '.join(parts)}; there are {listed_names(names)}"

    def text(self, row: Mapping[str, Any]) -> bytes:
        return canonical(row, self)


def canonical(row: Mapping[str, Any], fields: SampleFields) -> bytes:
    """The canonical JSON of a record's sample, in UTF-8.

    Raises:
        Unusable: with the reason.
    """
    items, context = turns(row, fields)
    system = one_of(row, fields.system, "system prompt")
    if system is not None:
        items = [{"role": "system", "content": system}, *items]
    messages = [message for i, item in enumerate(items) if (message := message_of(item, i)) is not None]
    check_order(messages)
    first = next(i for i, message in enumerate(messages) if message.role == "user")
    chars = context_end(messages[first].content)
    if context:
        chars = len(context) + len(BLANK)
        joined = Message("user", context + BLANK + messages[first].content, messages[first].name)
        messages = [*messages[:first], joined, *messages[first + 1 :]]
    tools = tools_of(one_of(row, fields.tools, "list of tools"))
    check_strings(messages, tools)
    try:
        return encoded(Conversation(messages, chars, tools).json(), "messages")
    except (ValueError, RecursionError):
        raise Unusable("tools_wrong_type", "a number or a nesting that JSON cannot write") from None


def turns(row: Mapping[str, Any], fields: SampleFields) -> tuple[list[Any], str]:
    """The messages of a record, unchecked, and its context; an empty string where the context is no field of its own."""
    messages = one_of(row, fields.messages, "list of messages")
    if messages is not None:
        return listed(messages), ""
    instruction = one_of(row, fields.instruction, "instruction")
    response = one_of(row, fields.response, "response")
    if instruction is None or response is None:
        missing = "instruction" if instruction is None else "response"
        raise Unusable("sample_missing", f"no messages and no {missing}: {fields.missing(sorted(row)) or 'it is null'}")
    context = one_of(row, fields.context, "context")
    if context is not None:
        context = content_of(context, "the context")
    return [*as_messages(instruction, "user"), *as_messages(response, "assistant")], (
        context if context and not context.isspace() else ""
    )


def one_of(row: Mapping[str, Any], names: tuple[str, ...], part: str) -> Any:
    """The value of the only one of some fields that is there and not null; None without one.

    Raises:
        Unusable: fields_ambiguous.
    """
    present = [name for name in names if row.get(name) is not None]
    if len(present) > 1:
        raise Unusable("fields_ambiguous", f"{' and '.join(present)} may each be the {part}; name one in the recipe")
    return row[present[0]] if present else None


def as_messages(value: Any, role: str) -> list[Any]:
    """A list of messages as it is; anything else as the content of one message."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and "type" not in item for item in value):
        return value
    return [{"role": role, "content": value}]


def listed(value: Any) -> list[Any]:
    """
    Raises:
        Unusable: messages_wrong_type or messages_empty.
    """
    if not isinstance(value, list):
        raise Unusable("messages_wrong_type", f"{json_type(value)}; wanted a list")
    if not value:
        raise Unusable("messages_empty", "a list without a message")
    return value


# -- one message


def message_of(item: Any, i: int) -> Message | None:
    """A message of a record; None for a system prompt without text.

    Raises:
        Unusable: with the reason.
    """
    place = f"message {i}"
    if not isinstance(item, dict):
        raise Unusable("message_wrong_type", f"{place} is {json_type(item)}; wanted an object")
    role = role_of(item, place)
    extra = [key for key in NOT_TEXT if item.get(key)]
    if extra:
        raise Unusable("content_not_text", f"{place} has {extra[0]!r}")
    calls = calls_of(item.get("tool_calls"), place)
    if calls and role != "assistant":
        raise Unusable("tools_wrong_type", f"{place} has tool calls, and its role is {role}")
    content = item.get("content", item.get("value"))
    if content is None and not calls:
        raise Unusable("content_missing", f"{place} has no content")
    text = content_of("" if content is None else content, place)
    is_blank = not text or text.isspace()
    if is_blank and role == "system":
        return None
    if is_blank and role != "tool" and not calls:
        raise Unusable("response_empty" if role == "assistant" else "content_empty", f"{place} has no text")
    name, call_id = (label(item.get(key)) for key in ("name", "tool_call_id"))
    return Message(role, "" if is_blank and calls else text, name, calls, call_id)


def role_of(item: Mapping[str, Any], place: str) -> Any:
    role = item.get("role", item.get("from"))
    if role is None:
        raise Unusable("role_missing", f"{place} has no role")
    known = ROLE_OF.get(role.strip().lower()) if isinstance(role, str) else None
    if known is None:
        shown = repr(role[:40]) if isinstance(role, str) else json_type(role)
        raise Unusable("role_unknown", f"{place}: {shown}; wanted one of {', '.join(ROLE_OF)}")
    return known


def content_of(content: Any, place: str) -> str:
    """The text of a content: a string, or parts of the type text, joined.

    Raises:
        Unusable: content_wrong_type or content_not_text.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unusable("content_wrong_type", f"{place} is {json_type(content)}; wanted a string or a list of parts")
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) and part.get("type", "text") == "text" else part
        if not isinstance(text, str):
            kind = shown(str(part.get("type"))) if isinstance(part, dict) else json_type(part)
            raise Unusable("content_not_text", f"{place} has a part that is no text ({kind})")
        texts.append(text)
    return "".join(texts)


# -- the conversation

FOLLOWS = {  # role -> what may stand before it; None is the start. A call's result also needs the call, see check_order
    "user": (None, "system", "assistant"),
    "assistant": ("user", "tool"),
    "tool": ("assistant", "tool"),
}


def check_order(messages: list[Message]) -> None:
    """
    Raises:
        Unusable: the messages are no dialogue of a user and an assistant that ends with a response.
    """
    roles = [message.role for message in messages]
    if "system" in roles[1:]:
        raise Unusable("system_not_first", f"message {roles.index('system', 1)} is a system prompt")
    if "assistant" not in roles:
        raise Unusable("response_missing", f"no message of the assistant among {len(roles)}")
    before: Message | None = None
    for i, message in enumerate(messages):
        previous = before.role if before else None
        if message.role == "tool" and (before is None or not (previous == "tool" or before.tool_calls)):
            raise Unusable("tool_without_call", f"message {i} is a tool's result, and none was called before it")
        if message.role != "system" and previous not in FOLLOWS[message.role]:
            if previous in (None, "system"):
                raise Unusable("user_not_first", f"message {i}, the first, has the role {message.role}")
            raise Unusable("turns_not_alternating", f"message {i} ({message.role}) comes right after one of {previous}")
        before = message
    if roles[-1] != "assistant":
        raise Unusable("response_not_last", f"the last message has the role {roles[-1]}")


def context_end(text: str) -> int:
    """Where the instruction of a first user message begins: after the last blank line that is followed by text.

    0 if there is no blank line, or no text before it.
    """
    end = len(text.rstrip())
    while (newline := text.rfind("\n", 0, end)) >= 0:
        line_start = text.rfind("\n", 0, newline) + 1
        line = text[line_start:newline]
        if line_start and (not line or line.isspace()):
            return newline + 1 if text[:line_start].strip() else 0
        end = newline
    return 0


def check_strings(messages: list[Message], tools: list[Any] | None) -> None:
    """
    Raises:
        Unusable: nul.
    """
    for i, message in enumerate(messages):
        for text in (message.content, message.name or "", message.tool_call_id or "", *strings(message.tool_calls)):
            if "\0" in text:
                raise Unusable("nul", f"at character {text.index(chr(0)):,} of a text of message {i}")
    if any("\0" in text for text in strings(tools)):
        raise Unusable("nul", "in a tool")
