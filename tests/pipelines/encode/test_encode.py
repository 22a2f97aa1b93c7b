"""A row of TOKENS for each document; differences between the libraries are detected."""

import hashlib
import json
import time
from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models

from pipelines import encode
from pipelines.encode import attempt, by_reference, checked, encode_rows, fast, n_tokens, notes, sample
from pipelines.encode.params import Encoding
from pipelines.encode.tokenizer import load
from schemas.errors import StageError
from schemas.tables import TOKENS
from tests.pipelines.encode.families import params_of, saved, trained
from tests.pipelines.encode.standins import StandIn, put_in_place
from tests.pipelines.encode.test_pieces import DEFAULT, random_text

needs_wheel = pytest.mark.skipif(fast.fastokens is None, reason="no wheel of fastokens for this machine")


def documents(*texts):
    hashes = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
    return pa.table(
        {
            "text": pa.array(texts, pa.large_string()),
            "content_hash": pa.array(hashes, pa.string()),
            "n_bytes": [len(t.encode()) for t in texts],
        }
    )


def verdicts(*kept):
    ids = [f"d{i}" for i in range(len(kept))]
    return pa.table({"document_id": pa.array(ids, pa.string()), "verdict": ["kept" if k else "near" for k in kept]})


def shard(texts, kept=None, params=DEFAULT):
    columns, marks = documents(*texts), verdicts(*(kept or [True] * len(texts)))
    tokens = encode_rows(columns, marks, Encoding.of(params))
    return checked(tokens, reading(columns, marks), Encoding.of(params))


def reading(*tables):
    """Reads columns as from the shards of a store."""
    joined = pa.table({name: table[name] for table in tables for name in table.column_names})
    return lambda names, rows=None: joined.select(names) if rows is None else joined.select(names).take(rows)


def at_once(text):
    return load(DEFAULT.tokenizer).encode(text, add_special_tokens=False).ids


def test_a_row_for_each_row_and_null_where_dropped():
    table = shard(["a whale", "gone", "", "b", "\x04"], [True, False, True, True, True])
    assert table.schema.names == TOKENS.names
    rows = table.to_pylist()
    assert [row["document_id"] for row in rows] == ["d0", "d1", "d2", "d3", "d4"]
    assert [row["input_ids"] for row in rows] == [[*at_once("a whale"), 0], None, [0], [*at_once("b"), 0], None]
    assert [row["n_tokens"] for row in rows] == [len(at_once("a whale")) + 1, None, 1, 2, None]
    assert [row["status"] for row in rows] == ["encoded", "dropped", "encoded", "encoded", "refused"]
    assert [row["reason"] for row in rows] == [None, None, None, None, "no_token"]
    assert [row["fell_back"] for row in rows] == [None] * 5


def test_all_dropped_and_none():
    assert shard(["gone"], [False])["n_tokens"].to_pylist() == [None]
    assert shard(["gone"], [False])["status"].to_pylist() == ["dropped"]
    assert len(shard([])) == 0


def test_bos_and_eos(tmp_path):
    params = params_of(saved(tmp_path, trained("llama3")), bos_token="<s>")
    table = shard(["a whale", "", "<s>"], params=params)
    for row, text in zip(table["input_ids"].to_pylist(), ["a whale", "", "<s>"], strict=True):
        assert (row[0], row[-1]) == (0, 1)
        assert not {0, 1} & {*row[1:-1]}
        assert load(params.tokenizer).decode(row[1:-1], skip_special_tokens=False) == text
    assert table["decodes"].drop_null().to_pylist() == [True]
    assert n_tokens(pa.array(["a whale", ""], pa.large_string()), params).tolist() == table["n_tokens"].to_pylist()[:2]


def test_a_text_of_which_no_token_is_made_is_refused(tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "</s>": 1}, []))
    rows = shard(
        ["a", "中文", "gone", ""], [True, True, False, True], params_of(saved(tmp_path, tokenizer))
    ).to_pylist()
    assert [row["status"] for row in rows] == ["encoded", "refused", "dropped", "encoded"]
    assert [row["reason"] for row in rows] == [None, "no_token", None, None]
    assert [row["input_ids"] for row in rows] == [[0, 1], None, None, [1]]


def test_batches_do_not_matter():
    texts = [random_text(seed, n) for seed, n in enumerate([0, 1, 40, 900, 3])]
    sizes = [{"batch_bytes": 10, "piece_chars": 3_000}, {"batch_bytes": 1_000_000, "piece_chars": 10**9}]
    tables = [shard(texts, params=DEFAULT.model_copy(update=size)) for size in sizes]
    assert tables[0] == tables[1]


def test_sampled_documents_that_lose_text_are_marked(tmp_path):
    texts = [f"{k} \x04 whales" for k in range(30)]
    decodes = shard(texts)["decodes"].to_pylist()
    assert decodes.count(False) == 1
    assert decodes.count(None) == 29
    lowest = min(range(30), key=lambda i: documents(*texts)["content_hash"][i].as_py())
    assert decodes[lowest] is False
    texts = [f"{k} whales" for k in range(30)]
    assert shard(texts)["decodes"].drop_null().to_pylist() == [True]
    assert set(shard(["x"], params=params_of(saved(tmp_path, trained("wordpiece"))))["decodes"].to_pylist()) == {True}


@pytest.fixture
def stand_in(monkeypatch):
    real = fast.idle(DEFAULT.tokenizer)
    monkeypatch.setattr(fast, "proven", lambda _: True)

    def put(**behaviour):
        put_in_place(StandIn(real, **behaviour), monkeypatch)

    return put


TEXTS = [random_text(seed, 40) for seed in range(400)]


@needs_wheel
def test_one_wrong_token_in_each_document_is_detected(stand_in):
    expected = shard(TEXTS)
    stand_in(errs=bool)
    table = shard(TEXTS)
    assert set(table["fell_back"].to_pylist()) == {"document"}
    assert table.drop_columns("fell_back") == expected.drop_columns("fell_back")


@needs_wheel
def test_a_wrong_document_is_detected_exactly_when_it_is_sampled(stand_in):
    expected = shard(TEXTS)
    in_sample = [i for i, decodes in enumerate(expected["decodes"].to_pylist()) if decodes is not None]
    assert len(in_sample) in (1, 2, 3)
    for row in [*in_sample, *range(0, 400, 57)]:
        stand_in(errs=TEXTS[row].__eq__)
        table = shard(TEXTS)
        assert set(table["fell_back"].to_pylist()) == ({"document"} if row in in_sample else {None})
        assert (table["input_ids"] == expected["input_ids"]) is (row in in_sample)


@needs_wheel
def test_a_process_that_is_not_proven_says_so(monkeypatch):
    monkeypatch.setattr(fast, "proven", lambda _: False)
    assert shard(["a", "b"], [True, False])["fell_back"].to_pylist() == ["hostile", None]


@needs_wheel
def test_a_document_that_only_one_library_takes_is_a_difference(stand_in):
    stand_in()
    columns, marks = documents(*TEXTS), verdicts(*[True] * 400)
    rows = encode_rows(columns, marks, Encoding.of(DEFAULT))
    refused = rows.set_column(1, "status", pa.array(["refused"] * 400))
    table = checked(refused, reading(columns, marks), Encoding.of(DEFAULT))
    assert set(table["fell_back"].to_pylist()) == {"document"}
    assert set(table["status"].to_pylist()) == {"encoded"}


def test_notes(tmp_path):
    (lost,) = notes(DEFAULT) if fast.fastokens else notes(DEFAULT)[1:]
    assert "no token for 8 byte values (04 06 13 14 16 1D F1 F2)" in lost
    assert notes(params_of(saved(tmp_path, trained("llama3")))) == [] or fast.fastokens is None
    (slow,) = notes(params_of(saved(tmp_path, trained("wordpiece"))))
    assert "1 MB of text per CPU second" in slow


BACKTRACKS = r"(a+)+b|."  # of n times "a" and no "b", 2 ** n attempts: both libraries give up


@pytest.fixture(scope="module")
def backtracking(tmp_path_factory):
    spec = json.loads(Path(DEFAULT.tokenizer.path).read_text())
    split = {"type": "Split", "pattern": {"Regex": BACKTRACKS}, "behavior": "Isolated", "invert": False}
    as_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, as_bytes]}
    path = tmp_path_factory.mktemp("backtracking") / "tokenizer.json"
    path.write_text(json.dumps(spec))
    return params_of(path, eos_token="<|endoftext|>")


def test_a_document_on_which_the_tokenizer_panics_is_refused_and_others_are_encoded(backtracking):
    rows = shard(["the whale", "a" * 40, "a" * 300_000, "bb"], params=backtracking).to_pylist()
    assert [row["status"] for row in rows] == ["encoded", "refused", "refused", "encoded"]
    assert [row["reason"] for row in rows] == [None, "tokenizer_error", "tokenizer_error", None]


@pytest.mark.parametrize("marks", [["</s>"], []])
def test_a_text_with_a_mark_on_which_the_tokenizer_panics_is_refused(backtracking, marks):
    text = "".join(["<|endoftext|>", "a" * 40, *marks])
    assert shard([text, "b"], params=backtracking)["reason"].to_pylist() == ["tokenizer_error", None]


def test_of_a_long_document_the_head_is_compared_and_decoded(monkeypatch):
    monkeypatch.setattr(sample, "HEAD_CHARS", 1_000)
    seen = []

    def counting(texts, params):
        seen.extend(texts.to_pylist())
        return by_reference(texts, params)

    monkeypatch.setattr(encode, "by_reference", counting)
    texts = [random_text(1), "short", random_text(2)[:1_000]]
    whole = shard(texts).to_pylist()
    assert all(len(text) <= 1_000 for text in seen)
    assert [row["input_ids"] for row in whole] == [[*at_once(text), 0] for text in texts]
    assert [row["decodes"] for row in whole if row["decodes"] is not None] == [True] * len(seen)
    assert len(seen) >= 1


@needs_wheel
def test_a_difference_in_the_head_of_a_long_document_sends_the_shard_through_the_reference(monkeypatch):
    monkeypatch.setattr(sample, "HEAD_CHARS", 1_000)
    real = fast.idle(DEFAULT.tokenizer)
    put_in_place(StandIn(real, errs=lambda text: text.startswith("whale")), monkeypatch)
    monkeypatch.setattr(fast, "proven", lambda _: True)
    texts = ["whale " + random_text(seed) for seed in range(3)]
    rows = shard(texts).to_pylist()
    assert {row["fell_back"] for row in rows} == {"document"}
    assert [row["input_ids"] for row in rows] == [[*at_once(text), 0] for text in texts]
    assert [row["decodes"] for row in rows if row["decodes"] is not None] == [True]


def test_the_time_of_a_shard_is_bounded_by_name(monkeypatch):
    monkeypatch.setattr(attempt, "LEAST_SECONDS", 0.05)

    def endless(texts, params):
        time.sleep(0.4)
        return by_reference(texts, params)

    columns, marks = documents("a", "b", "c"), verdicts(True, False, True)
    with pytest.raises(StageError, match="one of the 2 documents d0 to d2: "):
        encode_rows(columns, marks, Encoding.of(DEFAULT), endless)
