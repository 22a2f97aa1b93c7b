"""Which files a source names: sorted, none hidden, and globs are those of the standard library."""

import glob
import os

import pytest

from pipelines.ingest.listing import find_files, translate
from tests.pipelines.inputs import line_of, source, write_jsonl


def slow_names(root) -> list[str]:
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return [name for name in names if not any(part.startswith(".") for part in name.split("/"))]


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b.jsonl",
        "a.jsonl.gz",
        "x/c.jsonl",
        "x/y/d.jsonl.zst",
        "x/[z]/e.jsonl",
        ".hidden/f.jsonl",
        "x/.g.jsonl",
        "B.JSONL",
        "notes.md",
    ):
        write_jsonl(tmp_path / name, [line_of(1)])
    return tmp_path


def test_a_folder_is_all_of_its_files_but_the_hidden(tree):
    kind, files = find_files(source(tree))
    assert kind == "jsonl"
    assert [f.name for f in files] == [name for name in slow_names(tree) if name != "notes.md"]


@pytest.mark.parametrize(
    "pattern",
    [
        "*.jsonl",
        "**/*.jsonl",
        "x/*",
        "x/**/*.jsonl*",
        "?.jsonl",
        "[ab].jsonl*",
        "[!a].jsonl",
        "x/[[]z]/*",
        "**/d*",
        "x/**",
    ],
)
def test_a_glob_is_the_standard_librarys(tree, pattern):
    wanted = sorted(n for n in glob.glob(pattern, root_dir=tree, recursive=True) if (tree / n).is_file())  # noqa: PTH207 has root_dir
    root = tree / pattern.split("/")[0] if pattern.startswith("x/") else tree
    _, files = find_files(source(tree / pattern, format="jsonl"))
    assert [os.path.relpath(root / f.name, tree) for f in files] == wanted
    assert wanted, pattern


def test_a_glob_keeps_to_what_it_says():
    assert translate(["*.a+b"]) == r"[^/]*\.a\+b"


def test_a_link_inside_is_read_and_one_that_the_recipe_names_is_followed(tree, tmp_path_factory):
    (tree / "link.jsonl").symlink_to(tree / "b.jsonl")
    (tree / "again").symlink_to(tree / "x" / "y")
    names = [f.name for f in find_files(source(tree))[1] if not f.fault]
    assert {"link.jsonl", "again/d.jsonl.zst"} <= set(names)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "named.jsonl").symlink_to(tree / "b.jsonl")
    (elsewhere / "folder").symlink_to(tree)
    for path in (elsewhere / "named.jsonl", elsewhere / "folder"):
        assert all(f.fault is None for f in find_files(source(path))[1])


def test_the_suffixes_of_texts_are_the_sources(tree):
    (tree / "a.py").write_text("print(1)")
    assert [f.name for f in find_files(source(tree, format="text", text_suffixes=(".py", ".md")))[1]] == [
        "a.py",
        "notes.md",
    ]
    assert [f.name for f in find_files(source(tree / "*.py", format="text"))[1]] == ["a.py"]
