"""Chat templates: the jinja2 source that a recipe names, and what it writes for a list of messages.

A template is a program of somebody else. It runs in jinja2's immutable sandbox, without a clock and without randomness,
and sees the messages, the tools and the names of BOS and EOS.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict

from pipelines.store.files import HashedFile
from schemas.errors import RecipeError
from schemas.names import from_name, path_named

PAPER = "paper"  # the name of the format of GATEAU in a recipe
NAMES = (
    "chat_template.jinja",
    "tokenizer_config.json",
)  # in a tokenizer's folder; the first counts, as in transformers
DETAIL_CHARS = 200  # of a template's own message in REJECTED


class Unrendered(Exception):  # noqa: N818 a property of the sample and its template
    """A template does not write a sample as it is. reason: a key of REASONS of ingest."""

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def template_named(folder: Path, name: str) -> HashedFile | str:
    """The file that a recipe in `folder` names, or PAPER.

    Raises:
        RecipeError: there is no file, or no template in it.
    """
    if name == PAPER:
        return PAPER
    path = path_named(folder, name)
    beside = path if path.is_dir() else path.parent
    paths = [beside / n for n in NAMES] if path.is_dir() else [path, beside / NAMES[0]]
    files = [p for p in paths if p.is_file() and (p.suffix != ".json" or source_of(p) is not None)]
    if not files:
        raise RecipeError(
            f"no chat template: {path}; name a tokenizer_config.json with chat_template, a chat_template.jinja, the "
            f'folder of one, or "{PAPER}"'
        )
    file = HashedFile.of(files[0])
    compiled(file)
    return file


TemplateFile = Annotated[HashedFile | Literal["paper"], from_name(template_named)]


def source_of(path: Path) -> str | None:
    """The template in a file; None if a JSON file has none. Of several in one file, the one named default.

    Raises:
        RecipeError: the file can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".json":
            return text
        value = json.loads(text)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path}: can't be read ({error}); name another template") from error
    template = value.get("chat_template") if isinstance(value, dict) else None
    if isinstance(template, list):
        template = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) else None


class Template(BaseModel):
    """A template and what it sees besides the messages. Part of the names of what it makes.

    Attributes:
        file: None for the paper's format.
        jinja2: the version of the library; None for the paper's format.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: HashedFile | None
    bos_token: str = ""
    eos_token: str
    jinja2: str | None = None

    @classmethod
    def of(cls, file: HashedFile | str, bos_token: str | None, eos_token: str) -> Self:
        """
        Raises:
            RecipeError: the file is no template, or it writes BOS and the recipe has none.
        """
        if isinstance(file, str):
            return cls(file=None, eos_token=eos_token)
        _, variables = compiled(file)
        if bos_token is None and "bos_token" in variables:
            raise RecipeError(f"{file.path}: writes bos_token, and the recipe has none; set encode.bos_token")
        return cls(file=file, bos_token=bos_token or "", eos_token=eos_token, jinja2=version("jinja2"))

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] | None, *, prompt: bool = False
    ) -> str:
        """What the template writes. prompt: and the beginning of the assistant's next turn.

        Raises:
            Unrendered: it raised an error.
        """
        if self.file is None:
            raise ValueError("the paper's format is no template")
        variables = {"bos_token": self.bos_token, "eos_token": self.eos_token, "add_generation_prompt": prompt}
        try:
            return compiled(self.file)[0].render(messages=messages, tools=tools, documents=None, **variables)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 a template is a program, and may raise anything
            detail = " ".join(str(error).split())[:DETAIL_CHARS]
            raise Unrendered("template_error", f"{type(error).__name__}: {detail}") from None


@cache  # once a process
def compiled(file: HashedFile) -> tuple[jinja2.Template, frozenset[str]]:
    """The template of a file, and the variables that it reads.

    Raises:
        RecipeError: the file has no template, or its syntax is wrong.
    """
    source = source_of(Path(file.path))
    if source is None:
        raise RecipeError(f"{file.path}: has no chat_template; name a file that has one")
    sandbox = environment()
    try:
        return sandbox.from_string(source), frozenset(meta.find_undeclared_variables(sandbox.parse(source)))
    except jinja2.TemplateError as error:
        line = " ".join(str(error).split())
        raise RecipeError(f"{file.path}: not a chat template ({line}); mend it or name another") from error


# -- the sandbox


class Generation(Extension):
    """The block {% generation %} of transformers, which marks what is trained on. It changes nothing that is written."""

    tags = {"generation"}  # noqa: RUF012 as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON without jinja2's escapes for HTML, as in transformers."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment() -> ImmutableSandboxedEnvironment:
    """The settings of transformers, but for its clock strftime_now: what a template writes must not depend on the day."""
    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    sandbox.filters["tojson"] = tojson
    sandbox.globals["raise_exception"] = raise_exception
    del sandbox.filters["random"], sandbox.globals["lipsum"]
    return sandbox
