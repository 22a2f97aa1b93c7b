"""Chat templates in the styles in use, written for these tests, and samples for them."""

import json

from pipelines.conversations import Conversation, Message
from pipelines.encode.template import Template
from pipelines.store.files import HashedFile

CHATML = """\
{%- for message in messages %}
{{- '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

LLAMA_3 = """\
{%- for message in messages %}
{%- set turn = '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\n\n' ~ (message.content | trim) ~ '<|eot_id|>' %}
{%- if loop.first %}{% set turn = bos_token ~ turn %}{% endif %}
{{- turn }}
{%- endfor %}"""

LLAMA_2 = """\
{%- if messages[0].role == 'system' %}
{%- set system = '<<SYS>>\n' ~ messages[0].content ~ '\n<</SYS>>\n\n' %}{% set turns = messages[1:] %}
{%- else %}{% set system = '' %}{% set turns = messages %}{% endif %}
{%- for message in turns %}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}
{%- if message.role == 'user' %}
{{- bos_token ~ '[INST] ' ~ (system if loop.first else '') ~ message.content.strip() ~ ' [/INST]' }}
{%- else %}{{ ' ' ~ message.content.strip() ~ ' ' ~ eos_token }}{% endif %}
{%- endfor %}"""

MISTRAL = """\
{%- if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set turns = messages[1:] %}
{%- else %}{% set turns = messages %}{% endif %}
{{- bos_token }}
{%- for message in turns %}
{%- if message.role == 'user' %}
{%- if loop.index >= turns | length - 1 and system is defined %}{{ '[INST] ' ~ system ~ '\n\n' ~ message.content ~ '[/INST]' }}
{%- else %}{{ '[INST] ' ~ message.content ~ '[/INST]' }}{% endif %}
{%- elif message.role == 'assistant' %}{{ ' ' ~ (message.content | trim) ~ eos_token }}
{%- else %}{{ raise_exception('only user and assistant turns') }}{% endif %}
{%- endfor %}"""

QWEN = """\
{%- if tools %}
{{- '<|im_start|>system\n' }}
{%- if messages[0].role == 'system' %}{{ messages[0].content ~ '\n\n' }}{% endif %}
{{- '# Tools\n<tools>' }}{% for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}{{ '\n</tools><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}{{ '<|im_start|>system\n' ~ messages[0].content ~ '<|im_end|>\n' }}{% endif %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'assistant' and not message.tool_calls) %}
{{- '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant' }}{% if message.content %}{{ '\n' ~ message.content }}{% endif %}
{%- for call in message.tool_calls %}{% set call = call.function or call %}
{{- '\n<tool_call>\n{"name": "' ~ call.name ~ '", "arguments": ' }}{{ call.arguments | tojson }}{{ '}\n</tool_call>' }}
{%- endfor %}{{ '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}
{%- if loop.previtem.role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
{{- '\n<tool_response>\n' ~ message.content ~ '\n</tool_response>' }}
{%- if loop.last or loop.nextitem.role != 'tool' %}{{ '<|im_end|>\n' }}{% endif %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant' }}{% endif %}"""

TEMPLATES = {"chatml": CHATML, "llama3": LLAMA_3, "llama2": LLAMA_2, "mistral": MISTRAL, "qwen": QWEN}
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
PLAIN = ["<tool_call>", "</tool_call>"]  # added tokens that are not special


def template_of(folder, source, *, bos="<s>", eos="</s>") -> Template:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({"chat_template": source}))
    return Template.of(HashedFile.of(path), bos, eos)


def conversation(*contents: str, system: str = "", context_chars: int = 0) -> Conversation:
    """Contents of user and assistant by turns."""
    turns = [Message("assistant" if i % 2 else "user", content) for i, content in enumerate(contents)]
    return Conversation([*([Message("system", system)] if system else []), *turns], context_chars)


LONG = "The sky over the sea.\n\nIt was blue; all knew it.\n\n"
SAMPLES = {
    "one turn": conversation(LONG + "What colour is it?", "Blue.", context_chars=len(LONG)),
    "no context": conversation("What colour is it?", "Blue."),
    "several turns": conversation(LONG + "What?", "Blue.", "And the sea?", "Green.", "Why?", "Algae.", context_chars=len(LONG)),
    "white space": conversation("  " + LONG + "What? ", "\n Blue.\n", "And? ", " Green.", context_chars=2 + len(LONG)),
    "a system prompt": conversation(LONG + "What?", "Blue.", system="Be brief.", context_chars=len(LONG)),
    "a system prompt and turns": conversation("What?", "Blue.", "Why?", "Algae.", system="Be brief."),
    "markers": conversation(
        "Text <|im_end|>\n<|im_start|>assistant\n</s> [/INST] <s>.\n\nWhat is [INST] or ### Response: ?",
        "It is <|eot_id|><|im_end|></s> and ### Instruction: x", context_chars=59,
    ),
    "alike": conversation("a\n\na", "a", "a", "a", context_chars=3),
    "accents": conversation("Cafe\u0301 ﬁn \u2003x.\n\n日本語?", "naïve \U0001f600", context_chars=15),
}  # fmt: skip
