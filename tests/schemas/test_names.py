"""A field that names a file is resolved by validation, with the recipe's folder from the context."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ValidationError

from schemas.errors import RecipeError
from schemas.names import from_name, path_named


class Size(BaseModel):
    n_bytes: int


def size_named(folder, name):
    path = path_named(folder, name)
    if not path.is_file():
        raise RecipeError(f"no such file: {path}")
    return Size(n_bytes=path.stat().st_size)


NamedSize = Annotated[Size, from_name(size_named)]


class Sizes(BaseModel):
    one: NamedSize
    maybe: NamedSize | None = None
    many: tuple[NamedSize, ...] = ()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").write_text("abc")
    (tmp_path / "b").write_text("abcdef")
    return tmp_path


def faults(raw, folder):
    with pytest.raises(ValidationError) as caught:
        Sizes.model_validate(raw, context={"folder": folder})
    return {fault["loc"]: fault["msg"] for fault in caught.value.errors()}


def test_names_are_resolved_wherever_the_field_is(folder):
    sizes = Sizes.model_validate({"one": "a", "maybe": "b", "many": ["a", "b"]}, context={"folder": folder})
    assert sizes == Sizes(one=Size(n_bytes=3), maybe=Size(n_bytes=6), many=(Size(n_bytes=3), Size(n_bytes=6)))
    assert Sizes.model_validate({"one": "a", "maybe": None}, context={"folder": folder}).maybe is None


def test_what_is_resolved_already_is_taken(folder):
    size = Size(n_bytes=9)
    for context in (None, {}, {"folder": folder}):
        assert Sizes.model_validate({"one": size, "many": [size]}, context=context).one is size
    assert Sizes.model_validate({"one": {"n_bytes": 9}}).one == size


def test_without_a_folder_a_name_is_not_resolved(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(ValidationError, match="valid dictionary or instance of Size"):
        Sizes.model_validate({"one": "a"})


@pytest.mark.parametrize("value", [5, True, 1.5, ["a"], {"n_bytes": 9}, None])
def test_a_recipe_holds_names_alone(value, folder):
    """A resolved value written into a recipe would be one that no file has."""
    assert faults({"one": value}, folder) == {("one",): "Input should be a valid string"}


@pytest.mark.parametrize("name", ["", "a\0"])
def test_a_name_that_is_no_path(name, folder):
    assert (
        faults({"one": name}, folder)["one",]
        == f"Value error, {name!r} is not a path; write one relative to the recipe's folder"
    )


def test_every_fault_is_reported_with_its_key(folder):
    raw = {"one": "c", "maybe": "d" * 300, "many": ["a", "~nobody-of-this-name/a"]}
    messages = faults(raw, folder)
    assert messages == {
        ("one",): f"Value error, no such file: {folder}/c",
        (
            "maybe",
        ): f"Value error, {raw['maybe']}: can't be read (File name too long); mend the path or its permissions",
        ("many", 1): "Value error, ~nobody-of-this-name/a: no user of this name has a home folder; write the path out",
    }


def test_a_defect_of_ours_is_not_taken_for_a_fault_of_the_recipe(folder):
    class Broken(BaseModel):
        one: Annotated[int, from_name(lambda *_: {}["missing"])]

    with pytest.raises(KeyError):
        Broken.model_validate({"one": "a"}, context={"folder": folder})


def test_paths_are_relative_to_the_folder_and_the_home_folder_is_known(folder, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert path_named(folder, "x/y") == folder / "x" / "y"
    assert path_named(folder, "/x/y") == Path("/x/y")
    assert path_named(folder, "~/x") == Path("/home/someone/x")
    assert path_named(folder, "x/~") == folder / "x" / "~"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s3://bucket/a.jsonl", "a URL; longmix reads local files; download it or mount it"),
        ("https://host.example.org/a", "a URL; longmix reads local files"),
        ("https://huggingface.co/datasets/a/b", 'a URL; name a dataset of the hub by hub = "OWNER/NAME"'),
        ("hf://datasets/a/b", 'a URL; name a dataset of the hub by hub = "OWNER/NAME"'),
        ("file:///data/a", "a URL; write the path without file://"),
        ("d/{a,b}/{c,d}.x", 'write a list, as path = ["d/a/c.x", "d/a/d.x", "d/b/c.x", "d/b/d.x"]'),
        ("$DATA/a", "variables are not expanded"),
        ("${DATA}/a", "variables are not expanded"),
    ],
)
def test_what_no_path_of_a_recipe_has_is_named(tmp_path, name, message):
    with pytest.raises(RecipeError) as error:
        path_named(tmp_path, name)
    assert str(error.value).startswith(f"{name}: ")
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["a{b}", "a,b", "cost$", "a:b", "C:/data", "x{,"])
def test_odd_names_are_paths(tmp_path, name):
    assert path_named(tmp_path, name) == tmp_path / name


def test_a_file_that_is_there_may_have_any_name(tmp_path):
    for name in ("{a,b}.jsonl", "$x"):
        (tmp_path / name).write_text("")
        assert path_named(tmp_path, name) == tmp_path / name
