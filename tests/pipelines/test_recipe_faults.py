"""Faults of a recipe are told by its keys and in its words; sizes are understood wherever a number is expected."""

import tomllib
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from pipelines.recipe import Recipe, load
from pipelines.recipe_faults import MESSAGES, complaints, toml_fault, with_sizes
from pipelines.sft_recipe import SftRecipe
from schemas.errors import RecipeError
from tests.pipelines.test_recipe import ROOT, TINY, written


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: PositiveInt = 1
    kind: Literal["a", "b"] = "a"


class Source(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern="^[a-z]+$")
    share: Annotated[float, Field(gt=0, le=1)] = 1.0


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sources: tuple[Source, ...] = Field(default=(), min_length=1)
    inner: Inner | None = None
    either: Annotated[float, Field(gt=0, le=1)] | PositiveInt = 1
    shares: dict[str, float] = Field(default_factory=dict)
    options: dict[str, str | int | bool] = Field(default_factory=dict)
    is_on: bool = True
    either_text: str | Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] = "x"


def told(raw):
    with pytest.raises(ValidationError) as error:
        Model.model_validate(with_sizes(raw, [Model]))
    return complaints(error.value, Model, raw)


@pytest.mark.parametrize(
    ("raw", "clauses"),
    [
        ({"inner": {"n": "x"}}, ['inner.n: must be a whole number, or a size such as "128K" or "20M", not "x"']),
        ({"inner": {"n": 1.5}}, ["inner.n: must be a whole number, not 1.5"]),
        ({"inner": {"n": 0}}, ["inner.n: must be more than 0, not 0"]),
        ({"inner": {"kind": "c"}}, ["inner.kind: must be 'a' or 'b', not \"c\""]),
        ({"inner": 3}, ["inner: must be a section of keys and values, not 3"]),
        ({"inner": {"m": 1}}, ["inner.m: no such key; known: kind, n"]),
        ({"sources": [{"name": "web", "share": 2}]}, ["sources.web.share: must be at most 1, not 2"]),
        ({"sources": [{"name": "WEB"}]}, ['sources.WEB.name: must match ^[a-z]+$, not "WEB"']),
        ({"sources": [{"share": 1}]}, ["sources.(number 1).name: missing; add it"]),
        ({"sources": []}, ["sources: must not be empty, not []"]),
        ({"sources": 3}, ["sources: each source is a section of its own; begin it with [[sources]], in two brackets"]),
        ({"sources": {"name": "web"}}, ["sources: each source is a section of its own; begin it with [[sources]], in two brackets"]),
        ({"shares": {"book": "x"}}, ['shares.book: must be a number, not "x"']),
        ({"is_on": "maybe"}, ['is_on: must be true or false, not "maybe"']),
        ({"either": -1}, ["either: must be more than 0, not -1"]),
        ({"either_text": 3}, ["either_text: must be a text in quotes, or a list of them, not 3"]),
        ({"either_text": ["a", 3]}, ["either_text.1: must be a text in quotes, not 3"]),
        ({"either_text": []}, ["either_text: must not be empty, not []"]),
        ({"sources": [{"path": "data/a.jsonl"}]}, ["sources.(data/a.jsonl).name: missing; add it", "sources.(data/a.jsonl).path: no such key; known: name, share"]),
    ],
)  # fmt: skip
def test_a_fault_has_a_key_and_plain_words(raw, clauses):
    assert told(raw) == clauses


def test_no_message_is_pydantics():
    """Of any key of a recipe with a value of each wrong type."""
    wrong = (5, "x", -1.5, True, [1], {"a": 1}, [])
    for kind in (Recipe, SftRecipe):
        for key in kind.model_fields:
            for value in wrong:
                try:
                    kind.model_validate({key: value})
                except ValidationError as error:
                    line = "; ".join(complaints(error, kind, {key: value}))
                    assert "Input should" not in line, (key, value, line)
                    assert "valid" not in line, (key, value, line)


@pytest.mark.parametrize(
    ("size", "number"),
    [("128k", 131_072), ("128K", 131_072), ("4M", 4_000_000), ("2B", 2_000_000_000), ("1.5K", 1536), ("1G", 10**9), ("0.5M", 500_000)],
)  # fmt: skip
def test_a_size_is_a_number(size, number):
    assert with_sizes({"inner": {"n": size}, "either": size}, [Model]) == {"inner": {"n": number}, "either": number}
    assert with_sizes({"shares": {"a": size}}, [Model]) == {"shares": {"a": size}}  # the names of a dict are not keys


@pytest.mark.parametrize("text", ["128", "K", "1.0001K", "-1K", "4 M", "4m", "1e3K", "4KB"])
def test_what_is_no_size_stays_a_text(text):
    assert with_sizes({"inner": {"n": text}}, [Model]) == {"inner": {"n": text}}


def test_a_key_that_may_be_a_text_stays_one():
    raw = {"sources": [{"name": "4M"}], "options": {"size": "4M"}}
    assert with_sizes(raw, [Model]) == raw


def test_sizes_of_a_recipe_mean_what_numbers_mean(tmp_path):
    exact = load(written(tmp_path, TINY))
    sized = TINY.replace("sequence_tokens = 16384", 'sequence_tokens = "16K"')
    sized = sized.replace("budget_tokens = 400_000", 'budget_tokens = "0.4M"')
    assert sized.count('"16K"') == sized.count('"0.4M"') == 1
    assert load(written(tmp_path, sized)) == exact


def test_a_byte_order_mark_and_deep_nesting(tmp_path):
    path = written(tmp_path, TINY)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(path).mix == "tiny"
    path.write_text("a = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(RecipeError, match="nested too deeply"):
        load(path)


def test_every_message_can_be_made():
    context = dict.fromkeys(("gt", "ge", "lt", "le"), 1) | {"pattern": "p", "expected": "e", "expected_tags": "t"}
    assert all(message(context) for message in MESSAGES.values())
    assert (ROOT / "mixes").is_dir()


@pytest.mark.parametrize(
    ("removed", "clause"),
    [
        ("encode", "encode: missing; add the section [encode] with tokenizer, eos_token"),
        ("sources", "sources: missing; add the section [[sources]] with name, domain"),
        ("plan", "plan: missing; add the section [plan] with budget_tokens"),
    ],
)
def test_a_missing_section_is_named_with_its_keys(removed, clause):
    raw = {key: {} for key in ("encode", "sources", "plan", "pack") if key != removed} | {"mix": "m"}
    with pytest.raises(ValidationError) as error:
        Recipe.model_validate(raw)
    assert any(line.startswith(clause) for line in complaints(error.value, Recipe, raw))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("domain = d", 'Invalid value (at line 2, column 10): "domain = d"; write texts in quotes'),
        ("mix = 2", 'Cannot overwrite a value (at line 2, column 8): "mix = 2"; the key or section is there twice'),
        ('path = "C:\\data"', "write paths with /, or the text in single quotes"),
        ("[plan", '"[plan"; correct this line'),
        ('a = "x', "write the text in quotes on one line"),
        ("a = [", "; "),
    ],
)
def test_a_fault_of_toml_names_its_line_and_a_remedy(line, words):
    text = f"mix = 1\n{line}\n"
    with pytest.raises(tomllib.TOMLDecodeError) as error:
        tomllib.loads(text)
    assert words in toml_fault(error.value, text)
