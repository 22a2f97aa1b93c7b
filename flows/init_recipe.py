"""`longmix init`: a recipe for a folder of files, and what was found there."""

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.terminal import echo
from schemas.errors import RecipeError

if TYPE_CHECKING:
    from pipelines.survey import Folder, Survey

EXAMPLE_TOKENIZER = Path(__file__).parents[1] / "examples" / "tokenizer" / "tokenizer.json"
EOS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[SEP]")  # the usual tokens that end a document
BYTES_A_TOKEN = 4
SEQUENCE_TOKENS = (131_072, 32_768, 8_192, 2_048)  # the longest of which a mix has at least MIN_SEQUENCES
MIN_SEQUENCES = 32


def init_recipe(
    folder: Annotated[Path, typer.Argument(help="A folder of JSONL, Parquet, CSV, text, Markdown or code files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The recipe, a new file.")] = Path("recipe.toml"),
    tokenizer: Annotated[
        str | None, typer.Option(help="A tokenizer.json or a hub id; by default that of examples/.")
    ] = None,
) -> None:
    """Write a recipe for a folder of files. Formats, fields and sizes are found from names and the beginnings of files."""
    from pipelines.recipe import load
    from pipelines.survey import survey

    if out.exists():
        raise RecipeError(f"{out}: exists; choose another --out or remove it")
    if not out.absolute().parent.is_dir():
        raise RecipeError(f"{out}: its folder does not exist; create it or choose another --out")
    contents = survey(folder)
    usable = [each for each in contents.surveys if each.kind == "text" or (each.text and not each.is_samples)]
    echo(table(contents))
    for line in notes(contents, tokenizer):
        echo(line)
    if not usable:
        has_samples = any(each.is_samples for each in contents.surveys)
        page = "mixes/sft-64k.toml and docs/samples.md" if has_samples else "docs/ingest.md"
        raise RecipeError(f"{folder}: no source has a field of text; write the recipe by hand, see {page}")
    text = recipe_text(folder, usable, out.absolute(), tokenizer)
    with open(out, "x", encoding="utf-8") as stream:
        stream.write(text)
    try:
        load(out)
    except RecipeError as error:
        echo(f"{out}: written, but to be corrected before a build: {error}")
        return
    echo(f"{out}: written. Next:")
    for command in ("plan", "build"):
        echo(f"  longmix {command} {shlex.quote(str(out))}")


def table(contents: "Folder") -> str:
    from flows.list_versions import size
    from flows.tables import aligned

    rows = [
        [each.name, each.kind, field_of(each), f"{len(each.files):,}", size(each.n_bytes), figure(each)]
        for each in contents.surveys
    ]
    return "\n".join(aligned(["source", "format", "text", "files", "size", "sampled"], rows, n_text=3, indent=0))


def figure(each: "Survey") -> str:
    """How many records were sampled, of a source that has records."""
    return "-" if each.kind == "text" else f"{each.n_sampled:,}"


def field_of(each: "Survey") -> str:
    if each.kind == "text":
        return "the file"
    return "messages" if each.is_samples else each.text or "none"


def notes(contents: "Folder", tokenizer: str | None) -> list[str]:
    """What the recipe leaves out, and what was chosen for want of a better knowledge."""
    from flows.text import filled

    sentences = []
    if contents.passed_over:
        suffixes = ", ".join(f"{suffix} ({n:,})" for suffix, n in contents.passed_over.most_common(5))
        sentences.append(f"Left out, as files of other formats: {suffixes}. text_suffixes of a source adds texts.")
    if samples := [each.name for each in contents.surveys if each.is_samples]:
        sentences.append(f"Left out, as they are instruction samples (see docs/samples.md): {', '.join(samples)}.")
    if without := [each.name for each in contents.surveys if field_of(each) == "none"]:
        sentences.append(f"Left out, as the records sampled have no field of text: {', '.join(without)}.")
    if not contents.is_complete:
        sentences.append("The folder has more files than were looked at; the sizes are of those that were.")
    if tokenizer is None:
        sentences.append(
            "The tokenizer is the example's; set encode.tokenizer to that of your model, or give --tokenizer."
        )
    return [line for sentence in sentences for line in filled(sentence)]


def recipe_text(folder: Path, surveys: "list[Survey]", out: Path, tokenizer: str | None) -> str:
    """The recipe as TOML."""
    n_tokens = sum(each.text_bytes for each in surveys) / BYTES_A_TOKEN
    budget = max(1_000, int(float(f"{n_tokens / 2:.1e}")))
    sequence = next((n for n in SEQUENCE_TOKENS if n * MIN_SEQUENCES <= budget), 512)
    name = tokenizer or relative(EXAMPLE_TOKENIZER, out)
    head = (
        f"# Written by `longmix init`. Sizes are estimates: about {n_tokens:,.0f} tokens.\n"
        f"mix = {quoted(mix_name(folder))}\n\n"
        f"[encode]\ntokenizer = {quoted(name)}\neos_token = {quoted(eos_of(name, out))}  # ends every document\n\n"
        f"[plan]\nbudget_tokens = {budget:_}  # of the mix: about half of the corpus\n"
        f"long_tokens = {min(4_096, sequence // 2)}  # a document of at least so many is long, and drawn more often\n"
        "max_epochs = 4  # the most copies of a document\n\n"
        f'[pack]\npacker = "best_fit"\nsequence_tokens = {sequence}'
    )
    return "\n\n".join([head, *(source_text(each, out) for each in surveys)]) + "\n"


def source_text(each: "Survey", out: Path) -> str:
    keys: dict[str, Any] = {"name": each.name, "domain": each.domain, "path": relative(Path(each.path), out)}
    keys["format"] = each.kind
    if each.suffixes and Path(each.path).is_dir():
        keys["text_suffixes"] = list(each.suffixes)
    if each.kind != "text":
        keys["text"] = each.text
        keys |= {role: name for role in ("id", "origin", "license_field") if (name := each.role(role))}
    return "\n".join(["[[sources]]", *(f"{key} = {toml(value)}" for key, value in keys.items())])


def toml(value: str | list[str]) -> str:
    return quoted(value) if isinstance(value, str) else f"[{', '.join(map(quoted, value))}]"


def quoted(text: str) -> str:
    """A string of TOML, which takes the escapes of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def relative(path: Path, out: Path) -> str:
    """A path as the recipe writes it: relative where it is near, else absolute."""
    near = os.path.relpath(path.absolute(), out.parent)
    return near if not near.startswith("../../") else os.path.normpath(path.absolute())


def mix_name(folder: Path) -> str:
    from pipelines.survey import unique

    return unique(folder.absolute().name, set()).lower()


def eos_of(tokenizer: str, out: Path) -> str:
    """The token of a tokenizer that ends a document, by the usual names; the first special token where none has one.

    Raises:
        RecipeError: the tokenizer can't be read or has no special token.
    """
    from pipelines.encode.params import tokenizer_named

    path = Path(tokenizer_named(out.parent, tokenizer).path)
    try:
        tokens = [token["content"] for token in json.loads(path.read_bytes())["added_tokens"] if token["special"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeError(f"{path}: not a tokenizer.json ({type(error).__name__}); name another --tokenizer") from error
    if not tokens:
        raise RecipeError(f"{path}: has no special token that could end a document; write the recipe by hand")
    return next((token for token in EOS if token in tokens), tokens[0])
