r"""A sample -> its pieces: text of the template, context, instruction and contents, which are tokenised apart.

A template is rendered with a sentinel in the place of each text, which shows where the texts are whatever they contain. The
sentinels replaced by the texts must give what the template writes for the sample itself, character by character. White
space at the ends of a text may be missing, since most templates write `content | trim`; the text is then tokenised without
it. Any other difference rejects the sample.

The paper's format has no template:

    ### Input: CONTEXT\n\n ### Instruction: INSTRUCTION\n\n ### Response: RESPONSE</s>\n\n ### Instruction: ...
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from pipelines.conversations import Conversation, Message, decode, strings
from pipelines.encode.template import Template, Unrendered

HEADER, INSTRUCTION, RESPONSE = "### Input: ", "\n\n ### Instruction: ", "\n\n ### Response: "

SENTINEL = "\ufdd0{}\ufdd1"  # noncharacters: no text has a reason to contain them, and no template trims them
SENTINELS = re.compile("\ufdd0(\\d+)\ufdd1")


class Piece(NamedTuple):
    """A part of a rendered sample.

    Attributes:
        kind: template, whose special tokens are special; context or text, in which nothing is; or call, what a template
            writes in an assistant's turn with tool calls, up to its end.
        message: index of the message; -1 for the template's text between messages.
    """

    kind: Literal["template", "context", "text", "call"]
    text: str
    message: int = -1


def pieces(sample: Conversation, template: Template) -> list[Piece]:
    """The pieces of a sample, which joined are the rendered sample. None is empty.

    Raises:
        Unrendered: the template drops, repeats or alters a text, or raises an error.
    """
    parts = paper(sample, template) if template.file is None else rendered(sample, template)
    return [part for part in parts if part.text]


def check_rendered(text: bytes, template: Template) -> None:
    """
    Raises:
        Unrendered: the template does not write the sample of this canonical JSON as it is.
    """
    pieces(decode(text), template)


def paper(sample: Conversation, template: Template) -> Iterator[Piece]:
    """
    Raises:
        Unrendered: the format has no place for a system prompt and for tools.
    """
    for i, message in enumerate(sample.messages):
        if message.role not in ("user", "assistant") or message.tool_calls or sample.tools:
            kind = "a system prompt" if message.role == "system" else "tools"
            raise Unrendered("template_drops_text", f"message {i}: the paper's format has no place for {kind}")
    yield Piece("template", HEADER)
    yield Piece("context", sample.context, 0)
    for i, message in enumerate(sample.messages):
        yield Piece("template", INSTRUCTION if message.role == "user" else RESPONSE)
        yield Piece("text", sample.instruction if i == 0 else message.content, i)
        if message.role == "assistant":
            yield Piece("template", template.eos_token)


# -- templates


class Slot(NamedTuple):
    """A text of a sample that a sentinel stands for. is_context: the first part of its message, not the rest."""

    message: int
    is_context: bool = False


class Skeleton(NamedTuple):
    """What a template writes around the texts of a sample.

    Attributes:
        literals: [n_slots + 1] the template's text before each slot, and after the last.
        calls: of each literal, [start, stop, message] of what it writes of turns with tool calls.
    """

    literals: tuple[str, ...]
    slots: tuple[Slot, ...]
    calls: tuple[tuple[tuple[int, int, int], ...], ...]


def rendered(sample: Conversation, template: Template) -> Iterator[Piece]:
    """
    Raises:
        Unrendered: with the reason.
    """
    plain = template.render([message.as_dict() for message in sample.messages], sample.tools)
    skeleton = skeleton_of(sample, template)
    check_tools(sample, skeleton)
    texts = fitted(sample, skeleton, plain)
    for k, literal in enumerate(skeleton.literals):
        at = 0
        for start, stop, message in skeleton.calls[k]:
            yield Piece("template", literal[at:start])
            yield Piece("call", literal[start:stop], message)
            at = stop
        yield Piece("template", literal[at:])
        if k < len(texts):
            slot = skeleton.slots[k]
            yield Piece("context" if slot.is_context else "text", texts[k], slot.message)


def skeleton_of(sample: Conversation, template: Template) -> Skeleton:
    has_context = sample.context_chars > 0
    if sample.tools is None and not any(m.name or m.tool_calls or m.tool_call_id for m in sample.messages):
        shape = tuple((message.role, bool(message.content)) for message in sample.messages)
        return plain_skeleton(template, shape, has_context)
    return made_skeleton(sample.messages, sample.tools, has_context, template)


@lru_cache(maxsize=4096)
def plain_skeleton(template: Template, shape: tuple[tuple[Any, bool], ...], has_context: bool) -> Skeleton:
    """The skeleton of all samples without tools and names that have these roles."""
    messages = [Message(role, "x" if has_text else "") for role, has_text in shape]
    return made_skeleton(messages, None, has_context, template)


def made_skeleton(
    messages: Sequence[Message], tools: list[Any] | None, has_context: bool, template: Template
) -> Skeleton:
    """
    Raises:
        Unrendered: with the reason.
    """
    slots, dicts = with_sentinels(messages, has_context)
    text = template.render(dicts, tools)
    calls = [place_of_turn(dicts, i, text, tools, template) for i, message in enumerate(messages) if message.tool_calls]
    matches = list(SENTINELS.finditer(text))
    order = [int(match[1]) for match in matches]
    for slot, place in enumerate(slots):
        if order.count(slot) != 1:
            reason = "template_repeats_text" if slot in order else "template_drops_text"
            raise Unrendered(reason, f"message {place.message} ({messages[place.message].role})")
    starts, stops = [0, *(m.end() for m in matches)], [*(m.start() for m in matches), len(text)]
    for k, slot in enumerate(order):
        if slots[slot].is_context and (order[k + 1] != slot + 1 or starts[k + 1] != stops[k + 1]):
            raise Unrendered("template_alters_text", f"message {slots[slot].message}: it is cut in two")
    inside = tuple(
        tuple((max(a, start) - start, min(b, stop) - start, i) for a, b, i in calls if max(a, start) < min(b, stop))
        for start, stop in zip(starts, stops, strict=True)
    )
    literals = tuple(text[start:stop] for start, stop in zip(starts, stops, strict=True))
    return Skeleton(literals, tuple(slots[slot] for slot in order), inside)


def with_sentinels(messages: Sequence[Message], has_context: bool) -> tuple[list[Slot], list[dict[str, Any]]]:
    """The texts of some messages, and the messages with the sentinel of its index in place of each. Empty texts stay."""
    slots: list[Slot] = []
    dicts = []
    for i, message in enumerate(messages):
        content = ""
        if message.content and message.role == "user" and has_context:
            content += SENTINEL.format(len(slots))
            slots.append(Slot(i, is_context=True))
            has_context = False  # of the first user message alone
        if message.content:
            content += SENTINEL.format(len(slots))
            slots.append(Slot(i))
        dicts.append({**message.as_dict(), "content": content})
    return slots, dicts


def place_of_turn(
    dicts: list[dict[str, Any]], i: int, text: str, tools: list[Any] | None, template: Template
) -> tuple[int, int, int]:
    """[start, stop, message] of what is written in an assistant's turn: after its beginning, with what ends it.

    Raises:
        Unrendered: the turn is not written between what comes before it and what comes after it.
    """
    before = template.render(dicts[:i], tools, prompt=True)
    until = template.render(dicts[: i + 1], tools)
    if not (text.startswith(until) and until.startswith(before)):
        raise Unrendered("template_hides_call", f"message {i}: what is written of it depends on other turns")
    return len(before), len(until), i


# -- texts against what is written


def check_tools(sample: Conversation, skeleton: Skeleton) -> None:
    """
    Raises:
        Unrendered: the name of a tool, or a name or argument of a call, is not written.
    """
    if sample.tools is not None:
        names = [tool.get("function", tool)["name"] for tool in sample.tools]
        missing = [name for name in names if not is_written(name, "".join(skeleton.literals))]
        if missing:
            raise Unrendered("template_drops_text", f"the tool {missing[0]!r}")
    for i, message in enumerate(sample.messages):
        written = "".join(
            literal[start:stop]
            for literal, calls in zip(skeleton.literals, skeleton.calls, strict=True)
            for start, stop, of in calls
            if of == i
        )
        for call in message.tool_calls or ():
            function = call.get("function", call)
            if not all(is_written(t, written) for t in strings([function.get("name"), function.get("arguments")])):
                raise Unrendered("template_drops_text", f"message {i}: the call of {function['name']!r}")


def is_written(text: str, written: str) -> bool:
    return text in written or in_json(text) in written


def in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def fitted(sample: Conversation, skeleton: Skeleton, plain: str) -> list[str]:
    """The texts of the slots as the template writes them: as they are, or without white space at their ends.

    Raises:
        Unrendered: template_alters_text.
    """
    raw = [text_of(sample, slot) for slot in skeleton.slots]
    if interleaved(skeleton.literals, raw) == plain:
        return raw
    trimmed = [trims(sample, slot)[-1](text) for slot, text in zip(skeleton.slots, raw, strict=True)]
    if interleaved(skeleton.literals, trimmed) == plain:
        return trimmed
    return fitted_one_by_one(sample, skeleton, raw, plain)


def fitted_one_by_one(sample: Conversation, skeleton: Skeleton, raw: list[str], plain: str) -> list[str]:
    """As `fitted`, where a template trims some texts and not others, or writes a tool's result as JSON."""
    texts: list[str] = []
    at = len(skeleton.literals[0])
    for slot, text, after in zip(skeleton.slots, raw, skeleton.literals[1:], strict=True):
        candidates = [text, *(trim(text) for trim in trims(sample, slot))]
        if sample.messages[slot.message].role == "tool":
            candidates += [in_json(text), in_json(text.strip())]
        fits = [c for c in candidates if plain.startswith(c, at) and plain.startswith(after, at + len(c))]
        if not fits:
            raise Unrendered("template_alters_text", f"message {slot.message} ({sample.messages[slot.message].role})")
        texts.append(fits[0])
        at += len(fits[0]) + len(after)
    if interleaved(skeleton.literals, texts) != plain:
        raise Unrendered("template_alters_text", "what is written around a text depends on the text")
    return texts


def text_of(sample: Conversation, slot: Slot) -> str:
    if slot.is_context:
        return sample.context
    return sample.instruction if slot.message == sample.first_user else sample.messages[slot.message].content


def trims(sample: Conversation, slot: Slot) -> Sequence[Callable[[str], str]]:
    """What a template may do to a text, the most usual last. A context and its instruction are one text to it."""
    if slot.is_context:
        return (str.lstrip,)
    if sample.context_chars and slot.message == sample.first_user:
        return (str.rstrip,)
    return (str.lstrip, str.rstrip, str.strip)


def interleaved(literals: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(part for pair in zip(literals, [*texts, ""], strict=True) for part in pair)
