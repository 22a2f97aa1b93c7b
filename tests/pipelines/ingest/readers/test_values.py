"""A label of any type becomes text, and a text is joined of fields that are there."""

import json

import pytest

from pipelines.ingest.readers import READERS
from pipelines.ingest.readers.record import Fields, Unusable
from pipelines.ingest.readers.values import label, listed, names_in, shown, value_at


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), ("", None), ("a", "a"), ("é", "é"), (" ", " "), (0, "0"), (-7, "-7"), (10**30, str(10**30)),
        (True, "true"), (False, "false"), (1.5, "1.5"), (17.0, "17"), (-0.0, "0"), (2.0**53, str(2**53)), (1e300, "1e+300"),
        (float("nan"), "NaN"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity"),
        ([], "[]"), ({}, "{}"), ({"$oid": "5f"}, '{"$oid":"5f"}'), ({"b": 1, "a": [None, "é"]}, '{"a":[null,"é"],"b":1}'),
        ("a\0b", "a\\u0000b"), ("aé\ud800", "aé\\ud800"), ("caf\udce9", "caf\\udce9"), (["\ud800"], '["\\ud800"]'),
    ],
)  # fmt: skip
def test_a_label_of_any_type_is_text(value, expected):
    assert label(value) == expected


def parse(raw: bytes, **changes):
    fields = Fields(
        **{"text": "text", "id": "id", "origin": None, "license": None, "max_record_bytes": 9999, **changes}
    )
    return READERS["jsonl"].parser(fields)(raw)


def why_not(raw: bytes, **changes) -> str:
    with pytest.raises(Unusable) as error:
        parse(raw, **changes)
    return f"{error.value.reason}: {error.value.detail}"


JSON_VALUES = {
    "1.5": "1.5", "17.0": "17", "NaN": "NaN", "-Infinity": "-Infinity", "1e999": "Infinity", "true": "true", "[]": "[]",
    '{"$oid": "5f"}': '{"$oid":"5f"}', '["x", 1]': '["x",1]', "9" * 5000: "9" * 5000, '"a\\u0000"': "a\\u0000",
    '"\\ud800"': "\\ud800", "null": None, '""': None, "7": "7", '"\\u00e9"': "é", "-0.0": "0",
}  # fmt: skip


@pytest.mark.parametrize("value", JSON_VALUES)
def test_no_type_of_json_costs_a_text(value):
    raw = b'{"text": "a", "id": %b}' % value.encode()
    for text in ("text", ("text", "more")):
        found = parse(raw, text=text)
        assert (found.text, found.id) == (b"a", JSON_VALUES[value])


def test_bytes_that_are_not_utf8_cost_a_text_only_inside_of_it():
    assert parse(b'{"text": "a", "id": "caf\xe9"}').id == "caf\\udce9"
    assert why_not(b'{"text": "caf\xe9"}') == "not_utf8: byte 0xe9 at 13 of the record"


# -- fields by their names


def test_a_dotted_name_leads_into_objects_and_a_field_of_that_name_wins():
    row = {"a": {"b": {"c": 1}, "b.c": 2, "d": None}, "a.b": {"x": 3}, "e": [4]}
    assert [value_at(row, name) for name in ("a.b.x", "a.b.c", "a.d", "e")] == [3, 2, None, [4]]
    assert value_at({**row, "a.b.c": 5}, "a.b.c") == 5
    for name in ("a.x", "e.b", "b", "a.b.c.d", ".", ""):
        assert not isinstance(value_at(row, name), int | list | dict | None)


def test_a_text_is_joined_of_the_fields_that_have_one():
    both = {"text": ("title", "body.text")}
    for row, text in (
        ({"title": "T", "body": {"text": "B"}}, "T\n\nB"),
        ({"title": None, "body": {"text": "B"}}, "B"),
        ({"title": "", "body": {"text": "B"}}, "B"),
        ({"title": "T", "body": {}}, "T"),
        ({"title": "T", "body": 3}, "T"),
        ({"title": "T", "body": {"text": ["x", None, "", "y"]}}, "T\n\nx\n\n\n\ny"),
        ({"body": {"text": "B"}, "title": "T", "body.text": "own"}, "T\n\nown"),
    ):
        assert parse(json.dumps(row).encode(), **both).text.decode() == text, row
    assert parse(b'{"text": ["x", null, "y"]}', separator="\n").text == b"x\ny"
    assert parse(b'{"text": ["x", "y"], "id": 1.5}', separator="|").text == b"x|y"
    assert parse(b'{"m": {"id": 7}, "text": "a"}', id="m.id").id == "7"
    assert why_not(b'{"title": "", "body": {"text": " "}}', **both) == "text_empty: white space alone"
    assert why_not(b'{"title": "", "body": {"text": ""}}', **both) == "text_empty: no character"


def test_a_message_names_the_fields_that_are_there():
    assert why_not(b'{"meta": 1, "content": "a"}') == "text_missing: no field 'text'; there are content, meta"
    assert why_not(b'{"content": "b", "meta": 2}') == "text_missing: no field 'text'; there are content, meta"
    assert why_not(b"{}") == "text_missing: no field 'text', nor any other"
    assert why_not(b'{"text": null}') == "text_missing: 'text' is null"
    both = {"text": ("title", "body.text")}
    assert why_not(b'{"body": {"z": 1, "y": 2}, "a": 3}', **both) == (
        "text_missing: no field 'title' or 'body.text'; there are a, body.y, body.z"
    )
    assert why_not(b'{"title": null, "body": {"text": null}}', **both) == (
        "text_missing: 'title' and 'body.text' are null"
    )
    assert why_not(b'{"text": {"lang": "en", "body": "a"}}') == (
        "text_not_string: 'text' is an object with body, lang; name one as text.body"
    )
    assert why_not(b'{"text": {}}') == "text_not_string: 'text' is an object; wanted a string or a list of strings"
    assert why_not(b'{"text": ["a", {"b": 1}]}') == (
        "text_not_string: 'text' is a list with an object; wanted a string or a list of strings"
    )
    assert why_not(b'{"text": 3}') == "text_not_string: 'text' is an integer; wanted a string or a list of strings"


def test_names_in_a_message_are_bounded_and_in_one_line():
    assert shown("a\n\x1b[1m\ud800é") == "a\\n\\x1b[1m\\ud800é"
    assert shown("x" * 40) == "x" * 40
    assert shown("x" * 41) == "x" * 39 + "…"
    assert listed([f"n{i}" for i in range(20)]).endswith("n19")
    assert listed([f"n{i}" for i in range(22)]).endswith("n19 and 2 more")
    assert names_in({"b": {"c": 1}, "a": {"c": 1}}, ("b.x",)) == ["a", "b.c"]
    raw = json.dumps({"\ud800" * 100 + str(i): 1 for i in range(100)}).encode()
    assert len(why_not(raw).encode()) < 20 * 40 * 6 + 100
