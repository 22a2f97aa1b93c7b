import json

import pytest
from pydantic import BaseModel

from pipelines.encode.template import PAPER, Template, TemplateFile, Unrendered, source_of, template_named
from schemas.errors import RecipeError
from tests.pipelines.encode.templates import CHATML, LLAMA_3, template_of


class Named(BaseModel):
    template: TemplateFile = "paper"


def test_where_a_recipe_finds_a_template(tmp_path):
    config, jinja = tmp_path / "tokenizer_config.json", tmp_path / "chat_template.jinja"
    config.write_text(json.dumps({"chat_template": CHATML}))
    assert template_named(tmp_path, ".").path == str(config)
    jinja.write_text(LLAMA_3)
    assert template_named(tmp_path, ".").path == str(jinja)  # as in transformers
    assert template_named(tmp_path, "tokenizer_config.json").path == str(config)
    config.write_text("{}")
    assert template_named(tmp_path, "tokenizer_config.json").path == str(jinja)  # the config names none
    assert template_named(tmp_path, "paper") == PAPER
    assert Named.model_validate({"template": "."}, context={"folder": tmp_path}).template == template_named(
        tmp_path, "."
    )
    assert Named.model_validate({}, context={"folder": tmp_path}).template == "paper"


@pytest.mark.parametrize(
    "value", [[{"name": "tool_use", "template": "x"}, {"name": "default", "template": CHATML}], {"default": CHATML}]
)
def test_of_several_templates_the_default_counts(tmp_path, value):
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({"chat_template": value}))
    assert source_of(path) == CHATML


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.json", None, "no chat template"),
        ("tokenizer_config.json", "{}", "no chat template"),
        ("tokenizer_config.json", "[]", "no chat template"),
        ("tokenizer_config.json", '{"chat_template": [{"name": "rag", "template": "x"}]}', "no chat template"),
        ("tokenizer_config.json", "{", "can't be read"),
        ("a.jinja", "{% if %}", "not a chat template"),
    ],
)
def test_a_file_without_a_template(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(RecipeError, match=message):
        template_named(tmp_path, name)


def test_a_template_that_writes_bos_needs_one(tmp_path):
    with pytest.raises(RecipeError, match=r"set encode\.bos_token"):
        template_of(tmp_path, LLAMA_3, bos=None)
    assert template_of(tmp_path, CHATML, bos=None).bos_token == ""


def test_names_depend_on_the_content_and_not_on_the_path(tmp_path):
    one, other = ({**template_of(folder, CHATML).model_dump(mode="json")} for folder in (tmp_path, tmp_path))
    assert one == other
    assert "path" not in one["file"]
    assert template_of(tmp_path, CHATML + " ").model_dump() != one
    assert Template.of("paper", "<s>", "</s>").model_dump() == Template.of("paper", None, "</s>").model_dump()


def test_the_sandbox_writes_as_transformers_does(tmp_path):
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    source = (
        "{% for m in messages %}\n  {% generation %}\n {{ m.content }} {{ m | tojson }}\n  {% endgeneration %}\n"
        "{% if loop.index == 2 %}{% break %}{% endif %}\n{% endfor %}\n{{ tools | tojson(indent=2) }}{{ bos_token }}\n"
    )
    messages, tools = [{"role": "user", "content": "<é>"}] * 3, [{"name": "f"}]
    expected, _ = utils.render_jinja_template(
        [messages], tools=tools, chat_template=source, bos_token="<s>", eos_token="</s>"
    )
    assert template_of(tmp_path, source).render(messages, tools) == expected[0]


def test_an_endless_template_is_an_error(tmp_path):
    with pytest.raises(Unrendered, match="OverflowError"):
        template_of(tmp_path, "{% for i in range(10 ** 12) %}{% endfor %}").render([], None)
