"""Some 700 bad inputs, as a product of faults, formats and places: each is named, its neighbours are untouched.

All of them are sources of one run, so that the run goes on is tested 700 times over. A case knows what went in from the
way it was made, never from the code under test.
"""

import builtins
import errno
import json
import os
import shutil
import socket
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from pipelines import ingest
from pipelines.ingest import raw_hashes, walking
from pipelines.ingest.readers.record import HEAD_BYTES, REASONS, SAMPLE_REASONS
from pipelines.ingest.source import Source
from pipelines.store import Store
from schemas.errors import RecipeError
from tests.pipelines.inputs import (
    engine_of,
    good_rows,
    line_of,
    packed,
    rows,
    source,
    text_hash,
    text_of,
    write_jsonl,
    write_packed,
    write_rows,
)  # fmt: skip

PLACES = {"first": 0, "middle": 2, "last": 4}  # among four good ones
LIMIT = 100_000  # max_record_bytes of every case


@dataclass
class Case:
    """One bad input: how it is made, the reasons it must be given, and the documents that must stay."""

    make: Callable[[Path], None]
    reasons: list[str]
    good: list[str]  # hashes of the texts that must be there, sorted
    path: str = ""  # of the source, under the case's folder
    some: bool = False  # a damaged stream keeps what came before the damage: some of `good`, and all of `sure`
    sure: list[str] = field(default_factory=list)
    options: dict = field(default_factory=dict)
    vanish: str = ""  # a file that is gone when it is read
    replace: str = ""  # a file that is a folder when it is read
    refuse: str = ""  # a file that the system refuses


CASES: dict[str, Case] = {}
GOOD = sorted(text_hash(text_of(i)) for i in range(4))


def places(suffix: str, turn: int) -> list[str]:
    """All three; of a packed file one, by turns: unpacking is tested apart, and files are what these tests cost."""
    return list(PLACES)[turn % 3 :][:1] if suffix else list(PLACES)


def with_one(good: list, bad: object, place: str) -> list:
    """Four good things with a bad one among them."""
    return [*good[: PLACES[place]], bad, *good[PLACES[place] :]]


# -- a bad line among good ones

J = json.dumps
LINES = {  # fault -> the line and its reason
    "latin-1": (b'{"text": "caf\xe9"}', "not_utf8"),
    "half a character": ('{"text": "caf\u00e9"}'.encode()[:-3] + b'"}', "not_utf8"),
    "surrogate in bytes": (b'{"text": "\xed\xa0\x80"}', "not_utf8"),
    "overlong": (b'{"text": "\xc0\xaf"}', "not_utf8"),
    "utf-16": ('{"text": "abc"}'.encode("utf-16-le"), "not_json"),
    "high surrogate": (b'{"text": "a \\ud800 b"}', "lone_surrogate"),
    "low surrogate": (b'{"text": "a \\udfff"}', "lone_surrogate"),
    "a list": (b'["text"]', "not_an_object"),
    "a list of objects": (b'[{"text": "a"}]', "not_an_object"),
    "a number": (b"42", "not_an_object"),
    "a string": (b'"text"', "not_an_object"),
    "null": (b"null", "not_an_object"),
    "true": (b"true", "not_an_object"),
    "no text": (b'{"txt": "a"}', "text_missing"),
    "empty object": (b"{}", "text_missing"),
    "text is null": (b'{"text": null}', "text_missing"),
    "text is a number": (b'{"text": 1}', "text_not_string"),
    "text is a list of numbers": (b'{"text": ["a", 1]}', "text_not_string"),
    "text is a list of nothing": (b'{"text": []}', "text_empty"),
    "text is an object": (b'{"text": {"en": "a"}}', "text_not_string"),
    "text is false": (b'{"text": false}', "text_not_string"),
    "text is huge": (b'{"text": ' + b"9" * 5000 + b"}", "text_not_string"),
    "empty text": (b'{"text": ""}', "text_empty"),
    "white text": (b'{"text": " \\n\\t\\u00a0"}', "text_empty"),
    "nul": (b'{"text": "a\\u0000b"}', "nul"),
    "no JSON": (b"text: a", "not_json"),
    "single quotes": (b"{'text': 'a'}", "not_json"),
    "cut off": (b'{"text": "a and th', "not_json"),
    "not closed": (b'{"text": "a"', "not_json"),
    "comma at the end": (b'{"text": "a",}', "not_json"),
    "two in a line": (b'{"text": "a"} {"text": "b"}', "not_json"),
    "raw tab": (b'{"text": "a\tb"}', "not_json"),
    "raw nul": (b'{"text": "a\0b"}', "not_json"),
    "a hole of nuls": (b"\0" * 4096, "not_json"),
    "text is NaN": (b'{"text": NaN}', "text_not_string"),
    "no constant of JSON": (b'{"text": "a", "score": nan}', "not_json"),
    "nested without end": (b'{"text": "a", "x": ' + b"[" * 90_000, "too_deep"),
    "nested deeply": (b'{"text": "a", "x": ' + b'{"a":' * 9_000 + b"1" + b"}" * 9_001, "too_deep"),
    "a list nested deeply": (b"[" * 40_000 + b"]" * 40_000, "too_deep"),
    "too large": (b'{"text": "' + b"a" * LIMIT + b'"}', "too_large"),
    "too large and no JSON": (b"\xff" * (3 << 20), "too_large"),
    "white space without end": (b" " * (LIMIT + 1) + b"x", "too_large"),
}


def add_lines() -> None:
    for suffix in ("", ".gz", ".zst"):
        for turn, (fault, (line, reason)) in enumerate(LINES.items()):
            for place in places(suffix, turn):
                lines = with_one([line_of(i) for i in range(4)], line, place)
                CASES[f"jsonl{suffix}/{fault}/{place}"] = Case(
                    lambda folder, lines=lines, suffix=suffix: write_jsonl(folder / f"a.jsonl{suffix}", lines),
                    [reason],
                    GOOD,
                )


# -- a bad row among good ones

ROWS = {  # fault -> the value of the text, the limit's place is taken by LIMIT, and its reason
    "NULL": (None, "text_missing"),
    "empty": (b"", "text_empty"),
    "white": (b" \n", "text_empty"),
    "nul": (b"a\0b", "nul"),
    "latin-1": (b"caf\xe9", "not_utf8"),
    "surrogate": (b"\xed\xa0\x80", "not_utf8"),
    "too large": (b"a" * (LIMIT + 1), "too_large"),
}  # fmt: skip


def row_file(folder: Path, name: str, texts: list, kind: pa.DataType) -> None:
    """A text column that holds what Arrow would not check: strings are made of bytes as they are."""
    plain = pa.array(texts, pa.binary())
    column = plain if kind == pa.binary() else pa.Array.from_buffers(pa.string(), len(plain), plain.buffers())
    write_rows(folder / name, {"id": pa.array([f"d{i}" for i in range(len(texts))]), "text": column})


def add_rows() -> None:
    for name, options in (("a.parquet", {}), ("data-00000-of-00001.arrow", {})):
        for kind in (pa.string(), pa.binary()):
            for fault, (value, reason) in ROWS.items():
                for place in PLACES:
                    texts = with_one([text_of(i).encode() for i in range(4)], value, place)
                    CASES[f"{name[-7:]}/{kind}/{fault}/{place}"] = Case(
                        lambda folder, n=name, t=texts, k=kind: row_file(folder, n, t, k),
                        [reason],
                        GOOD,
                        options=options,
                    )


# -- a bad text among good ones

TEXTS = {
    "empty": (b"", "text_empty"),
    "a mark alone": (b"\xef\xbb\xbf", "text_empty"),
    "white": (b"\n\n \t", "text_empty"),
    "nul": (b"a\0b", "nul"),
    "latin-1": (b"caf\xe9", "not_utf8"),
    "half of utf-16": ("abc".encode("utf-16")[:-1], "not_utf16"),
    "an image": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not_utf8"),
    "too large": (b"a" * (LIMIT + 1), "too_large"),
}


def text_files(folder: Path, suffix: str, contents: list[bytes]) -> None:
    for i, data in enumerate(contents):
        write_packed(folder / f"{i}.txt{suffix}", data)


def add_texts() -> None:
    for suffix in ("", ".gz", ".zst"):
        for turn, (fault, (data, reason)) in enumerate(TEXTS.items()):
            for place in places(suffix, turn):
                contents = with_one([text_of(i).encode() for i in range(4)], data, place)
                CASES[f"txt{suffix}/{fault}/{place}"] = Case(
                    lambda folder, c=contents, s=suffix: text_files(folder, s, c), [reason], GOOD
                )


# -- a damaged file among good ones


def window(data: bytes) -> bytes:
    params = zstandard.ZstdCompressionParameters(window_log=29)
    squeeze = zstandard.ZstdCompressor(compression_params=params).compressobj()
    return squeeze.compress(data) + squeeze.flush()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def wide_xz(data: bytes) -> bytes:
    """An xz file whose block header asks for a dictionary of 2 GiB; see 3.1 of the .xz file format."""
    n = (data[12] + 1) * 4
    assert data[14:16] == b"\x21\x01", "LZMA2, one byte of properties"
    header = data[12:16] + bytes([38]) + data[17 : 12 + n - 4]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "little") + data[12 + n :]


DAMAGE = {  # (suffix, fault) -> what becomes of a packed file, and the reason
    (".gz", "no byte"): (lambda _: b"", "truncated_gzip"),
    (".gz", "one byte"): (lambda d: d[:1], "truncated_gzip"),
    (".gz", "half"): (lambda d: d[: len(d) // 2], "truncated_gzip"),
    (".gz", "no checksum"): (lambda d: d[:-8], "truncated_gzip"),
    (".gz", "all but a byte"): (lambda d: d[:-1], "truncated_gzip"),
    (".gz", "wrong checksum"): (lambda d: flipped(d, len(d) - 6), "corrupt_gzip"),
    (".gz", "wrong length"): (lambda d: flipped(d, len(d) - 2), "corrupt_gzip"),
    (".gz", "a method that is none"): (lambda d: flipped(d, 2), "corrupt_gzip"),
    (".gz", "more after its end"): (lambda d: d + b"more", "corrupt_gzip"),
    (".gz", "half a member after its end"): (lambda d: d + d[:20], "truncated_gzip"),
    (".gz", "neither packed nor text"): (lambda _: b"\x93\0\1\2", "not_gzip"),
    (".zst", "no byte"): (lambda _: b"", "truncated_zstd"),
    (".zst", "one byte"): (lambda d: d[:1], "truncated_zstd"),
    (".zst", "half"): (lambda d: d[: len(d) // 2], "truncated_zstd"),
    (".zst", "all but a byte"): (lambda d: d[:-1], "truncated_zstd"),
    (".zst", "wrong checksum"): (lambda d: flipped(d, len(d) - 1), "corrupt_zstd"),
    (".zst", "more after its end"): (lambda d: d + b"more than that", "corrupt_zstd"),
    (".zst", "half a frame after its end"): (lambda d: d + d[:20], "truncated_zstd"),
    (".zst", "neither packed nor text"): (lambda _: b"\x93\0\1\2", "not_zstd"),
    (".zst", "a window too large"): (lambda _: window(b'{"text": "a"}\n' * 9), "zstd_window"),
    (".xz", "no byte"): (lambda _: b"", "truncated_xz"),
    (".xz", "half"): (lambda d: d[: len(d) // 2], "truncated_xz"),
    (".xz", "all but a byte"): (lambda d: d[:-1], "truncated_xz"),
    (".xz", "a flipped byte"): (lambda d: flipped(d, len(d) // 2), "corrupt_xz"),
    (".xz", "a dictionary of 2 GiB"): (wide_xz, "xz_memory"),
    (".xz", "neither packed nor text"): (lambda _: b"\x93\0\1\2", "not_xz"),
    (".bz2", "no byte"): (lambda _: b"", "truncated_bz2"),
    (".bz2", "all but a byte"): (lambda d: d[:-1], "truncated_bz2"),
    (".bz2", "a flipped byte"): (lambda d: flipped(d, len(d) - 4), "corrupt_bz2"),
    (".bz2", "neither packed nor text"): (lambda _: b"\x93\0\1\2", "not_bz2"),
}


def write_damaged(folder: Path, kind: str, suffix: str, damage: Callable[[bytes], bytes], place: str) -> None:
    """Five files of which one is damaged. It holds documents 10 to 12; the others one each."""
    names = [f"{i}.{kind}{suffix}" for i in range(5)]
    good = [line_of(i) + b"\n" if kind == "jsonl" else text_of(i).encode() for i in range(4)]
    bad = b"".join(line_of(i) + b"\n" for i in range(10, 13)) if kind == "jsonl" else text_of(10).encode()
    for i, (name, data) in enumerate(zip(names, with_one(good, bad, place), strict=True)):
        whole = packed(data, name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(damage(whole) if i == PLACES[place] else whole)


def add_damage() -> None:
    inside = [text_hash(text_of(i)) for i in range(10, 13)]
    for (suffix, fault), (damage, reason) in DAMAGE.items():
        for kind in ("jsonl", "txt"):
            for place in PLACES:
                whole = fault in ("wrong checksum", "wrong length", "no checksum", "all but a byte") and suffix == ".gz"
                kept = inside if kind == "jsonl" and (whole or "after its end" in fault) else []
                CASES[f"{kind}{suffix}/{fault}/{place}"] = Case(
                    lambda folder, k=kind, s=suffix, d=damage, p=place: write_damaged(folder, k, s, d, p),
                    [reason], GOOD + inside if kind == "jsonl" else GOOD, some=True, sure=GOOD + kept,
                )  # fmt: skip


# -- a damaged table among good ones


def clipped(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def bomb(data: bytes) -> bytes:
    """A Parquet file whose first page header says that the page decompresses to 2 GB."""
    assert (data[4], data[6]) == (0x15, 0x15), "the first two fields of the header: type and size"
    end = next(i for i in range(7, 20) if data[i] < 128)
    return data[:7] + b"\xfe\xff\xff\xff\x0f" + data[end + 1 :]


TABLES = {
    ".parquet": {
        "no byte": (lambda _: b"", "damaged_parquet"),
        "half": (clipped, "damaged_parquet"),
        "wrong magic": (lambda d: d[:-1] + b"X", "damaged_parquet"),
        "a footer of zeros": (lambda d: d[:-200] + b"\0" * 192 + d[-8:], "damaged_parquet"),
        "a broken page": (lambda d: flipped(d, 30), "damaged_parquet"),
        "a page of 2 GB": (bomb, "page_too_large"),
        "text in truth": (lambda _: line_of(1) * 9, "damaged_parquet"),
    },
    ".arrow": {
        "no byte": (lambda _: b"", "damaged_arrow"),
        "half": (clipped, "damaged_arrow"),
        "no end": (lambda d: d[:-8], "damaged_arrow"),
        "zeros": (lambda _: b"\0" * 500, "damaged_arrow"),
        "text in truth": (lambda _: line_of(1) * 9, "damaged_arrow"),
    },
}  # fmt: skip
MISFITS = {
    "no text column": ({"content": pa.array(["a"])}, "text_missing"),
    "text of numbers": ({"text": pa.array([1, 2])}, "text_not_string"),
    "text of lists": ({"text": pa.array([[1]])}, "text_not_string"),
    "text of structs": ({"text": pa.array([{"body": "a"}])}, "text_not_string"),
    "text of nothing": ({"text": pa.nulls(3)}, "text_not_string"),
}


def write_tables(
    folder: Path, suffix: str, place: str, damage: Callable[[bytes], bytes] | None, columns: dict | None
) -> None:
    """Five files of which one is damaged or of other columns. It holds documents 10 to 15."""
    for i, number in enumerate(with_one([0, 1, 2, 3], 10, place)):
        path = folder / (f"{i}{suffix}" if suffix == ".parquet" else f"data-{i:05d}-of-00005.arrow")
        bad = number == 10
        write_rows(path, columns if bad and columns else good_rows(range(10, 16) if bad else [number]))
        if bad and damage:
            path.write_bytes(damage(path.read_bytes()))


def add_tables() -> None:
    inside = [text_hash(text_of(i)) for i in range(10, 16)]
    for suffix, faults in TABLES.items():
        for place in PLACES:
            for fault, (damage, reason) in faults.items():
                sure = GOOD + (inside if fault == "no end" else [])
                CASES[f"{suffix}/{fault}/{place}"] = Case(
                    lambda folder, s=suffix, p=place, d=damage: write_tables(folder, s, p, d, None),
                    [reason], GOOD + inside, some=True, sure=sure,
                )  # fmt: skip
            for fault, (columns, reason) in MISFITS.items():
                CASES[f"{suffix}/{fault}/{place}"] = Case(
                    lambda folder, s=suffix, p=place, c=columns: write_tables(folder, s, p, None, c), [reason], GOOD
                )


# -- a file that can't be read among good ones


def bad_link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    """A socket: its path may be short only, so it is bound from its folder."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)


FILES = {
    "a link outside": (lambda path: path.symlink_to(outside(path)), "symlink_outside"),
    "a link up and outside": (bad_link("../../c0/in/a.jsonl"), "symlink_outside"),
    "a link to the system": (bad_link("/etc/passwd"), "symlink_outside"),
    "a link to a folder outside": (bad_link(".."), "symlink_outside"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "symlink_loop"),
    "a link to its folder": (bad_link("."), "symlink_loop"),
    "a link to nothing": (bad_link("nothing.jsonl"), "symlink_broken"),
    "a pipe": (fifo, "not_a_file"),
    "a socket": (bound, "not_a_file"),
    "a name that is not UTF-8": (lambda path: Path(os.fsdecode(os.fsencode(str(path))[:-len(path.name)] + path.name.encode().replace(b"-bad", b"-\xff"))).write_bytes(b"a"), "bad_file_name"),
    "gone": (lambda path: path.write_bytes(b""), "vanished_file"),
    "a folder by now": (lambda path: path.write_bytes(b""), "unreadable_file"),
    "refused": (lambda path: path.write_bytes(b""), "unreadable_file"),
}  # fmt: skip


def outside(path: Path) -> Path:
    """A good file beside the source's folder."""
    other = path.parent.parent / f"{path.parent.name} beside{path.suffix}"
    if other.suffix == ".parquet":
        return write_rows(other, good_rows([99]))
    return write_jsonl(other, [line_of(99)])


def write_files(folder: Path, suffix: str, place: str, fault: Callable[[Path], None]) -> None:
    for i, n in enumerate(sorted({0, 1, 2, 3, 4} - {PLACES[place]})):
        path = folder / f"{n}{suffix}"
        if suffix == ".parquet":
            write_rows(path, good_rows([i]))
        elif suffix == ".jsonl":
            write_jsonl(path, [line_of(i)])
        else:
            write_packed(path, text_of(i).encode())
    fault(folder / f"{PLACES[place]}-bad{suffix}")


def add_files() -> None:
    for suffix in (".jsonl", ".parquet", ".txt"):
        for fault, (make, reason) in FILES.items():
            for place, number in PLACES.items():
                bad = f"{number}-bad{suffix}"
                CASES[f"{suffix}/{fault}/{place}"] = Case(
                    lambda folder, s=suffix, p=place, m=make: write_files(folder, s, p, m), [reason], GOOD,
                    vanish=bad if fault == "gone" else "", replace=bad if fault == "a folder by now" else "",
                    refuse=bad if fault == "refused" else "",
                )  # fmt: skip


# -- others


def huge_line(folder: Path) -> None:
    """A line of 200 MB between good ones, packed to some kilobytes."""
    folder.mkdir(parents=True)
    squeeze = zstandard.ZstdCompressor().compressobj()
    with open(folder / "a.jsonl.zst", "wb") as out:
        out.write(squeeze.compress(line_of(0) + b"\n" + line_of(1) + b'\n{"text": "'))
        out.writelines(squeeze.compress(b"a" * 1_000_000) for _ in range(200))
        out.write(squeeze.compress(b'"}\n' + line_of(2) + b"\n" + line_of(3)) + squeeze.flush())


def unreadable_folder(folder: Path) -> None:
    write_files(folder, ".jsonl", "last", lambda _: write_jsonl(folder / "sub-refused" / "a.jsonl", [line_of(99)]))


def add_others() -> None:
    CASES["jsonl.zst/a line of 200 MB/middle"] = Case(huge_line, ["too_large"], GOOD)
    CASES["jsonl/a folder that is refused/last"] = Case(unreadable_folder, ["unreadable_folder"], GOOD)
    for place in PLACES:
        twice = with_one([line_of(i) for i in range(4)], line_of(1), place)
        CASES[f"jsonl/the same record twice/{place}"] = Case(
            lambda folder, t=twice: write_jsonl(folder / "a.jsonl", t), [], sorted([*GOOD, text_hash(text_of(1))])
        )
        same_id = with_one([line_of(i) for i in range(4)], J({"id": "d1", "text": "another"}).encode(), place)
        CASES[f"jsonl/the same id on two texts/{place}"] = Case(
            lambda folder, t=same_id: write_jsonl(folder / "a.jsonl", t), [], sorted([*GOOD, text_hash("another")])
        )
        blank = with_one([line_of(i) for i in range(4)], b" \t\r", place)
        CASES[f"jsonl/a blank line/{place}"] = Case(
            lambda folder, t=blank: write_jsonl(folder / "a.jsonl", t), [], GOOD
        )
        CASES[f"jsonl/an empty file/{place}"] = Case(
            lambda folder, p=place: write_files(folder, ".jsonl", p, lambda path: path.write_bytes(b"")), [], GOOD
        )
    marked = [b"\xef\xbb\xbf" + line_of(0) + b"\r", *(line_of(i) + b"\r" for i in range(1, 4))]
    CASES["jsonl/a mark, and CR LF/all"] = Case(lambda folder: write_jsonl(folder / "a.jsonl", marked), [], GOOD)
    late = with_one([line_of(i) for i in range(4)], b"\xef\xbb\xbf" + line_of(9), "middle")
    CASES["jsonl/a mark in the middle/middle"] = Case(
        lambda folder: write_jsonl(folder / "a.jsonl", late), [], sorted([*GOOD, text_hash(text_of(9))])
    )


WRONG = {  # (name, content, reason) of a file among good ones
    "a pointer of Git LFS": ("x.jsonl", b"version https://git-lfs.github.com/spec/v1\nsize 5\n", "lfs_pointer"),
    "an HTML page": ("x.jsonl", b"\n<!DOCTYPE html><p>no", "other_format"),
    "an XML error": ("x.jsonl", b'<?xml version="1.0"?><Error/>', "other_format"),
    "Parquet in truth": ("x.jsonl", b"PAR1\0\0", "other_format"),
    "an array without the end of an element": ("x.jsonl", b'[{"text": "ab"', "not_json"),
    "an array without its end": ("x.jsonl", b'[{"text": ""},', "truncated_json"),
}


def add_wrong() -> None:
    for fault, (name, content, reason) in WRONG.items():
        CASES[f"jsonl/{fault}/last"] = Case(
            lambda folder, n=name, c=content: write_files(
                folder, ".jsonl", "last", lambda _: (folder / n).write_bytes(c)
            ),
            ["text_empty", reason] if reason == "truncated_json" else [reason],
            GOOD,
        )
    for fault, row in (
        ("a short row", b"d9\n"),
        ("a long row", b"d9,web,a,b\n"),
        ("quotes without end", b'd9,web,"a\n'),
    ):
        CASES[f"csv/{fault}/last"] = Case(lambda folder, r=row: write_csv(folder, r), ["csv_columns"], GOOD)


def write_csv(folder: Path, last: bytes) -> None:
    rows = "".join(f'd{i},web,"{text_of(i)}"\n' for i in range(4)).encode()
    write_packed(folder / "a.csv", b"id,source,text\n" + rows + last)


for add in (add_lines, add_rows, add_texts, add_damage, add_tables, add_files, add_others, add_wrong):
    add()


# -- one run over all of them


@dataclass
class Made:
    documents: dict[str, list[dict]]
    rejected: dict[str, list[dict]]
    pairs: list[tuple[int, int, set]]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    """Every case is a source; one run ingests them all. In memory where there is room: these are 8,000 small files."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
    with tempfile.TemporaryDirectory(dir=memory if roomy else tmp_path_factory.mktemp("bad")) as top:
        return made_under(Path(top))


def made_under(top: Path) -> Made:
    sources = []
    for i, case in enumerate(CASES.values()):
        folder = top / f"c{i}" / "in"
        case.make(folder)
        sources.append(source(folder, name=f"c{i}", origin="source", license_field="license", max_record_bytes=LIMIT))
    store = Store(top / "root")
    with pytest.MonkeyPatch.context() as patch:
        break_files(patch)
        documents, rejected = ingest.run(sources, engine_of(store))
    assert len(documents) == len(rejected)
    found = Made({s.name: [] for s in sources}, {s.name: [] for s in sources}, [])
    for d, r in zip(documents, rejected, strict=True):
        here, there = rows(store, [d]), rows(store, [r])
        found.pairs.append((len(here), len(there), {row["record"] for row in here + there}))
        for row in here:
            found.documents[row["source"]].append(row)
        for row in there:
            found.rejected[row["source"]].append(row)
    return found


def break_files(patch: pytest.MonkeyPatch) -> None:
    """What happens to files between the listing and the reading, and what root would be allowed all the same."""
    hashed, scandir = ingest.with_hashes, os.scandir
    cases = {f"c{i}": case for i, case in enumerate(CASES.values())}

    def later(files, engine):
        for file in files:
            path = Path(file.path)
            case = cases[path.parent.parent.name] if path.parent.name == "in" else Case(None, [], [])
            if path.name == case.vanish:
                path.unlink()
            if path.name == case.replace:
                path.unlink()
                path.mkdir()
        return hashed(files, engine)

    def refusing(path, *args, **options):
        parts = Path(path).parts if isinstance(path, str | Path) else ()
        if len(parts) > 3 and parts[-1] == cases.get(parts[-3], Case(None, [], [])).refuse:
            raise PermissionError(errno.EACCES, "refused", str(path))
        return builtins.open(path, *args, **options)

    def scanning(path):
        if isinstance(path, str) and path.endswith("sub-refused"):
            raise PermissionError(errno.EACCES, "refused", str(path))
        return scandir(path)

    patch.setattr(os, "fsync", lambda _: None)  # nothing crashes here, and a thousand shards are written
    patch.setattr(ingest, "with_hashes", later)
    patch.setattr(raw_hashes, "open", refusing, raising=False)
    patch.setattr(walking.os, "scandir", scanning)


@pytest.mark.parametrize(("i", "name"), enumerate(CASES), ids=CASES)
def test_a_bad_input_is_named_and_its_neighbours_stay(made, i, name):
    case, key = CASES[name], f"c{i}"
    kept = sorted(row["content_hash"] for row in made.documents[key])
    assert [row["reason"] for row in made.rejected[key]] == case.reasons
    if case.some:
        assert set(case.sure) <= set(kept) <= set(case.good)
        assert len(kept) == len(set(kept))
    else:
        assert kept == sorted(case.good)
    for row in made.documents[key]:
        assert row["content_hash"] == text_hash(row["text"])
    for row in made.rejected[key]:
        assert row["detail"]
        assert "\n" not in row["detail"]
        assert "/" not in row["detail"].replace("and/or", "")  # no place of this machine
        assert len(row["head"]) <= HEAD_BYTES
        if row["n_bytes"] is not None and row["n_bytes"] <= HEAD_BYTES:
            assert (len(row["head"]), row["record_hash"]) == (row["n_bytes"], text_hash(row["head"]))


def test_records_in_are_documents_and_rejected(made):
    """Their places in a shard are 0 to n - 1, each taken once."""
    assert made.pairs
    for n_documents, n_rejected, places in made.pairs:
        assert places == set(range(n_documents + n_rejected))


def test_how_many_bad_inputs_there_are(capsys):
    faults = {name.rpartition("/")[0] for name in CASES}
    with capsys.disabled():
        print(f" {len(CASES)} bad inputs of {len(faults)} kinds ", end="")
    assert len(CASES) >= 200
    reached = {reason for case in CASES.values() for reason in case.reasons}
    elsewhere = {*SAMPLE_REASONS, "unpacks_too_far", "too_many_rejected"}  # in test_samples.py and test_limits.py
    assert reached == set(REASONS) - elsewhere


def test_the_page_lists_every_reason():
    page = (Path(__file__).parents[3] / "docs" / "ingest.md").read_text()
    listed = [
        line.strip("|").split("|")
        for line in page.partition("| reason |")[2].partition("\n#")[0].splitlines()[2:]
        if line[:1] == "|"
    ]
    assert {reason.strip(" `"): said.strip() for reason, said in listed} == {
        reason: meaning for reason, meaning in REASONS.items() if reason not in SAMPLE_REASONS
    }


def test_the_huge_line_was_measured_and_not_held(made):
    key = f"c{list(CASES).index('jsonl.zst/a line of 200 MB/middle')}"
    (row,) = made.rejected[key]
    assert row["n_bytes"] == 200_000_000 + len('{"text": ""}')
    assert len(row["head"]) == HEAD_BYTES
    assert row["record"] == 2


# -- what is refused before anything is read


def test_nothing_of_a_refused_recipe_is_read(tmp_path):
    """One line each: the place, the finding, the remedy."""
    write_jsonl(tmp_path / "both" / "a.jsonl", [line_of(1)])
    write_packed(tmp_path / "both" / "a.txt", b"a")
    write_packed(tmp_path / "other" / "a.md", b"a")
    write_packed(tmp_path / "plain", b"a")
    (tmp_path / "none").mkdir()
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.jsonl").symlink_to(tmp_path / "both" / "a.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    write_rows(tmp_path / "rows" / "a.parquet", {"content": pa.array(["a"])})
    write_rows(tmp_path / "numbers" / "a.parquet", {"text": pa.array([1])})
    write_rows(tmp_path / "saved" / "data-00000-of-00001.arrow", {"content": pa.array(["a"])})
    shutil.copytree(tmp_path / "saved", tmp_path / "escape")
    (tmp_path / "escape" / "state.json").write_text(
        J({"_data_files": [{"filename": "../saved/data-00000-of-00001.arrow"}]})
    )
    shutil.copytree(tmp_path / "saved", tmp_path / "picked")
    (tmp_path / "picked" / "state.json").write_text(
        J({"_data_files": [], "_indices_data_files": [{"filename": "i.arrow"}]})
    )
    shutil.copytree(tmp_path / "saved", tmp_path / "torn")
    (tmp_path / "torn" / "state.json").write_text('{"_data_f')
    refused = {
        ("missing", None): "no such file or folder; correct the path",
        ("missing/*.jsonl", None): "no such file or folder; correct the path",
        ("both/*.md", None): r"no files with a known suffix; found none; correct",
        ("both", "parquet"): r"no parquet files; found \.jsonl \(1\), \.txt \(1\); correct",
        ("both", None): "contains jsonl and text files; set the source's format",
        ("other", None): r"found \.md \(1\); correct the path or set format",
        ("plain", None): r"found no suffix \(1\); correct the path or set format",
        ("none", None): "found none; correct the path or set format",
        ("loop.jsonl", None): "no file can be read; loop.jsonl: symlink_loop: leads back to itself; repair the file",
        ("outside", None): "no file can be read; a.jsonl: symlink_outside: .*; repair the file",
        ("pipe.jsonl", None): "no file can be read; pipe.jsonl: not_a_file: .*; repair the file",
        ("rows", None): r"a.parquet: no column 'text'; there are content; set the source's text to its text column",
        (
            "numbers",
            None,
        ): r"a.parquet: 'text' is of type int64; wanted a string or a list of strings; set the source's text to its text column",
        ("saved", None): r"no column 'text'; there are content; set the source's text to its text column",
        ("escape", None): r"names a file outside its folder: '\.\./saved.*'; save the dataset again",
        ("picked", None): r"selects rows by an index; call flatten_indices\(\) and save the dataset again",
        ("torn", None): r"not what save_to_disk writes \(JSONDecodeError\); save the dataset again",
        ("rows", "hf"): r"no hf files; found \.parquet \(1\); correct the path",
    }
    store = Store(tmp_path / "root")
    for (path, kind), said in refused.items():
        with pytest.raises(RecipeError, match=said) as error:
            ingest.run([source(tmp_path / path, format=kind)], engine_of(store))
        assert "\n" not in str(error.value)
    assert not (tmp_path / "root" / "shards").exists()


def test_a_source_without_a_place_is_refused():
    with pytest.raises(ValueError, match="a path or a hub id"):
        Source(name="s", domain="d")
