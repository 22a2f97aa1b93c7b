"""Which files of a package are documents, under which names, and how chapters become a book."""

import gzip
import pickle

import pytest

from pipelines.gather.extractors import (
    c4_pages,
    html_pages,
    joined,
    matcher,
    numbers_as_numbers,
    plain_files,
    source_code,
)
from tests.pipelines.gather.small import members

SENTENCE = "<p>This line has more than five words.</p>"


@pytest.mark.parametrize(
    ("path", "patterns", "matches"),
    [
        ("a/b/c.txt", ("*.txt",), True),  # a star takes in slashes
        ("a/b/c.txt", ("a/*.txt",), True),
        ("a/b/c.txt", ("b/*",), False),
        ("a/b/c.txt", ("x", "a/?/c.*"), True),
        ("a.txt.gz", ("*.txt",), False),
        ("a", (), False),
    ],
)
def test_patterns_are_those_of_the_shell(path, patterns, matches):
    assert bool(matcher(patterns)(path)) == matches


def test_plain_files_are_decoded_squeezed_and_unpacked():
    files = {"d/a.txt": b"caf\xe9 \n\n\n\nb", "d/b.txt.gz": gzip.compress(b"b"), "d/c.md": "c", "e/a.txt": "no"}
    assert list(plain_files("d/*.txt", "d/*.gz")(members(files))) == [("d/a.txt", "café\n\nb\n"), ("d/b.txt", "b\n")]


def test_pages_leave_out_lists_of_other_pages():
    names = ("a", "genindex", "sub/bookindex-1", "x/search", "skipped")
    files = {f"d/{name}.html": f"<p>{name}</p>" for name in names}
    assert [name for name, _ in html_pages("d/*.html", skip=["*skip*"])(members(files))] == ["d/a.html"]
    assert list(html_pages("d/a*")(members(files))) == [("d/a.html", "a\n")]


def test_c4_pages_are_empty_where_the_rules_drop_them():
    files = {"a.html": SENTENCE * 5, "b.html": SENTENCE, "c.html": SENTENCE * 5}
    found = dict(c4_pages("*.html", skip=["c*"])(members(files)))
    assert found == {"a.html": "This line has more than five words.\n" * 5, "b.html": ""}


def test_chapters_become_a_book_in_the_order_of_their_numbers():
    files = {f"ch{i}.txt": f"chapter {i}" for i in (10, 9, 1)}
    assert list(joined(plain_files("*.txt"), "book")(members(files))) == [("book", "chapter 1\n\nchapter 9\n\nchapter 10\n")]  # fmt: skip
    assert list(joined(plain_files("*.md"), "book")(members(files))) == []
    paths = ["a2b10", "a2b9", "a10", "b", "a"]
    assert sorted(paths, key=numbers_as_numbers) == ["a", "a2b9", "a2b10", "a10", "b"]


def test_source_files_stay_as_they_are():
    files = {
        "p/a.py": "x = 1  \n\n\n\n",
        "p/B.PY": "y",
        "p/binary.c": b"a\0b",
        "p/late.c": b"a" * 4096 + b"\0",
        "p/a.png": "no",
        "p-1.dist-info/top.txt": "no",
        "q/a.py": "no",
        "p/test/a.py": "no",
    }
    found = dict(source_code("p*", skip=["*/test/*"])(members(files)))
    assert found == {"p/a.py": "x = 1  \n\n\n\n", "p/B.PY": "y", "p/late.c": "a" * 4096}
    assert list(source_code(suffixes=["png"])(members(files))) == [("p/a.png", "no")]


def test_an_extractor_can_travel_to_another_process():
    for extract in (plain_files("*"), html_pages("*"), c4_pages("*"), source_code(), joined(plain_files("*"), "x")):
        assert list(pickle.loads(pickle.dumps(extract))(members({}))) == []
