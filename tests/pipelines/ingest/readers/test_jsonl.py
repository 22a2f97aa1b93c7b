"""Lines and their fields are those that slow and plain code finds, where it says they are."""

import json
import random

import pytest

from pipelines.ingest.readers import READERS, jsonl, streams
from pipelines.ingest.readers.record import REASONS, Fields, Unusable
from tests.pipelines.inputs import FIELDS, records, write_packed


def slow_lines(data: bytes) -> list[tuple[int, bytes]]:
    """(first byte, stripped line) of every line that is not blank, found one byte after another."""
    found, start = [], 0
    for i in range(len(data) + 1):
        if i == len(data) or data[i : i + 1] == b"\n":
            line = data[start:i].strip(b" \t\r").removeprefix(jsonl.BOM).strip(b" \t\r")
            if line:
                found.append((start, line))
            start = i + 1
    return found


def drawn_bytes(seed: int) -> bytes:
    r = random.Random(seed)
    pieces = [
        b"\n",
        b"\r\n",
        b"\n\n",
        b" \n",
        b"",
        b"{}",
        b'{"text": "a"}',
        b"x" * r.randrange(40),
        b"\xff\0",
        b" \t",
        b"\r",
        b"\n" + jsonl.BOM,
    ]
    start = r.choice([b"", jsonl.BOM])
    return start + b"".join(r.choice(pieces) for _ in range(r.randrange(30)))


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_lines_are_the_slow_ones_wherever_blocks_end(tmp_path, monkeypatch, suffix):
    for seed in range(150):
        data = drawn_bytes(seed)
        monkeypatch.setattr(streams, "BLOCK", 1 + seed % 9)
        monkeypatch.setattr(streams, "GZIP_FEED", 1 + seed % 13)
        monkeypatch.setattr(streams, "ZSTD_FEED", 1 + seed % 11)
        path = write_packed(tmp_path / f"a.jsonl{suffix}", data)
        assert [(r.offset, r.raw) for r in records(path)] == slow_lines(data), f"{seed=}"


def test_the_lines_the_oracle_must_reach():
    drawn = [drawn_bytes(seed) for seed in range(150)]
    assert any(not data for data in drawn)
    assert any(data.startswith(jsonl.BOM) and slow_lines(data)[:1] != [(0, data)] for data in drawn)
    assert any(not data.endswith(b"\n") and b"\r\n" in data for data in drawn)


def slow_parse(raw: bytes):
    """What is used of a record, by the standard library alone; None where it can't be used.

    A byte that is not UTF-8 becomes half of a surrogate pair, which does no harm where nobody looks.
    """
    try:
        row = json.loads(raw.decode(errors="surrogateescape"))
        text = row["text"].encode().decode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not text.strip() or "\0" in text:
        return None
    return (text.encode(), *(slow_label(row.get(key)) for key in ("id", "source", "license")))


def slow_label(value) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return "".join(f"\\u{ord(c):04x}" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in value)
    return json.dumps(int(value) if value == 17.0 else value, separators=(",", ":"))


def drawn_record(seed: int) -> bytes:
    r = random.Random(seed)
    values = [
        "a",
        "",
        " ",
        "é\n",
        "a\0",
        0,
        -7,
        10**30,
        1.5,
        17.0,
        True,
        None,
        [],
        {"a": [1]},
        "\ud800",
        "\U0001f600",
        "x" * 50,
    ]
    keys = ["text", "text", "text", "id", "source", "license", "other", "t\u00e9xt"]
    row = {r.choice(keys): r.choice(values) for _ in range(r.randrange(6))}
    if r.random() < 0.8:
        row["text"] = r.choice(values[:5] + ["some text"] * 5)
    raw = json.dumps(r.choice([row] * 9 + [[row], "text", 3]), ensure_ascii=r.random() < 0.7).encode(
        "utf-8", "surrogatepass"
    )
    if r.random() < 0.15:
        i = r.randrange(len(raw) + 1)
        raw = raw[:i] + r.choice([b"", b"\xff", b"}", b'"', b",", b"\x01", b"1"]) + raw[i + r.randrange(2) :]
    return raw


def test_the_fast_parser_finds_what_the_slow_one_finds():
    parse = READERS["jsonl"].parser(FIELDS)
    met = set()
    for seed in range(6000):
        raw = drawn_record(seed)
        try:
            found = parse(raw)
        except Unusable as why:
            found = None
            met.add(why.reason)
        got = found and (found.text, found.id, found.origin, found.license)
        assert got == slow_parse(raw), raw
    assert met <= set(REASONS)
    assert met >= {"not_json", "not_an_object", "not_utf8", "lone_surrogate", "text_missing", "text_not_string", "text_empty", "nul"}  # fmt: skip


def test_what_is_not_used_is_not_checked():
    parse = READERS["jsonl"].parser(FIELDS)
    for raw in (
        b'{"text": "a", "z": "\xff"}', b'{"text": "a", "z": "\\ud800"}', b'{"text": "a", "z": 1e999}',
        b'{"text": 1, "text": "a"}', b'{"text": "b", "text": "a"}', b'{"text": "a", "z": ' + b"[" * 300 + b"]" * 300 + b"}",
    ):  # fmt: skip
        assert parse(raw).text == b"a"


def test_fields_have_the_names_that_the_recipe_gives_them():
    parse = READERS["jsonl"].parser(Fields("content of it", None, "id", None, 1000))
    found = parse(b'{"content of it": "a", "id": 7, "origin": "no", "license": "no"}')
    assert (found.text, found.id, found.origin, found.license) == (b"a", None, "7", None)
