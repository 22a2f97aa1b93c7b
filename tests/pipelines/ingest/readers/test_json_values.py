"""Arrays and indented objects are split as json.loads reads them, wherever blocks end."""

import json
import random

import pytest

from pipelines.ingest.readers import json_values
from pipelines.ingest.readers.json_values import Values, spans_lines
from tests.pipelines.inputs import line_of, records, write_packed

HOSTILE = ['"', "\\", "{", "}", "[", "]", ",", "\n", "a", "é", "\u2028", "\\\\", '\\"', "]}", " ", "\U0001f600"]


def hostile_value(r: random.Random, depth: int = 0) -> object:
    kind = r.randrange(7 if depth < 4 else 4)
    if kind < 3:
        return "".join(r.choices(HOSTILE, k=r.randrange(9)))
    if kind == 3:
        return r.choice([1, -2.5e9, True, None, "", [], {}])
    if kind == 4:
        return [hostile_value(r, depth + 1) for _ in range(r.randrange(4))]
    return {"".join(r.choices(HOSTILE, k=3)): hostile_value(r, depth + 1) for _ in range(r.randrange(4))}


def split(data: bytes, size: int, max_bytes: int = 1 << 20) -> list[tuple[int, bytes]]:
    """The values that are not blank, with their offsets, of data in blocks of `size` bytes."""
    values, out = Values(max_bytes), []
    for start in range(0, len(data), size):
        out += values.split(data[start : start + size])
    out.append((values.offset, values.value))
    kept = [json_values.record_of(value, "f", offset) for offset, value in out]
    return [(record.offset, record.raw) for record in kept if record]


SEEDS = range(60)


def test_an_array_is_split_as_json_reads_it():
    for seed in SEEDS:
        r = random.Random(seed)
        elements = [hostile_value(r) for _ in range(r.randrange(6))]
        data = json.dumps(elements, indent=r.choice([None, None, 1, "\t"]), ensure_ascii=r.random() < 0.5).encode()
        for size in (1, 2, 3, 7, len(data) or 1):
            made = split(data, size)
            assert [json.loads(raw) for _, raw in made] == elements, f"{seed=} {size=}"
            assert all(data[offset : offset + len(raw)] == raw for offset, raw in made), f"{seed=} {size=}"


def test_indented_objects_one_after_another_are_split():
    for seed in SEEDS:
        r = random.Random(seed)
        objects = [{"x": hostile_value(r), "y": i} for i in range(r.randrange(1, 5))]
        data = "\n".join(json.dumps(o, indent=2) for o in objects).encode()
        for size in (1, 5, len(data)):
            assert [json.loads(raw) for _, raw in split(data, size)] == objects, f"{seed=} {size=}"


def test_the_cases_the_splitter_must_reach():
    drawn = [json.dumps([hostile_value(random.Random(seed)) for _ in range(3)]) for seed in SEEDS]
    for part in ('\\"', "\\\\", "[]", "{}", "]}", "[[", "[{"):
        assert any(part in data for data in drawn), part


def test_an_array_by_lines_and_what_follows_it(tmp_path):
    lines = [line_of(i) for i in range(4)]
    array = b"[\n" + b",\n".join(lines[:3]) + b"\n]\n"
    path = write_packed(tmp_path / "a.json.gz", b"\xef\xbb\xbf" + array + lines[3] + b"\n" + array)
    assert [r.raw for r in records(path)] == [*lines, *lines[:3]]


def test_what_is_no_value_is_a_record_of_its_line():
    data = b'[\n{"a": 1}\ngarbage\n{"a": 2},\n"x" 3\n]\n{"a": 3}\nmore [1]\n]\n'
    expected = [b'{"a": 1}', b"garbage", b'{"a": 2}', b'"x" 3', b'{"a": 3}', b"more [1]", b"]"]
    for size in (1, 6, 1000):
        assert [raw for _, raw in split(data, size)] == expected


def test_a_missing_quote_costs_one_element():
    lines = [b'{"text": "a"}', b'{"text": "b}', b'{"text": "c\\', b'{"text": "d"}']
    for size in (1, 4, 1000):
        made = [raw for _, raw in split(b"[" + b",\n".join(lines) + b"\n]", size)]
        assert (made[0], made[-1]) == (lines[0], lines[-1])
        assert made[1].startswith(lines[1])
        assert len(made) == 4


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"[", True), (b"\xef\xbb\xbf [\n{", True), (b'[{"a": 1}]', True), (b'[{"a": 1}]\n', True), (b"{\n", True),
        (b"{ \t\r\n", True), (b'["a"]\n{"text": "b"}', False), (b'["a"]\n\n["b"]', False), (b'{"a": 1}\n', False), (b"", False),
        (b"text [", False),
    ],
)  # fmt: skip
def test_which_files_span_lines(head, expected):
    assert spans_lines(head) == expected


def test_an_array_cut_anywhere_keeps_its_whole_elements(tmp_path):
    data = json.dumps([{"text": f"a {i}"} for i in range(6)]).encode()
    for stop in range(2, len(data)):
        *kept, last = records(write_packed(tmp_path / "a.json", data[:stop]))
        assert [json.loads(r.raw)["text"] for r in kept] == [f"a {i}" for i in range(len(kept))]
        assert data[:stop].count(b"}") == len(kept)
        assert (last.fault.reason if last.fault else last.raw[:1]) in ("truncated_json", b"{"), stop


def test_an_element_that_is_too_large_is_measured_and_not_kept():
    big = b'{"text": "' + b"[," * 50_000 + b'"}'
    values, faults = Values(1000), []
    for start in range(0, len(big) + 15, 999):
        for offset, value in values.split((b'[{"a":1},' + big + b",{}]")[start : start + 999]):
            record = json_values.record_of(value, "f", offset)
            faults += [record.fault] if record and record.fault else []
        assert sum(map(len, values.value.pieces)) < 70_000
    (fault,) = faults
    assert (fault.reason, fault.n_bytes) == ("too_large", len(big))


class Counted(bytes):
    """Bytes that count how many of them are copied out of slices."""

    n_copied = 0

    def __getitem__(self, key):
        part = super().__getitem__(key)
        if isinstance(key, slice):
            Counted.n_copied += len(part)
        return part


def test_a_block_is_copied_no_more_than_once(monkeypatch):
    monkeypatch.setattr(Counted, "n_copied", 0)
    block = Counted(b"[" + b",".join([b'{"a": [1, {"b": "c\\n"}]}'] * 1_000) + b"]")
    assert sum(1 for _ in Values(1 << 30).split(block)) >= 1_000
    assert len(block) * 0.9 < Counted.n_copied <= len(block)
