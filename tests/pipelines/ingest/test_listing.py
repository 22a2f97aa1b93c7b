"""Which files a source names: sorted, none hidden, and globs are those of the standard library."""

import errno
import glob
import os
import shutil

import pyarrow as pa
import pytest

from pipelines.ingest.listing import check_schemas, find_files, translate
from pipelines.ingest.walking import fault_of
from schemas.errors import RecipeError
from tests.pipelines.inputs import line_of, source, write_jsonl, write_rows


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


def test_a_folder_of_this_name_is_no_wildcard(tmp_path):
    for name in ("a [v1]/*?/x.jsonl", "a [v1]/*?/y[.jsonl", "a v/x.jsonl", "a 1/x.jsonl"):
        write_jsonl(tmp_path / name, [line_of(1)])

    def names(pattern):
        return [f.name for f in find_files(source(tmp_path / pattern))[1]]

    assert names("a [v1]/*?/*.jsonl") == ["x.jsonl", "y[.jsonl"]
    assert names("a [v1]/**/*[[]*") == names("a [v1]/*/*[[].jsonl") == ["*?/y[.jsonl"]
    assert names("a [v12]/x.jsonl") == ["a 1/x.jsonl", "a v/x.jsonl"]
    for missing in ("a [v1]/none.jsonl", "a [v1]/none/*.jsonl"):
        with pytest.raises(RecipeError, match="no such file or folder"):
            names(missing)


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


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.JSONL.GZ"], "jsonl"), (["a.ndjson.zstd"], "jsonl"), (["a.pq"], "parquet"), (["a.txt.zst"], "text"),
        (["a.jsonl", "notes.md"], "jsonl"), (["a.parquet.gz"], None), (["a.csv"], "csv"), (["a.md"], None), (["a.jsonl", "b.pq"], None),
    ],
)  # fmt: skip
def test_the_format_follows_from_the_names(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    if expected is None:
        with pytest.raises(RecipeError, match=r"^sources\.s: .*(format|found)"):
            find_files(source(tmp_path))
    else:
        kind, files = find_files(source(tmp_path))
        assert kind == expected
        assert [f.name for f in files] == names[:1]


def test_a_file_that_the_recipe_names_is_read_whatever_its_name(tmp_path):
    (tmp_path / "data.log").write_bytes(b"{}")
    assert [f.name for f in find_files(source(tmp_path / "data.log", format="jsonl"))[1]] == ["data.log"]
    assert [f.name for f in find_files(source(tmp_path / "*.log", format="jsonl"))[1]] == ["data.log"]
    with pytest.raises(RecipeError, match=r"no jsonl files; found \.log \(1\)"):
        find_files(source(tmp_path, format="jsonl"))


def test_faults_of_files_are_listed_beside_the_good_ones(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [line_of(1)])
    (tmp_path / "b.jsonl").symlink_to("nothing")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "c.jsonl").symlink_to("/etc/passwd")
    _, files = find_files(source(tmp_path))
    assert [(f.name, f.fault and f.fault[0]) for f in files] == [
        ("a.jsonl", None), ("b.jsonl", "symlink_broken"), ("c.jsonl", "symlink_outside"), ("sub/loop", "symlink_loop"),
    ]  # fmt: skip
    assert files[0].n_bytes == (tmp_path / "a.jsonl").stat().st_size


@pytest.mark.parametrize(
    ("error", "is_link", "expected"),
    [
        (OSError(errno.ENOENT, ""), False, ("vanished_file", "listed, and then gone")),
        (OSError(errno.ENOENT, ""), True, ("symlink_broken", "leads to nothing")),
        (OSError(errno.ELOOP, ""), True, ("symlink_loop", "leads back to itself")),
        (OSError(errno.EACCES, ""), False, ("unreadable_file", "EACCES")),
        (OSError("no number"), False, ("unreadable_file", "OSError")),
    ],
)
def test_what_the_system_refuses_has_a_reason(error, is_link, expected):
    assert fault_of(error, is_link) == expected


def test_a_source_of_which_no_file_has_the_column_is_refused_by_the_first(tmp_path):
    write_rows(tmp_path / "a.parquet", {"content": pa.array(["a"])})
    write_rows(tmp_path / "b.parquet", {"body": pa.array(["a"])})
    one = source(tmp_path)
    kind, files = find_files(one)
    with pytest.raises(RecipeError, match=r"^sources.s: a.parquet: no column 'text'; there are content; set the sour"):
        check_schemas(one, kind, files)
    check_schemas(
        source(tmp_path, text="body"), kind, files
    )  # one file that fits will do: the others are rejected by name


def notes_of(one) -> list[str]:
    notes: list[str] = []
    find_files(one, None, notes)
    return notes


def test_files_that_are_passed_over_are_counted(tmp_path):
    for name in ("a.jsonl", "b.jsonl.xz", "c.jsonl.bz2", "d.jsonl.1", "e.md", "sub/f.md", "LICENSE", "g.gz", ".h"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0")
    assert notes_of(source(tmp_path)) == [
        "source s: 5 of 8 files passed over: .md (2), .1 (1), .gz (1), no suffix (1), such as LICENSE; to read them, name them by a glob and set format"
    ]
    assert notes_of(source(tmp_path / "*.m*", format="text")) == []
    assert notes_of(source(tmp_path / "[ae]*")) == [
        "source s: 1 of 2 files passed over: .md (1), such as e.md; to read them, name them by a glob and set format"
    ]
    assert notes_of(source(tmp_path, format="jsonl"))[0].endswith("to read them, name them by a glob")
    assert notes_of(source(tmp_path, format="text", text_suffixes=(".md",)))[0].endswith(
        "to read them, add their suffixes to text_suffixes"
    )


def test_plain_text_under_the_name_of_a_compression_is_noted(tmp_path):
    write_jsonl(tmp_path / "a.jsonl.gz", [line_of(1)])
    assert notes_of(source(tmp_path)) == []
    (tmp_path / "b.jsonl.gz").write_bytes(line_of(1))
    (tmp_path / "c.jsonl.zst").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert notes_of(source(tmp_path)) == [
        "source s: 1 file with the suffix of a compression holds plain text and is read as such, such as b.jsonl.gz"
    ]


def test_several_paths_are_one_source_with_names_from_their_common_folder(tmp_path):
    for name in ("x/a/1.jsonl", "x/a/2.txt", "x/b/1.jsonl", "x/b/c/1.jsonl", "x/3.jsonl"):
        write_jsonl(tmp_path / name, [line_of(1)])
    top = tmp_path / "x"

    def names(*paths, **changes):
        return [f.name for f in find_files(source("x", path=tuple(str(top / path) for path in paths), **changes))[1]]

    assert names("a/*.jsonl", "b") == ["a/1.jsonl", "b/1.jsonl", "b/c/1.jsonl"]
    assert names("b", "a/*.jsonl", "b/c", "b/1.jsonl") == ["a/1.jsonl", "b/1.jsonl", "b/c/1.jsonl"]
    assert names("b", "b/c") == ["1.jsonl", "c/1.jsonl"]
    assert names("b") == [f.name for f in find_files(source(top / "b"))[1]] == ["1.jsonl", "c/1.jsonl"]
    assert names("a/1.jsonl", "3.jsonl") == ["3.jsonl", "a/1.jsonl"]
    with pytest.raises(
        RecipeError, match="contains jsonl and text files; set the source's format to one of them, and name"
    ):
        names("a", "b")
    assert names("a", "b", format="text") == ["a/2.txt"]
    with pytest.raises(RecipeError, match=r"x/no: no such file or folder"):
        names("a", "no")
    shutil.move(top, tmp_path / "y" / "z")
    top = tmp_path / "y" / "z"
    assert names("a/*.jsonl", "b") == ["a/1.jsonl", "b/1.jsonl", "b/c/1.jsonl"]


def test_json_that_describes_a_dataset_is_no_corpus(tmp_path):
    write_jsonl(tmp_path / "dataset_info.json", [b"{}"])
    write_jsonl(tmp_path / "sub" / "a.json", [line_of(1)])
    assert [f.name for f in find_files(source(tmp_path))[1]] == ["sub/a.json"]
    write_jsonl(tmp_path / "sub" / "state.json", [b"{}"])
    with pytest.raises(RecipeError, match="no files with a known suffix"):
        find_files(source(tmp_path))
    assert [f.name for f in find_files(source(tmp_path / "sub" / "a.json"))[1]] == ["a.json"]


def test_the_sources_window_is_that_of_its_files(tree):
    assert {f.zstd_long for f in find_files(source(tree, zstd_long=30))[1]} == {30}
