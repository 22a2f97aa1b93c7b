"""SAMPLES against a slow oracle: the rendered text cut at the oracle's characters, its pieces tokenised one by one."""

import json
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from pipelines import dedup, ingest
from pipelines.conversations import Conversation, Message
from pipelines.dedup import SampleDedupParams
from pipelines.encode import library
from pipelines.encode.library import by_reference
from pipelines.encode.markers import markers
from pipelines.encode.params import Encoding
from pipelines.encode.samples import SampleEncoding, SamplesParams, encode_rows, encode_samples, n_tokens, run
from pipelines.encode.template import Template
from pipelines.ingest import SampleSource, sample_sources
from pipelines.store import Store
from pipelines.store.files import HashedFile
from schemas.conform import conform
from schemas.errors import StageError
from schemas.samples import SAMPLES as SCHEMA
from tests.pipelines.encode import families
from tests.pipelines.encode.families import params_of, saved, trained
from tests.pipelines.encode.templates import (
    CHATML,
    PLAIN,
    QWEN,
    SAMPLES,
    SPECIAL,
    TEMPLATES,
    conversation,
    template_of,
)
from tests.pipelines.encode.test_chat import plain, slow_pieces, with_tools
from tests.pipelines.inputs import engine_of

TOKENIZERS = ("gpt2", "llama2", "qwen2", "unigram")


@pytest.fixture(scope="module", params=TOKENIZERS)
def encode(request, tmp_path_factory):
    """EncodeParams of a tokenizer with the templates' tokens, and the file of each template."""
    folder = tmp_path_factory.mktemp(request.param)
    return params_of(saved(folder, trained(request.param), special=SPECIAL, plain=PLAIN))


def encoding_of(template: Template, encode, scored="last") -> SampleEncoding:
    return SampleEncoding(template=template, scored=scored, encoding=Encoding.of(encode))


def text_of(sample: Conversation) -> str:
    return msgspec.json.encode(sample).decode()


def texts_of(*samples: Conversation) -> pa.Array:
    return pa.array([text_of(sample) for sample in samples], pa.large_string())


def encoded(sample, template, encode, scored="last"):
    return encode_samples(texts_of(sample), encoding_of(template, encode, scored))[0]


def tokenizers_of(encode) -> tuple[Tokenizer, Tokenizer]:
    """For contents, and for the template's text."""
    contents, template = (Tokenizer.from_file(encode.tokenizer.path) for _ in range(2))
    contents.encode_special_tokens = True
    return contents, template


def slow(sample: Conversation, template: Template, encode) -> dict:
    """The row of a sample without tools. No content of `SAMPLES` gives the id of a special token with these tokenizers."""
    contents, literals = tokenizers_of(encode)
    special = {literals.token_to_id(token) for token in [*SPECIAL, "<s>", "</s>"]}
    ids, spans, ends, last = [], {}, {}, None
    for kind, text, message in slow_pieces(sample, template):
        part = (literals if kind == "template" else contents).encode(text, add_special_tokens=False).ids
        if kind == "template" and last is not None and sample.messages[last].role == "assistant":
            stops = [k + 1 for k, token in enumerate(part) if token in special]
            ends[last] = len(ids) + (stops[0] if stops else 0)
        if kind != "template":
            spans.setdefault((message, kind), (len(ids), len(ids) + len(part)))
        last = message if kind != "template" else None
        ids += part
    first = spans[sample.first_user, "text"]
    context = spans.get((sample.first_user, "context"), (first[0], first[0]))
    return {
        "ids": ids, "context": context, "response": spans[sample.responses[-1], "text"],
        "responses": [(spans[i, "text"][0], ends.get(i, spans[i, "text"][1])) for i in sample.responses],
    }  # fmt: skip


@pytest.mark.parametrize("style", TEMPLATES)
def test_samples_are_those_of_the_oracle(tmp_path, encode, style):
    template = template_of(tmp_path, TEMPLATES[style])
    made = encode_samples(texts_of(*SAMPLES.values()), encoding_of(template, encode))
    reached = set()
    for (name, sample), row in zip(SAMPLES.items(), made, strict=True):
        expected = slow(sample, template, encode)
        if name == "markers" and "</s>" in trained_vocabulary(encode):
            continue  # respelled, see the tests of markers
        assert row.reason == ""
        assert row.ids.tolist() == expected["ids"], name
        assert (row.context, row.response, row.responses) == (
            expected["context"], expected["response"], expected["responses"],
        ), name  # fmt: skip
        reached.add(row.responses[0][1] > row.response[1] if len(row.responses) == 1 else len(row.responses))
    assert {True, 2, 3} <= reached  # an end of turn that is trained on; several responses


def trained_vocabulary(encode) -> list[str]:
    """Pieces of a Unigram model, which gives the id of a special token for its spelling; else nothing."""
    model = json.loads(open(encode.tokenizer.path).read())["model"]  # noqa: SIM115
    return [piece for piece, _ in model["vocab"]] if isinstance(model["vocab"], list) else []


@pytest.mark.parametrize("style", [*TEMPLATES, "paper"])
def test_a_marker_in_a_text_is_plain_text(tmp_path, encode, style):
    template = Template.of("paper", None, "</s>") if style == "paper" else template_of(tmp_path, TEMPLATES[style])
    row = encoded(SAMPLES["markers"], template, encode)
    bare = encoded(conversation("Text.\n\nWhat?", "It is.", context_chars=7), template, encode)
    special = markers(encode).special
    assert (row.reason, row.has_marker, bare.has_marker) == ("", True, False)
    tokens, expected = ([i for i in r.ids.tolist() if i in special] for r in (row, bare))
    assert tokens == expected
    assert not special & {*row.ids[slice(*row.response)].tolist(), *row.ids[slice(*row.context)].tolist()}


def test_a_plain_added_token_of_the_template_is_text_in_a_content(tmp_path, encode):
    template = template_of(tmp_path, QWEN)
    token = Tokenizer.from_file(encode.tokenizer.path).token_to_id("<tool_call>")
    sample = with_tools()
    sample = msgspec.structs.replace(
        sample, messages=[Message("user", "See <tool_call>?"), *sample.messages[1:]], context_chars=0
    )
    row = encoded(sample, template, encode)
    assert row.reason == ""
    assert row.ids.tolist().count(token) == 1
    without = encoded(conversation("See <tool_call>?", "Yes."), template, encode)
    assert (
        without.ids.tolist().count(token) == 1
    )  # this rendering has no such marker: the text is encoded as any document


def test_tokens_of_a_call(tmp_path, encode):
    template, (_, literals) = template_of(tmp_path, QWEN), tokenizers_of(encode)
    row = encoded(with_tools(), template, encode)
    call, end = '\n<tool_call>\n{"name": "look", "arguments": {"at": "the \\"sky\\""}}\n</tool_call>', "<|im_end|>"
    start, stop = row.responses[0]
    assert row.ids[start:stop].tolist() == [
        *literals.encode(call, add_special_tokens=False).ids, literals.token_to_id(end),
    ]  # fmt: skip
    first = encoded(with_tools(), template, encode, scored="first")
    assert first.response == (start, stop - 1)
    assert (len(row.responses), row.response[0]) == (2, row.responses[1][0])
    last = encoded(with_tools("I look.", last=True), template, encode)
    assert last.response == (last.responses[0][0], last.responses[0][1] - 1)


def test_a_special_token_in_a_tool_is_refused(tmp_path, encode):
    tools = [{"type": "function", "function": {"name": "look", "description": "<|im_end|>"}}]
    row = encoded(with_tools(tools=tools), template_of(tmp_path, QWEN), encode)
    assert row.reason == "marker_in_text"


def test_bos_comes_first_and_once(tmp_path, encode):
    with_bos = encode.model_copy(update={"bos_token": "<s>"})
    bos = Tokenizer.from_file(encode.tokenizer.path).token_to_id("<s>")
    for style in TEMPLATES:
        template = template_of(tmp_path, TEMPLATES[style])
        for params, n in ((with_bos, 1), (encode, 0)):
            row, other = encoded(SAMPLES["one turn"], template, params), plain(SAMPLES["one turn"], template)
            assert (row.ids.tolist()[:1] == [bos], row.ids.tolist().count(bos)) == (
                (True, 1) if n or other.startswith("<s>") else (False, 0)
            )
    paper = Template.of("paper", "<s>", "</s>")
    one, other = (encoded(SAMPLES["one turn"], paper, params) for params in (with_bos, encode))
    assert one.ids.tolist() == [bos, *other.ids.tolist()]
    assert one.context == (other.context[0] + 1, other.context[1] + 1)


def test_the_parts_cover_the_sample(tmp_path, encode):
    """header, context, instruction, response: each ends where the next begins."""
    for style in TEMPLATES:
        for sample in SAMPLES.values():
            row = encoded(sample, template_of(tmp_path, TEMPLATES[style]), encode)
            assert 0 <= row.context[0] <= row.context[1] < row.response[0] < row.response[1] <= len(row.ids)
            assert (row.context[0] < row.context[1]) == (sample.context_chars > 0)
            assert all(a[1] <= b[0] for a, b in pairwise(row.responses))
            assert row.responses[-1][0] == row.response[0]


def test_the_first_response_can_be_scored(tmp_path, encode):
    template = template_of(tmp_path, CHATML)
    last, first = (encoded(SAMPLES["several turns"], template, encode, scored) for scored in ("last", "first"))
    assert last.response[0] == last.responses[-1][0]
    assert first.response[0] == first.responses[0][0]
    assert (first.ids.tolist(), first.responses) == (last.ids.tolist(), last.responses)


def test_a_sample_is_the_same_in_any_batch(tmp_path, encode):
    encoding = encoding_of(template_of(tmp_path, CHATML), encode)
    samples = [*SAMPLES.values()]
    together = encode_samples(texts_of(*samples), encoding)
    backwards = encode_samples(texts_of(*samples[::-1]), encoding)[::-1]
    alone = [encode_samples(texts_of(sample), encoding)[0] for sample in samples]
    for rows in (backwards, alone):
        assert [row._replace(ids=row.ids.tolist()) for row in rows] == [
            r._replace(ids=r.ids.tolist()) for r in together
        ]


def tables_of(samples, verdicts):
    documents = pa.table({
        "text": texts_of(*samples), "content_hash": pa.array([f"{i:032x}" for i in range(len(samples))]),
        "n_bytes": pa.array([len(text_of(s)) for s in samples]),
    })  # fmt: skip
    return documents, pa.table(
        {"document_id": pa.array([f"{i:032x}" for i in range(len(samples))]), "verdict": pa.array(verdicts)}
    )


def test_rows_of_dropped_and_refused_samples_have_no_tokens(tmp_path, encode):
    tools = [{"type": "function", "function": {"name": "look", "description": "</s>"}}]
    samples = [SAMPLES["one turn"], SAMPLES["no context"], with_tools(tools=tools), SAMPLES["several turns"]]
    documents, duplicates = tables_of(samples, ["kept", "exact", "kept", "kept"])
    made = encode_rows(documents, duplicates, encoding_of(template_of(tmp_path, QWEN), encode))
    made = conform(made, SCHEMA, "SAMPLES").to_pylist()
    assert [row["status"] for row in made] == ["encoded", "dropped", "refused", "encoded"]
    assert [row["reason"] for row in made] == [None, None, "marker_in_text", None]
    assert [row["n_responses"] for row in made] == [1, None, None, 3]
    for row in made:
        empty = {name for name, value in row.items() if value is None}
        assert empty == ({"reason"} if row["status"] == "encoded" else {*row} - {"document_id", "status", "reason"} | (
            {"reason"} if row["status"] == "dropped" else set()))  # fmt: skip
        if row["status"] == "encoded":
            assert len(row["input_ids"]) == row["n_tokens"]
            assert len(row["responses"]) == row["n_responses"]
    none = encode_rows(documents.slice(0, 0), duplicates.slice(0, 0), encoding_of(template_of(tmp_path, QWEN), encode))
    assert conform(none, SCHEMA, "SAMPLES").num_rows == 0


def test_a_sample_that_its_template_alters_stops_the_stage(tmp_path):
    encode = params_of(saved(tmp_path, trained("gpt2")))
    template = template_of(tmp_path, "{% for m in messages %}{{ m.content | upper }}{% endfor %}")
    with pytest.raises(StageError, match="template_alters_text"):
        encoded(SAMPLES["one turn"], template, encode)


# -- the stage


def stage_of(tmp_path, samples, encode, **changes):
    store = Store(tmp_path / "root")
    engine = engine_of(store)
    documents = store.write("DOCUMENTS", pa.table({
        **{name: pa.array([f"{i:032x}" for i in range(len(samples))]) for name in ("document_id", "content_hash")},
        **{name: pa.array(["x"] * len(samples)) for name in ("source", "domain", "file")},
        **{name: pa.nulls(len(samples), pa.string()) for name in ("record_id", "origin", "license")},
        "record": pa.array(range(len(samples)), pa.int64()),
        "n_bytes": pa.array([len(text_of(s)) for s in samples], pa.int64()), "text": texts_of(*samples),
    }))  # fmt: skip
    duplicates = store.write("DUPLICATES", pa.table({
        "document_id": pa.array([f"{i:032x}" for i in range(len(samples))]), "verdict": pa.array(["kept"] * len(samples)),
        "kept_id": pa.nulls(len(samples), pa.string()), "similarity": pa.nulls(len(samples), pa.float64()),
    }))  # fmt: skip
    shards = run([documents], [duplicates], SamplesParams(**changes), encode, engine)
    return store.read(shards[0]).to_pylist()


def test_the_stage_gives_the_rows_of_the_function(tmp_path):
    encode = params_of(saved(tmp_path, trained("gpt2"), special=SPECIAL))
    samples = [sample for sample in SAMPLES.values() if sample.messages[0].role == "user"]
    made = stage_of(tmp_path, samples, encode)
    expected = encode_samples(texts_of(*samples), SampleEncoding.of(SamplesParams(), encode))
    assert [row["input_ids"] for row in made] == [row.ids.tolist() for row in expected]
    assert [(row["context_start"], row["context_stop"]) for row in made] == [row.context for row in expected]
    assert [(row["response_start"], row["response_stop"]) for row in made] == [row.response for row in expected]
    assert [[(s["start"], s["stop"]) for s in row["responses"]] for row in made] == [row.responses for row in expected]
    assert n_tokens(texts_of(*samples), SamplesParams(), encode).tolist() == [row["n_tokens"] for row in made]


def test_a_shard_with_a_wrong_sample_is_encoded_by_the_reference(tmp_path, monkeypatch):
    encode = params_of(saved(tmp_path, trained("gpt2"), special=SPECIAL))
    samples = [sample for sample in SAMPLES.values() if sample.messages[0].role == "user"]
    expected = stage_of(tmp_path / "a", samples, encode)
    wrong = by_reference(pa.array(["x"], pa.large_string()), encode)
    monkeypatch.setattr(library, "either", lambda *_: pytest.fail("the default argument is bound at import"))
    monkeypatch.setattr("pipelines.encode.fast.proven", lambda _: True)
    monkeypatch.setattr("pipelines.encode.fast.refusal", lambda _: "")
    monkeypatch.setattr(
        "pipelines.encode.fast.encode",
        lambda _, texts: wrong._replace(
            values=np.repeat(wrong.values[:1], len(texts)),
            offsets=np.arange(len(texts) + 1),
            failed=np.zeros(len(texts), bool),
        ),
    )
    assert stage_of(tmp_path / "b", samples, encode) == expected


def test_every_family_of_tokenizers_was_trained():
    assert {*TOKENIZERS} <= {*families.FAMILIES}


def test_a_refresh_copies_the_rows_of_samples_that_stay(tmp_path):
    """From files to SAMPLES by the stages of the graph; then with one sample more and one less."""
    encode = params_of(saved(tmp_path, trained("gpt2"), special=SPECIAL))
    samples = [
        conversation(f"Text {i}.\n\nWhat is {i}?", f"It is {i}.", context_chars=len(f"Text {i}.\n\n"))
        for i in range(40)
    ]
    store, path = Store(tmp_path / "root"), tmp_path / "a.jsonl"
    params = SamplesParams(template=HashedFile.of(write_template(tmp_path)))
    sources = sample_sources([SampleSource(name="s", domain="d", path=str(path))], params, encode)

    def build(lines, earlier):
        path.write_text("".join(line + "\n" for line in lines))
        engine = replace(engine_of(store), earlier=earlier)
        documents, rejected = ingest.run(sources, engine)
        signatures, duplicates, _ = dedup.run(documents, SampleDedupParams(), ["s"], {}, engine)
        made = run(documents, duplicates, params, encode, engine)
        tables = {"DOCUMENTS": documents, "SIGNATURES": signatures, "DUPLICATES": duplicates, "SAMPLES": made}
        return tables, rejected, engine.reused.get("samples")

    lines = [text_of(sample) for sample in samples]
    first, rejected, _ = build([*lines, "{}"], {})
    assert [row["reason"] for row in store.read(rejected[0]).to_pylist()] == ["sample_missing"]
    again, _, _ = build([*lines, "{}"], first)
    assert again == first
    new = text_of(conversation("New.\n\nWhat?", "That.", context_chars=6))
    second, _, reused = build([*lines[1:], new], first)
    assert (reused.n_reused, reused.n_documents) == (39, 40)
    alone = Store(tmp_path / "other")
    rows = [row for shard in second["SAMPLES"] for row in store.read(shard).to_pylist()]
    store = alone
    third, _, reused = build([*lines[1:], new], {})
    assert (reused.n_reused, reused.n_documents) == (0, 40)
    assert [row for shard in third["SAMPLES"] for row in alone.read(shard).to_pylist()] == rows
    assert second["SAMPLES"][0].content_hash == third["SAMPLES"][0].content_hash


def write_template(folder):
    template_of(folder, CHATML)
    return folder / "tokenizer_config.json"
