"""Documents out of formats of their own: Bible modules, R data, dictionaries, nested JSON."""

import gzip
import json
import struct
import zlib

import pytest

from pipelines.gather.formats import (
    DIGITS64,
    dictd,
    factbook,
    number64,
    r_character_vectors,
    r_strings,
    summaries,
    sword,
)
from pipelines.gather.packages import PackageError
from tests.pipelines.gather.small import members


def module_of(*blocks: str | None) -> dict[str, bytes]:
    """The files of a SWORD module; None is a block without text."""
    index, streams = b"", b""
    for block in blocks:
        packed = zlib.compress(block.encode()) if block is not None else b""
        index += struct.pack("<III", len(streams), len(packed), len(block or ""))
        streams += packed
    return {"m/ot.bzs": index, "m/ot.bzz": streams, "m/ot.bzv": b"unused", "m/mods.conf": b"no"}


def test_a_block_of_a_module_is_a_document():
    verse = '<title>Ruth</title><verse osisID="Ruth.1.1" n="1">Now <note>a note\n</note>it &amp; so</verse>'
    found = list(sword(members(module_of(verse, None, "Jonah"))))
    assert found == [
        ("m/ot.bz0000", "Ruth\n\nRuth.1.1 Now it & so\n"),
        ("m/ot.bz0001", "\n"),
        ("m/ot.bz0002", "Jonah\n"),
    ]
    both = {**module_of("old"), **{k.replace("ot.", "nt."): v for k, v in module_of("new").items()}}
    assert [text for _, text in sword(members(both))] == ["new\n", "old\n"]


# -- R data


def r_vector(*strings: str | None, version: int = 3, kind: int = 16, element: int = 9) -> bytes:
    """A serialised character vector; None is NA."""
    head = b"X\n" + struct.pack(">iii", version, 0, 0) + (struct.pack(">i", 5) + b"UTF-8" if version == 3 else b"")
    body = struct.pack(">ii", kind, len(strings))
    for string in strings:
        raw = b"" if string is None else string.encode()
        body += struct.pack(">ii", element | 0x40000, -1 if string is None else len(raw)) + raw
    return head + body


def record(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + zlib.compress(value)


@pytest.mark.parametrize("version", [2, 3])
def test_strings_of_a_character_vector(version):
    assert r_strings(r_vector("one", None, "é", version=version)) == ["one", "", "é"]
    assert r_strings(r_vector(version=version)) == []


@pytest.mark.parametrize("value", [b"", b"A\n", r_vector("a", kind=13), r_vector("a", element=14)])
def test_what_is_no_character_vector(value):
    assert r_strings(value) is None


def test_character_vectors_are_named_by_their_first_lines():
    raw = record(r_vector("Pride & Prejudice!", "", "Chapter 1")) + record(r_vector("x", kind=13)) + record(r_vector("  B"))  # fmt: skip
    files = {"p/data/Rdata.rdb": raw, "p/data/other.rdb": raw}
    assert list(r_character_vectors(members(files))) == [
        ("p/data/Rdata.rdb#pride-prejudice", "Pride & Prejudice!\n\nChapter 1\n"),
        ("p/data/Rdata.rdb#b", "B\n"),
    ]


@pytest.mark.parametrize("letter", [b"2", b"Z"])
def test_another_compression_is_refused(letter):
    with pytest.raises(PackageError, match=r"p/data/Rdata\.rdb: compressed by bzip2 or xz"):
        list(r_character_vectors(members({"p/data/Rdata.rdb": struct.pack(">i", 3) + letter + b"abc"})))


# -- dictionaries


def digits64(number: int) -> str:
    alphabet = "".join(DIGITS64)
    return (digits64(number // 64) if number >= 64 else "") + alphabet[number % 64]


def test_numbers_in_base_64():
    assert [number64(digits) for digits in ("A", "B", "/", "BA", "BAA")] == [0, 1, 63, 64, 4096]
    assert all(number64(digits64(n)) == n for n in (0, 63, 64, 4095, 4096, 123_456_789))


def test_an_entry_is_a_document_whatever_leads_to_it():
    text = "about\nFOO\n  a {bar}é\nBAZ\n"
    raw = text.encode()
    at = {word: raw.index(word.encode()) for word in ("about", "FOO", "BAZ")}
    rows = [
        ("00-database-info", at["about"], 6), ("foo", at["FOO"], at["BAZ"] - at["FOO"]),
        ("foobar", at["FOO"], at["BAZ"] - at["FOO"]), ("baz", at["BAZ"], 4),
    ]  # fmt: skip
    index = "".join(f"{word}\t{digits64(start)}\t{digits64(size)}\n" for word, start, size in rows) + "broken\n"
    files = {"usr/share/dictd/f.dict.dz": gzip.compress(raw), "usr/share/dictd/f.index": index, "x/g.index": "no"}
    assert list(dictd(members(files))) == [
        (f"{at['FOO']:09d}-foo", "FOO\n  a baré\n"),
        (f"{at['BAZ']:09d}-baz", "BAZ\n"),
    ]


# -- JSON


def test_a_profile_is_text_with_headings():
    node = {"Intro": {"Background": {"text": "It is old."}}, "Land": {"area": {"total": {"text": "9"}, "rank": 3}}, "More": ["a", {"text": "b"}]}  # fmt: skip
    files = {"package/europe/xx.json": json.dumps(node), "package/meta/yy.json": "{}", "package/a.json": "{}"}
    assert list(factbook(members(files))) == [
        ("package/europe/xx.json", "# Intro\n\n## Background\nIt is old.\n\n# Land\n\n## area\ntotal:\n9\nrank:\n3\n\n# More\na\nb\n")
    ]  # fmt: skip


def test_a_summary_is_a_title_and_its_text():
    files = {"p/summaries_en-us.json": json.dumps({"k": {"title": "T", "extract": "E"}}), "p/other.json": "no"}
    assert list(summaries("*/summaries_en-us.json")(members(files))) == [("p/summaries_en-us.json#k", "T\n\nE\n")]
