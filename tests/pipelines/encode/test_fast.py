import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pyarrow as pa
import pytest

from pipelines.encode import by_reference, either, encode_batch, fast, params
from pipelines.encode.hostile import hostile
from pipelines.encode.tokenizer import load
from schemas.tables import TOKENS
from tests.pipelines.encode.families import EXAMPLES, params_of, saved, trained
from tests.pipelines.encode.families import texts as real_texts
from tests.pipelines.encode.standins import StandIn, put_in_place
from tests.pipelines.encode.test_pieces import DEFAULT, random_text

TAKEN = {"gpt2", "llama3", "qwen2", "starcoder", "llama2", "gemma"}  # families that fastokens reads
needs_wheel = pytest.mark.skipif(fast.fastokens is None, reason="no wheel of fastokens for this machine")


def array(*texts):
    return pa.array(texts, pa.large_string())


@pytest.fixture
def stand_in(monkeypatch):
    """Put a stand-in in the place of fastokens for the default tokenizer."""

    real = fast.idle(DEFAULT.tokenizer)

    def put(**behaviour):
        tokenizer = StandIn(real, **behaviour)
        put_in_place(tokenizer, monkeypatch)
        fast.proven.cache_clear()
        return tokenizer

    yield put
    fast.proven.cache_clear()


@needs_wheel
def test_ids_are_those_of_the_reference(family):
    texts = array(*hostile(load(family.tokenizer)), *[text[:20_000] for text in real_texts()[:12]], random_text(3))
    expected = by_reference(texts, family)
    ids = either(texts, family)
    assert ids.values.tolist() == expected.values.tolist()
    assert ids.offsets.tolist() == expected.offsets.tolist()


@needs_wheel
@pytest.mark.parametrize("name", ["gpt2", "llama3", "qwen2", "starcoder", "llama2", "gemma", "unigram", "wordpiece"])
def test_which_families_it_reads(name, tmp_path):
    file = params_of(saved(tmp_path, trained(name))).tokenizer
    assert (fast.refusal(file) == "") is (name in TAKEN)
    if name in TAKEN:
        assert fast.IDLE[file].qsize() == 1  # it was loaded to find out, and is used
        assert fast.proven(file)
        assert fast.IDLE[file].qsize() == 1


@needs_wheel
def test_a_text_that_raises_an_error_fails_alone(stand_in):
    stand_in(raises=lambda text: "!" in text)
    texts = array("a", "b!", "c c", "!", "", "d")
    ids = fast.encode(DEFAULT.tokenizer, texts)
    assert ids.failed.tolist() == [False, True, False, True, False, False]
    assert either(texts, DEFAULT).values.tolist() == by_reference(texts, DEFAULT).values.tolist()


@needs_wheel
def test_workers_share_no_tokenizer(monkeypatch):
    in_use, most = [], []

    class Watching:
        def encode_batch_flat(self, texts, **options):
            in_use.append(self)
            most.append((len(in_use), len(set(in_use))))
            time.sleep(0.05)
            in_use.remove(self)
            return real.encode_batch_flat(texts, **options)

    real = fast.new(DEFAULT.tokenizer)
    monkeypatch.setattr(fast, "new", lambda _: Watching())
    monkeypatch.setattr(fast, "IDLE", defaultdict(SimpleQueue))
    with ThreadPoolExecutor(4) as workers:
        rows = list(workers.map(lambda _: fast.encode(DEFAULT.tokenizer, array("a whale")).values.tolist(), range(12)))
    assert rows == [at_once("a whale")] * 12
    assert max(n for n, _ in most) > 1
    assert all(n == n_distinct for n, n_distinct in most)
    assert fast.IDLE[DEFAULT.tokenizer].qsize() <= 4


def at_once(text):
    return load(DEFAULT.tokenizer).encode(text, add_special_tokens=False).ids


@needs_wheel
def test_bytes_that_the_default_vocabulary_lacks_go_through_the_reference():
    texts = array("a \x04 b", "plain", "\U00050000")
    assert fast.encode(DEFAULT.tokenizer, texts).failed.tolist() == [True, False, True]
    assert either(texts, DEFAULT).values.tolist() == by_reference(texts, DEFAULT).values.tolist()


@needs_wheel
def test_an_error_on_any_hostile_text_is_detected(stand_in):
    texts = [text for text in hostile(load(DEFAULT.tokenizer)) if text and text not in ("\x04", "\x06")]
    stand_in(errs=bool)
    assert fast.differences(DEFAULT.tokenizer) == texts
    for text in texts[::80]:
        stand_in(errs=text.__eq__)
        assert set(fast.differences(DEFAULT.tokenizer)) == {text}
        assert not fast.proven(DEFAULT.tokenizer), text
    stand_in()
    assert fast.proven(DEFAULT.tokenizer)


@needs_wheel
def test_a_process_that_is_not_proven_uses_the_reference(stand_in):
    tokenizer = stand_in(errs=lambda text: text == "don't")
    texts = array("a whale", "don't")
    assert not fast.proven(DEFAULT.tokenizer)
    n_texts = tokenizer.n_texts
    assert either(texts, DEFAULT).values.tolist() == by_reference(texts, DEFAULT).values.tolist()
    assert tokenizer.n_texts == n_texts


def test_a_machine_without_the_wheel(monkeypatch):
    """The module is imported again with fastokens hidden."""
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "fastokens", None)
    monkeypatch.setattr(params, "version", lambda name: {"tokenizers": "1"}[name] if name != "fastokens" else missing())
    try:
        importlib.reload(fast)
        assert "not installed" in fast.refusal(DEFAULT.tokenizer)
        assert params.Encoding.of(DEFAULT).fastokens is None
        texts = array("a whale", "of a time")
        assert either(texts, DEFAULT).values.tolist() == by_reference(texts, DEFAULT).values.tolist()
    finally:
        monkeypatch.undo()
        importlib.reload(fast)
        assert fast.fastokens is not None or "fastokens" not in sys.modules


def missing():
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError("fastokens")


@needs_wheel
def test_merges_dropped_at_random_are_not_dropped(tmp_path):
    """dropout is for training: each encoding would differ."""
    import json

    spec = json.loads(trained("gpt2"))
    spec["model"]["dropout"] = 0.5
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(spec))
    with_dropout = params_of(path)
    assert "at random" in fast.refusal(with_dropout.tokenizer)
    (tmp_path / "plain").mkdir()
    plain = params_of(saved(tmp_path / "plain", trained("gpt2")))
    texts = array(real_texts()[0][:5_000])
    assert either(texts, with_dropout).values.tolist() == by_reference(texts, plain).values.tolist()


def test_special_tokens_in_a_text_are_text():
    ids, reasons = encode_batch(array("a<|endoftext|>b"), DEFAULT, either)
    assert reasons.tolist() == [""]
    assert ids.values.tolist().count(0) == 1
    assert load(DEFAULT.tokenizer).decode(ids.values[:-1].tolist()) == "a<|endoftext|>b"


def test_the_tables_hold_int32():
    assert TOKENS.field("input_ids").type.value_type == pa.int32()
    assert either(array("a"), DEFAULT).values.dtype == "int32"
    assert (EXAMPLES / "tokenizer" / "tokenizer.json").is_file()
