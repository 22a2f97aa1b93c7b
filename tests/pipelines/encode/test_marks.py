"""A text that spells EOS or BOS has their ids nowhere, and still decodes to itself."""

import json

import pyarrow as pa
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from pipelines.encode import by_reference, either, encode_batch
from pipelines.encode.marks import UNREACHABLE, rename, respell, without_pieces
from pipelines.encode.tokenizer import bos_id, eos_id, load
from tests.pipelines.encode.families import BOS, FAMILIES, params_of, saved, trained

TEXTS = ["a </s> b", "</s>", "</s></s>", "<s>x</s>", "no mark", "", "a</s>b</s >", "</ s>", "</s>\n" * 50, "1 < s > 2"]


def array(*texts):
    return pa.array(texts, pa.large_string())


def with_marks_as_text(folder, name):
    """A family's tokenizer whose marks are added tokens that are not special, or pieces of the vocabulary alone."""
    spec = json.loads(trained(name))
    if name in ("unigram", "wordpiece"):
        spec["added_tokens"] = []
    for token in spec["added_tokens"]:
        token["special"] = False
    path = folder / "marks.json"
    path.write_text(json.dumps(spec))
    return params_of(path)


@pytest.mark.parametrize("with_bos", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_marks_are_only_at_the_ends(tmp_path, name, with_bos):
    params = with_marks_as_text(tmp_path, name).model_copy(update={"bos_token": BOS if with_bos else None})
    tokenizer = load(params.tokenizer)
    ids, reasons = encode_batch(array(*TEXTS), params, either)
    for i, text in enumerate(TEXTS):
        row = ids.row(i).tolist()
        if reasons[i]:
            assert reasons[i] in ("eos_in_text", "bos_in_text") or (text in ("", " ") and reasons[i] == "no_token")
            assert row == []
            continue
        assert row.count(eos_id(params)) == 1
        assert row[-1] == eos_id(params)
        if with_bos:
            assert row.count(bos_id(params)) == 1
            assert row[0] == bos_id(params)
        plain = tokenizer.decode(row[with_bos:-1], skip_special_tokens=False)
        normal = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids, skip_special_tokens=False)
        assert plain in (text, normal)
    if name not in ("unigram", "wordpiece"):
        assert list(reasons) == [""] * len(TEXTS)


@pytest.mark.parametrize("name", ["llama3", "llama2", "gemma"])
def test_the_text_did_yield_marks(tmp_path, name):
    """Guards the test above."""
    params = with_marks_as_text(tmp_path, name)
    assert by_reference(array("a </s> b"), params).rows_with(eos_id(params)).tolist() == [0]


def vocabulary_unigram(folder, *, with_parts):
    """ "</s>" is a piece of a Unigram vocabulary, as in T5 and XLM-R."""
    pieces = [("</s>", -1.0), ("<unk>", -20.0), ("▁", -3.0), ("a", -2.0), ("b", -2.0)]
    pieces += [(character, -4.0) for character in "</s>"] if with_parts else []
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return params_of(saved(folder, tokenizer))


def test_a_piece_of_a_unigram_vocabulary(tmp_path):
    params = vocabulary_unigram(tmp_path, with_parts=True)
    texts = array("a</s>b", "ab", "</s> a </s>")
    assert by_reference(texts, params).rows_with(0).tolist() == [0, 2]
    ids, reasons = encode_batch(texts, params, either)
    assert list(reasons) == [""] * 3
    assert [ids.row(i).tolist().count(0) for i in range(3)] == [1, 1, 1]
    assert [load(params.tokenizer).decode(ids.row(i)[:-1].tolist()) for i in range(3)] == texts.to_pylist()
    assert ids.row(1).tolist() == [*load(params.tokenizer).encode("ab").ids, 0]


def test_a_text_that_cannot_be_spelled_otherwise_is_refused(tmp_path):
    params = vocabulary_unigram(tmp_path, with_parts=False)
    ids, reasons = encode_batch(array("a</s>b", "ab", "x"), params, either)
    assert list(reasons) == ["eos_in_text", "", ""]  # "x" is <unk>, with or without the piece
    assert ids.lengths.tolist()[0] == 0


@pytest.mark.parametrize("unknown", ["<unk>", "</s>"])
def test_a_word_of_a_word_level_vocabulary(tmp_path, unknown):
    tokenizer = Tokenizer(models.WordLevel({"</s>": 0, "<unk>": 1, "a": 2, "<s>": 3}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    params = params_of(saved(tmp_path, tokenizer), bos_token="<s>")
    ids, reasons = encode_batch(array("a </s>", "a a", "a <s>", "what"), params, either)
    refused = "eos_in_text" if unknown == "</s>" else ""
    assert list(reasons) == ["eos_in_text", "", "bos_in_text", refused]
    assert ids.row(1).tolist() == [3, 2, 2, 0]


def test_a_merge_that_makes_the_mark(tmp_path):
    """A BPE may also merge its way to the mark; longer pieces keep their other merges."""
    vocabulary = {piece: k for k, piece in enumerate(["</s>", "<", "/", "s", ">", "</", "s>", "a"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("<", "/"), ("s", ">"), ("</", "s>")]))
    tokenizer.decoder = decoders.Fuse()
    params = params_of(saved(tmp_path, tokenizer))
    assert by_reference(array("a</s>"), params).values.tolist() == [7, 0]
    ids, reasons = encode_batch(array("a</s>", "a"), params, either)
    assert list(reasons) == ["", ""]
    assert ids.values.tolist() == [7, 5, 6, 0, 7, 0]


def test_a_file_without_a_decoder(tmp_path):
    """Its decode puts spaces between tokens, also between those of one word."""
    tokenizer = Tokenizer.from_str(trained("llama2"))
    spec = json.loads(tokenizer.to_str()) | {"decoder": None}
    for token in spec["added_tokens"]:
        token["special"] = False
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(spec))
    ids, reasons = encode_batch(array("a </s> b", "</s>"), params_of(path), either)
    assert list(reasons) == ["", ""]
    assert [ids.row(i).tolist().count(eos_id(params_of(path))) for i in range(2)] == [1, 1]


def test_other_added_tokens_keep_their_ids(tmp_path):
    """Their ids follow from the number of those before them, so the mark is renamed and not removed."""
    tokenizer = Tokenizer.from_str(trained("llama3"))
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in ("<end>", "<tool>")])
    params = params_of(saved(tmp_path, tokenizer), eos_token="<end>")
    tool = load(params.tokenizer).token_to_id("<tool>")
    ids, _ = encode_batch(array("x<end>y<tool>z"), params, either)
    assert tool in ids.values
    assert ids.values.tolist().count(eos_id(params)) == 1
    assert without_pieces(params.tokenizer, ("<end>",)).token_to_id(UNREACHABLE.format(0)) == eos_id(params)


def test_a_tokenizer_that_cannot_be_changed_refuses_the_text(tmp_path, monkeypatch):
    params = with_marks_as_text(tmp_path, "llama3")
    monkeypatch.setattr("pipelines.encode.marks.without_pieces", lambda *_: None)
    ids, reasons = encode_batch(array("a </s> b", "a"), params, either)
    assert list(reasons) == ["eos_in_text", ""]
    assert ids.lengths.tolist()[0] == 0


def test_ids_without_marks_are_untouched(tmp_path):
    params = params_of(saved(tmp_path, trained("llama3")))
    ids = by_reference(array("a </s> b"), params)  # special: taken as text
    same, reasons = respell(array("a </s> b"), ids, params)
    assert same is ids
    assert reasons == {}


def test_unknown_text_is_no_mark():
    model = {"vocab": [["</s>", 0.0], ["a", 0.0]], "unk_id": 0}
    rename(model, {"</s>": "?"})
    assert model == {"vocab": [["?", 0.0], ["a", 0.0]], "unk_id": None}
    model = {"vocab": [["</s>", 0.0], ["a", 0.0]], "unk_id": 1}
    rename(model, {"</s>": "?"})
    assert model["unk_id"] == 1
