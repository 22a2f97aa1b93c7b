"""Pieces of samples against a slow oracle, which finds each text by changing it and looking where the rendering changes."""

import random

import msgspec
import pytest

from pipelines.conversations import Conversation, Message
from pipelines.encode.chat import check_rendered, pieces
from pipelines.encode.template import Template, Unrendered
from pipelines.ingest.samples import context_end
from tests.pipelines.encode.templates import CHATML, LLAMA_2, QWEN, SAMPLES, TEMPLATES, conversation, template_of

PAPER = Template.of("paper", None, "</s>")


def plain(sample: Conversation, template: Template) -> str:
    return template.render([message.as_dict() for message in sample.messages], sample.tools)


def n_common(one: str, other: str) -> int:
    """Characters that both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def slow_spans(sample: Conversation, template: Template) -> list[tuple[int, int, int, str]]:
    """(start, stop, message, kind) of each text in the rendering, by where renderings of changed messages differ from it."""
    spans, text = [], plain(sample, template)
    for i, message in enumerate(sample.messages):
        content = message.content.strip() if message.content.strip() in text else message.content
        if not content:
            continue
        changed = {**message.as_dict(), "content": f"\u2721{content}\u2721"}
        other = template.render(
            [changed if k == i else m.as_dict() for k, m in enumerate(sample.messages)], sample.tools
        )
        start = n_common(text, other)
        stop = len(text) - n_common(text[::-1], other[::-1])
        inside = message.content if text[start:stop] == message.content else content
        assert text[start:stop] == inside, "the oracle is wrong about what is written"
        if i == sample.first_user and sample.context_chars:
            removed = len(message.content) - len(message.content.lstrip()) if inside != message.content else 0
            middle = start + sample.context_chars - removed
            spans += [(start, middle, i, "context"), (middle, stop, i, "text")]
        else:
            spans.append((start, stop, i, "text"))
    return sorted(spans)


def slow_pieces(sample: Conversation, template: Template) -> list[tuple[str, str, int]]:
    text, at, out = plain(sample, template), 0, []
    for start, stop, message, kind in slow_spans(sample, template):
        out += [("template", text[at:start], -1), (kind, text[start:stop], message)]
        at = stop
    return [piece for piece in [*out, ("template", text[at:], -1)] if piece[1]]


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize("style", TEMPLATES)
def test_pieces_are_those_of_the_oracle(tmp_path, style, sample):
    template = template_of(tmp_path, TEMPLATES[style])
    made = pieces(sample, template)
    assert [tuple(piece) for piece in made] == slow_pieces(sample, template)
    assert "".join(piece.text for piece in made) == plain(sample, template)


def test_the_cases_the_oracle_must_reach(tmp_path):
    kinds, orders, trimmed = set(), [], []
    for style, source in TEMPLATES.items():
        for name, sample in SAMPLES.items():
            made = pieces(sample, template_of(tmp_path, source))
            kinds |= {piece.kind for piece in made}
            orders.append([piece.message for piece in made if piece.message >= 0])
            texts = [piece.text for piece in made if piece.message >= 0]
            trimmed.append((style, name) if any(text != text.strip(" \n") for text in texts) else None)
    assert kinds == {"template", "context", "text"}
    assert any(order != sorted(order) for order in orders), "Mistral writes the system prompt into the last user turn"
    assert ("chatml", "white space") in trimmed


def test_the_paper_format_is_as_published():
    sample = SAMPLES["several turns"]
    context = sample.context
    assert [tuple(piece) for piece in pieces(sample, PAPER)] == [
        ("template", "### Input: ", -1), ("context", context, 0), ("template", "\n\n ### Instruction: ", -1), ("text", "What?", 0),
        ("template", "\n\n ### Response: ", -1), ("text", "Blue.", 1), ("template", "</s>", -1),
        ("template", "\n\n ### Instruction: ", -1), ("text", "And the sea?", 2), ("template", "\n\n ### Response: ", -1),
        ("text", "Green.", 3), ("template", "</s>", -1), ("template", "\n\n ### Instruction: ", -1), ("text", "Why?", 4),
        ("template", "\n\n ### Response: ", -1), ("text", "Algae.", 5), ("template", "</s>", -1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for m in messages %}{{ m.role }}{% endfor %}", "template_drops_text"),
        ("{% for m in messages[1:] %}[{{ m.content }}]{% endfor %}", "template_drops_text"),
        ("{% for m in messages %}[{{ m.content }}{{ m.content }}]{% endfor %}", "template_repeats_text"),
        ("{% for m in messages %}[{{ m.content | upper }}]{% endfor %}", "template_alters_text"),
        ("{% for m in messages %}[{{ m.content | replace('lu', 'LU') }}]{% endfor %}", "template_alters_text"),
        ("{% for m in messages %}[{{ m.content[:2] }}]{% endfor %}", "template_drops_text"),
        ("{% for m in messages %}[{{ m.content[:9] }}]{% endfor %}", "template_alters_text"),
        ("{% for m in messages %}[{{ m.content }}{{ m.content | length }}]{% endfor %}", "template_alters_text"),
        (
            "{% for m in messages %}[{{ m.content }}]{% if 'lue' in m.content %}!{% endif %}{% endfor %}",
            "template_alters_text",
        ),
        (
            "{% for m in messages %}[{{ m.content }}]{% if 'Blue' in m.content %}!{% endif %}{% endfor %}",
            "template_alters_text",
        ),
        ("{{ raise_exception('only a system\nprompt') }}", "template_error"),
        ("{% for m in messages %}{{ m.content + 1 }}{% endfor %}", "template_error"),
        ("{{ strftime_now('%Y') }}", "template_error"),
        ("{{ messages.__class__.__mro__ }}{{ ''.__class__.__bases__ }}", "template_error"),
        ("{% set x = messages.append(1) %}", "template_error"),
        ("{% for m in messages %}{{ m.content | random }}{% endfor %}", "syntax"),
    ],
)
def test_a_template_that_does_not_write_a_text_as_it_is(tmp_path, source, reason):
    if reason == "syntax":
        with pytest.raises(Exception, match="not a chat template"):
            template_of(tmp_path, source)
        return
    with pytest.raises(Unrendered) as caught:
        pieces(SAMPLES["one turn"], template_of(tmp_path, source))
    assert caught.value.reason == reason
    assert "\n" not in caught.value.detail


def test_a_template_that_trims_some_texts_and_not_others(tmp_path):
    source = "{% for m in messages %}[{{ m.content | trim if m.role == 'user' else m.content }}]{% endfor %}"
    made = pieces(SAMPLES["white space"], template_of(tmp_path, source))
    texts = [piece.text for piece in made if piece.kind != "template"]
    assert texts == [SAMPLES["white space"].context.lstrip(), "What?", "\n Blue.\n", "And?", " Green."]


def test_a_date_that_a_template_asks_for_is_that_without_a_clock(tmp_path):
    source = "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}2024{% endif %}" + CHATML
    assert pieces(SAMPLES["one turn"], template_of(tmp_path, source))[0].text.startswith("2024")


def test_sentinels_in_a_text_change_nothing(tmp_path):
    sample = conversation("\ufdd00\ufdd1 and \ufdd01\ufdd1", "\ufdd01\ufdd1")
    made = pieces(sample, template_of(tmp_path, CHATML))
    assert [piece.text for piece in made if piece.kind == "text"] == [m.content for m in sample.messages]


# -- tools

TOOLS = [{"type": "function", "function": {"name": "look", "description": "See.", "parameters": {}}}]
CALL = {"type": "function", "function": {"name": "look", "arguments": {"at": 'the "sky"'}}}


def with_tools(content: str = "", *, last: bool = False, tools: list | None = TOOLS) -> Conversation:
    call = Message("assistant", content, tool_calls=[CALL])
    results = [] if last else [Message("tool", "blue"), Message("tool", "\nred"), Message("assistant", "Both.")]
    return Conversation([Message("user", "Look.\n\nWhich?"), call, *results], 7, tools)


def test_a_call_is_a_piece_of_its_turn(tmp_path):
    made = pieces(with_tools(), template_of(tmp_path, QWEN))
    call = '\n<tool_call>\n{"name": "look", "arguments": {"at": "the \\"sky\\""}}\n</tool_call><|im_end|>\n'
    assert [(p.kind, p.message) for p in made] == [
        ("template", -1), ("context", 0), ("text", 0), ("template", -1), ("call", 1), ("template", -1), ("text", 2),
        ("template", -1), ("text", 3), ("template", -1), ("text", 4), ("template", -1),
    ]  # fmt: skip
    assert made[4].text == call
    assert made[3].text.endswith("<|im_start|>assistant")
    assert "".join(p.text for p in made) == plain(with_tools(), template_of(tmp_path, QWEN))


def test_a_call_after_a_content(tmp_path):
    made = pieces(with_tools("I look."), template_of(tmp_path, QWEN))
    turn = [(p.kind, p.text) for p in made if p.message == 1]
    assert [kind for kind, _ in turn] == ["call", "text", "call"]
    assert [text for _, text in turn[:2]] == ["\n", "I look."]
    assert turn[2][1].startswith("\n<tool_call>")


def test_a_call_that_ends_the_sample(tmp_path):
    made = pieces(with_tools(last=True), template_of(tmp_path, QWEN))
    assert (made[-1].kind, made[-1].message) == ("call", 1)


WRITES_TOOLS = "{{ tools | tojson }}" + CHATML


@pytest.mark.parametrize(
    ("source", "sample", "reason"),
    [
        (CHATML, with_tools(), "template_drops_text"),  # neither tools nor calls
        (WRITES_TOOLS, with_tools(), "template_drops_text"),  # tools, and no calls
        (QWEN.replace("call.arguments | tojson", "'{}'"), with_tools(), "template_drops_text"),
        (LLAMA_2, with_tools(), "template_error"),
        (QWEN + "{{ messages | length }}", with_tools(), "template_hides_call"),
        ("paper", with_tools(), "template_drops_text"),
        ("paper", conversation("a", "b", system="s"), "template_drops_text"),
    ],
)
def test_a_template_without_a_place_for_a_call(tmp_path, source, sample, reason):
    template = PAPER if source == "paper" else template_of(tmp_path, source)
    with pytest.raises(Unrendered) as caught:
        check_rendered(msgspec.json.encode(sample), template)
    assert caught.value.reason == reason


def test_a_result_that_is_written_as_json(tmp_path):
    source = QWEN.replace("message.content ~ '\n</tool_response>'", "(message.content | tojson) ~ '\n</tool_response>'")
    assert source != QWEN
    made = pieces(with_tools(), template_of(tmp_path, source))
    assert [p.text for p in made if p.message == 3] == ["\\nred"]


FRAGMENTS = [
    "a",
    "\n",
    "\n\n",
    " ",
    "<|im_end|>",
    "</s>",
    "[INST]",
    "\t",
    "é",
    "x y",
    "\ufdd00\ufdd1",
    "assistant\n",
    "{{ x }}",
]


@pytest.mark.parametrize("style", TEMPLATES)
def test_pieces_of_random_texts_are_those_of_the_oracle(tmp_path, style):
    rng, template, n_trimmed = random.Random(style), template_of(tmp_path, TEMPLATES[style]), 0
    for _ in range(200):
        contents = [
            "".join(["z", *rng.choices(FRAGMENTS, k=6)])[rng.randint(0, 1) :] for _ in range(2 * rng.randint(1, 3))
        ]
        contents = [content if content.strip() else "z" for content in contents]
        sample = conversation(*contents, system=rng.choice(["", "Be brief."]), context_chars=context_end(contents[0]))
        made = pieces(sample, template)
        assert [tuple(piece) for piece in made] == slow_pieces(sample, template), contents
        n_trimmed += sum(piece.text != piece.text.strip() for piece in made if piece.message >= 0)
    assert n_trimmed > 20 or style in ("llama2", "llama3")
