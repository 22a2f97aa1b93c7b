"""Malformed samples by the table: each is rejected with its reason, or becomes a sample as documented."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines.conversations import decode
from pipelines.encode import EncodeParams, SamplesParams
from pipelines.encode.template import template_named
from pipelines.ingest import sample_sources
from pipelines.ingest.readers.record import SAMPLE_REASONS, Unusable
from pipelines.ingest.samples import SampleFields, canonical, context_end
from pipelines.ingest.source import SampleSource, Source
from pipelines.store import Store
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError
from tests.pipelines.inputs import ingest_here, rows, write_rows

ENCODE = EncodeParams(tokenizer=HashedFile(path="none", hash="0"), eos_token="</s>")
U, A = {"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}
S = {"role": "system", "content": "Be kind."}
CALL = {"function": {"name": "look", "arguments": {"at": "sky"}}}
CALLS = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "blue"}
PLAIN = [("user", "What?"), ("assistant", "That.")]


def of(*messages):
    return {"messages": list(messages)}


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


TABLE = {  # fault -> the record, and its reason; or the messages that it becomes
    # the list of messages
    "no messages": ({"id": "x"}, "sample_missing"),
    "messages null": ({"messages": None}, "sample_missing"),
    "messages a string": ({"messages": "hello"}, "messages_wrong_type"),
    "messages an object": ({"messages": {"role": "user"}}, "messages_wrong_type"),
    "messages a number": ({"messages": 7}, "messages_wrong_type"),
    "messages empty": (of(), "messages_empty"),
    "two lists": ({"messages": [U, A], "conversations": [U, A]}, "fields_ambiguous"),
    "two prompts": ({"prompt": "a", "question": "b", "answer": "c"}, "fields_ambiguous"),
    "instruction without response": ({"instruction": "a", "input": "b"}, "sample_missing"),
    "response without instruction": ({"output": "a"}, "sample_missing"),
    "response null": ({"prompt": "a", "completion": None}, "sample_missing"),
    # a message
    "a message a string": (of(U, "That."), "message_wrong_type"),
    "a message null": (of(None, U, A), "message_wrong_type"),
    "a message a list": (of(U, [A]), "message_wrong_type"),
    "no role": (of({"content": "What?"}, A), "role_missing"),
    "role null": (of(U, {"role": None, "content": "That."}), "role_missing"),
    "role unknown": (of(U, {"role": "narrator", "content": "That."}), "role_unknown"),
    "role a number": (of({"role": 1, "content": "What?"}, A), "role_unknown"),
    "role empty": (of({"role": "", "content": "What?"}, A), "role_unknown"),
    "no content": (of({"role": "user"}, A), "content_missing"),
    "content null": (of(U, assistant(None)), "content_missing"),
    "content a number": (of(user(7), A), "content_wrong_type"),
    "content true": (of(U, assistant(True)), "content_wrong_type"),
    "content an object": (of(user({"text": "What?"}), A), "content_wrong_type"),
    "a field that is half a character": ({"\ud800": 1, "a\n": 2}, "sample_missing"),
    "a part of an odd type": (of(user([{"type": "\ud800\n"}]), A), "content_not_text"),
    "an image": (of(user([{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {}}]), A), "content_not_text"),
    "a part without text": (of(user([{"type": "text"}]), A), "content_not_text"),
    "a part a number": (of(user(["What?", 7]), A), "content_not_text"),
    "nested parts": (of(user([["What?"]]), A), "content_not_text"),
    "images beside": (of({**U, "images": ["a.png"]}, A), "content_not_text"),
    "reasoning": (of(U, {**A, "reasoning_content": "Hm."}), "content_not_text"),
    "empty user": (of(user(""), A), "content_empty"),
    "blank user": (of(user(" \n\t"), A), "content_empty"),
    "user of no parts": (of(user([]), A), "content_empty"),
    "empty assistant": (of(U, assistant("")), "response_empty"),
    "blank assistant": (of(U, assistant("\n\n"), U, A), "response_empty"),
    "empty completion": ({"prompt": "What?", "completion": ""}, "response_empty"),
    # the order of messages
    "two users": (of(U, U, A), "turns_not_alternating"),
    "two assistants": (of(U, A, A), "turns_not_alternating"),
    "user after a tool": (of(U, CALLS, RESULT, U, A), "turns_not_alternating"),
    "no assistant": (of(U), "response_missing"),
    "system alone": (of(S), "response_missing"),
    "assistant first": (of(A, U, A), "user_not_first"),
    "assistant after system": (of(S, A), "user_not_first"),
    "user last": (of(U, A, U), "response_not_last"),
    "tool last": (of(U, CALLS, RESULT), "response_not_last"),
    "system in the middle": (of(U, S, A), "system_not_first"),
    "two systems": (of(S, S, U, A), "system_not_first"),
    "system twice": ({"system": "Be brief.", **of(S, U, A)}, "system_not_first"),
    "tool without a call": (of(U, A, RESULT, A), "tool_without_call"),
    "tool first": (of(RESULT, U, A), "tool_without_call"),
    # tools
    "calls of a user": (of({**U, "tool_calls": [CALL]}, A), "tools_wrong_type"),
    "calls a string": (of(U, {**A, "tool_calls": "look"}), "tools_wrong_type"),
    "a call without a name": (of(U, {**A, "tool_calls": [{"function": {}}]}), "tools_wrong_type"),
    "tools an object": ({"tools": {"name": "look"}, **of(U, A)}, "tools_wrong_type"),
    "tools no JSON": ({"tools": "look()", **of(U, A)}, "tools_wrong_type"),
    # characters
    "NUL": (of(user("a\0b"), A), "nul"),
    "NUL in a call": (of(U, {**A, "tool_calls": [{"function": {"name": "f", "arguments": {"a": "\0"}}}]}), "nul"),
    "lone surrogate": (b'{"messages":[{"role":"user","content":"\\ud800"},{"role":"assistant","content":"b"}]}', "lone_surrogate"),
    "invalid UTF-8": (b'{"messages":[{"role":"user","content":"\xff"},{"role":"assistant","content":"b"}]}', "not_utf8"),
    "cut off": (b'{"messages":[{"role":"user"', "not_json"),
    "a string": (b'"What?"', "not_an_object"),
    # usable, as documented
    "an empty system prompt": (of({"role": "system", "content": ""}, U, A), PLAIN),
    "ShareGPT": ({"conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]}, PLAIN),
    "roles in capitals": (of({"role": "User", "content": "What?"}, {"role": " ASSISTANT", "content": "That."}), PLAIN),
    "parts of text": (of(user([{"type": "text", "text": "Wh"}, "at?"]), A), PLAIN),
    "prompt, completion": ({"prompt": "What?", "completion": "That."}, PLAIN),
    "lists of messages": ({"prompt": [U], "completion": [A]}, PLAIN),
    "duplicate keys": (b'{"messages":7,"messages":[{"role":"user","content":"What?"},{"role":"assistant","content":"That."}]}', PLAIN),
    "name a number": (of({**U, "name": 3}, A), PLAIN),
    "labels of odd types": ({**of(U, A), "id": {"$oid": "5f"}, "license": [1.5]}, PLAIN),
    "messages win": ({"prompt": "What", **of(U, A)}, PLAIN),
    "an empty result": (
        of(U, {**CALLS, "content": None}, {"role": "tool", "content": ""}, A),
        [("user", "What?"), ("assistant", ""), ("tool", ""), ("assistant", "That.")],
    ),
    "a call last": (of(U, CALLS), [("user", "What?"), ("assistant", "")]),
    "a system field": ({"system": "Be kind.", **of(U, A)}, [("system", "Be kind."), *PLAIN]),
}  # fmt: skip


def line_of(record):
    return record if isinstance(record, bytes) else json.dumps(record).encode()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Fault -> its row of DOCUMENTS or REJECTED; each record is a file of one line."""
    folder = tmp_path_factory.mktemp("samples")
    for i, (record, _) in enumerate(TABLE.values()):
        (folder / "in").mkdir(exist_ok=True)
        (folder / "in" / f"{i:03d}.jsonl").write_bytes(line_of(record) + b"\n")
    source = SampleSource(name="s", domain="d", path=str(folder / "in"))
    store = Store(folder / "root")
    documents, rejected = ingest_here(sample_sources([source], SamplesParams(), ENCODE), store)
    by_file = {row["file"]: row for row in [*rows(store, documents), *rows(store, rejected)]}
    return {fault: by_file[f"{i:03d}.jsonl"] for i, fault in enumerate(TABLE)}


PAPER_DROPS = ("an empty result", "a call last", "a system field")  # the paper's format has no place for them


@pytest.mark.parametrize("fault", TABLE)
def test_a_malformed_sample_by_the_table(made, fault):
    record, expected = TABLE[fault]
    parse = SampleSource(name="s", domain="d", path="x").parser("jsonl")
    if isinstance(expected, str):
        assert made[fault]["reason"] == expected, made[fault]
        assert made[fault]["detail"]
        assert "\n" not in made[fault]["detail"]
        with pytest.raises(Unusable):
            parse(line_of(record))
        return
    assert [(m.role, m.content) for m in decode(parse(line_of(record)).text).messages] == expected
    if fault in PAPER_DROPS:
        assert made[fault]["reason"] == "template_drops_text"
    else:
        assert [(m.role, m.content) for m in decode(made[fault]["text"]).messages] == expected


def test_the_table_has_fifty_faults_and_reaches_every_reason_but_the_templates():
    reasons = [expected for _, expected in TABLE.values() if isinstance(expected, str)]
    assert len(reasons) >= 50
    assert {r for r in SAMPLE_REASONS if not r.startswith("template")} <= set(reasons)


def test_the_page_lists_every_reason():
    page = (Path(__file__).parents[3] / "docs" / "samples.md").read_text()
    listed = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| `")]
    reasons = {reason.strip(" `"): meaning.strip() for reason, meaning, *_ in listed}
    assert {reason: reasons.get(reason) for reason in SAMPLE_REASONS} == SAMPLE_REASONS


# -- the canonical JSON

FIELDS = SampleFields.of({})


def test_the_canonical_text_is_json_with_its_keys_in_order():
    record = {"tools": '[{"function": {"name": "look"}}]', **of(
        S, user("Sky.\n\nWhat \u00e9?"), {**CALLS, "tool_calls": [{"id": "1", "function": {"arguments": '{"at": 1}', "name": "look"}}]},
        {"tool_call_id": "1", "name": "look", **RESULT, "extra": 1}, A,
    )}  # fmt: skip
    assert canonical(record, FIELDS).decode() == (
        '{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Sky.\\n\\nWhat é?"},'
        '{"role":"assistant","content":"","tool_calls":[{"id":"1","function":{"arguments":{"at":1},"name":"look"}}]},'
        '{"role":"tool","content":"blue","name":"look","tool_call_id":"1"},{"role":"assistant","content":"That."}],'
        '"context_chars":6,"tools":[{"function":{"name":"look"}}]}'
    )


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("What?", ""),
        ("A.\n\nWhat?", "A.\n\n"),
        ("A.\n\nB.\n\nWhat?\nNow.", "A.\n\nB.\n\n"),
        ("A.\n\n\n\nWhat?", "A.\n\n\n\n"),
        ("A.\n\nWhat?\n\n \n", "A.\n\n"),  # blank lines at the end divide nothing
        ("A.\n \t\nWhat?", "A.\n \t\n"),
        ("A.\r\n\r\nWhat?", "A.\r\n\r\n"),
        ("\n\nWhat?", ""),  # no text before the blank line
        (" \n \n\nWhat?", ""),
        ("A.\nWhat?", ""),
        ("A.\n\n  What?", "A.\n\n"),
    ],
)
def test_the_instruction_begins_after_the_last_blank_line_that_text_follows(text, context):
    assert text[: context_end(text)] == context
    sample = decode(canonical(of(S, user(text), A), FIELDS))
    assert (sample.context, sample.context + sample.instruction) == (context, text)


@pytest.mark.parametrize(
    ("record", "context", "instruction"),
    [
        ({"instruction": "Sum up.\n\nNow.", "input": "Long.", "output": "x"}, "Long.\n\n", "Sum up.\n\nNow."),
        ({"instruction": "Sum up.", "input": "", "output": "x"}, "", "Sum up."),
        ({"instruction": "Long.\n\nSum up.", "input": " ", "output": "x"}, "Long.\n\n", "Sum up."),
        ({"context": "Long.", "question": "Who?", "answer": "x"}, "Long.\n\n", "Who?"),
        ({"input": "Long.", "instruct": "Who?", "response": "x"}, "Long.\n\n", "Who?"),
        ({"prompt": "Long.\n\nWho?", "completion": "x"}, "Long.\n\n", "Who?"),
        ({"prompt": [S, user("Who?")], "completion": [A], "context": "Long."}, "Long.\n\n", "Who?"),
    ],
)
def test_a_context_of_its_own_comes_before_the_instruction(record, context, instruction):
    sample = decode(canonical(record, FIELDS))
    assert (sample.context, sample.instruction) == (context, instruction)


def test_fields_that_the_recipe_names():
    record = {"context": "Long.", "input": "Who?", "answers": "x", "messages": "ignored", "output": "y"}
    named = SampleFields.of({"instruction": "input", "response": "answers"})
    sample = decode(canonical(record, named))
    assert (sample.context, sample.instruction, sample.messages[-1].content) == ("Long.\n\n", "Who?", "x")
    chat = SampleFields.of({"messages": "chat"})
    assert decode(canonical({"chat": [U, A], "messages": 7, "prompt": "no"}, chat)).messages[0].content == "What?"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "body"}, "belongs to a mix of documents"),
        ({"format": "text"}, "has no messages"),
        ({"messages": "m", "response": "r"}, "messages excludes"),
        ({"instruction": "m", "response": "m"}, "named for two parts"),
        ({"template": "x"}, "Extra inputs"),
    ],
)
def test_a_source_that_makes_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        SampleSource(name="s", domain="d", path="x", **changes)


# -- the readers

RECORDS = [
    {"id": f"r{i}", "license": "mit", "length": 7, "messages": [S, user(f"Text {i} é.\n\nWhat?"), assistant(f"A{i}.")]}
    for i in range(5)
]


def columns(records):
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("name", pa.string())]))
    return {
        "id": pa.array([r["id"] for r in records]),
        "license": pa.array([r["license"] for r in records]),
        "messages": pa.array([r["messages"] for r in records], kind),
        "length": pa.array([7] * len(records)),
    }


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "a.arrow"])
def test_every_format_gives_the_same_samples(tmp_path, name):
    path, data = tmp_path / "in" / name, b"".join(json.dumps(r).encode() + b"\n" for r in RECORDS)
    path.parent.mkdir()
    if name.endswith((".parquet", ".arrow")):
        write_rows(path, columns(RECORDS))
    else:
        pack = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(path.suffix, bytes)
        path.write_bytes(pack(data))
    source = SampleSource(name="s", domain="d", path=str(path.parent), license_field="license")
    store = Store(tmp_path / "root")
    documents, rejected = ingest_here(source, store)
    made = rows(store, documents)
    assert not rows(store, rejected)
    assert [row["text"].encode() for row in made] == [canonical(record, FIELDS) for record in RECORDS]
    assert {row["license"] for row in made} == {"mit"}
    assert len({row["document_id"] for row in made}) == 5


def test_rows_of_a_table_are_rejected_one_by_one(tmp_path):
    bad = [{**RECORDS[0], "messages": m} for m in (None, [], [U], [U, {"role": "bot", "content": "x"}])]
    write_rows(tmp_path / "in" / "a.parquet", columns([*RECORDS, *bad]))
    store = Store(tmp_path / "root")
    documents, rejected = ingest_here(SampleSource(name="s", domain="d", path=str(tmp_path / "in")), store)
    assert len(rows(store, documents)) == 5
    reasons = [row["reason"] for row in rows(store, rejected)]
    assert reasons == ["sample_missing", "messages_empty", "response_missing", "role_unknown"]


def test_a_nested_string_that_is_not_utf8_is_rejected_and_its_neighbours_stay(tmp_path):
    kind = pa.list_(pa.struct([("role", pa.binary()), ("content", pa.binary())]))
    values = [[{"role": m["role"].encode(), "content": m["content"].encode()} for m in (U, A)] for _ in range(3)]
    values[1][0]["content"] = b"\xff"
    pq.write_table(pa.table({"messages": pa.array(values, kind)}), tmp_path / "a.parquet")
    store = Store(tmp_path / "root")
    documents, rejected = ingest_here(SampleSource(name="s", domain="d", path=str(tmp_path / "a.parquet")), store)
    assert [row["record"] for row in rows(store, documents)] == [0, 2]
    assert [(row["record"], row["reason"]) for row in rows(store, rejected)] == [(1, "not_utf8")]


@pytest.mark.parametrize("name", ["a.parquet", "a.txt"])
def test_a_source_without_samples_is_a_mistake_of_the_recipe(tmp_path, name):
    if name == "a.txt":
        (tmp_path / name).write_text("text")
    else:
        write_rows(tmp_path / name, {"text": pa.array(["a"])})
    with pytest.raises(RecipeError, match=r"set the source's messages, or its instruction and response"):
        ingest_here(SampleSource(name="s", domain="d", path=str(tmp_path / name)), Store(tmp_path / "root"))


# -- templates


def test_what_a_template_does_not_write_as_it_is_is_rejected_with_the_reason(tmp_path):
    template = tmp_path / "chat_template.jinja"
    template.write_text(
        "{% for m in messages %}{% if m.content == 'raise?' %}{{ raise_exception('no') }}{% endif %}"
        "{% if m.role != 'system' %}[{{ m.content | replace('cat', 'dog') | trim }}]{% endif %}"
        "{% if m.content == 'twice' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    lines = [
        of(U, A),
        of(S, U, A),
        of(user("a cat"), A),
        of(user("raise?"), A),
        of(user("twice"), A),
        of(user(" x "), A),
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    samples = SamplesParams(template=template_named(tmp_path, "chat_template.jinja"))
    source = SampleSource(name="s", domain="d", path=str(tmp_path / "a.jsonl"))
    store = Store(tmp_path / "root")
    documents, rejected = ingest_here(sample_sources([source], samples, ENCODE), store)
    assert [row["record"] for row in rows(store, documents)] == [0, 5]  # white space at the ends may be trimmed
    assert [(row["record"], row["reason"]) for row in rows(store, rejected)] == [
        (1, "template_drops_text"), (2, "template_alters_text"), (3, "template_error"), (4, "template_alters_text"),
    ]  # fmt: skip


def test_another_template_gives_another_key_and_the_path_of_the_source_does_not(tmp_path):
    source = SampleSource(name="s", domain="d", path="a")
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    file = template_named(tmp_path, ".")
    keys = [sample_sources([s], p, ENCODE)[0].key() for s, p in [
        (source, SamplesParams()), (source, SamplesParams(template=file)), (source.model_copy(update={"path": "b"}), SamplesParams()),
    ]]  # fmt: skip
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]
    assert keys[1]["template"]["file"]["hash"] == file.hash
    assert "template" not in Source(name="s", domain="d", path="a").key()
