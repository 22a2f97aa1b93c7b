import json

import pytest
from tokenizers import Tokenizer

from pipelines.encode.tokenizer import bos_id, byte_characters, eos_id, load, lost_bytes
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError
from tests.pipelines.encode.families import params_of, saved, trained
from tests.pipelines.encode.test_pieces import DEFAULT


def test_ids_of_marks(tmp_path):
    params = params_of(saved(tmp_path, trained("llama3")), bos_token="<s>")
    assert (bos_id(params), eos_id(params), params.n_marks) == (0, 1, 2)
    params = params.model_copy(update={"bos_token": None})
    assert (bos_id(params), params.n_marks) == (None, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eos_token": "</nothing>"}, r"tokenizer.json: encode.eos_token '</nothing>' is not in its vocabulary"),
        ({"bos_token": "<nothing>"}, r"tokenizer.json: encode.bos_token '<nothing>' is not in its vocabulary"),
    ],
)
def test_marks_that_are_refused(tmp_path, changes, message):
    params = params_of(saved(tmp_path, trained("llama3"))).model_copy(update=changes)
    with pytest.raises(RecipeError, match=message):
        eos_id(params), bos_id(params)


def test_a_file_that_is_no_tokenizer(tmp_path):
    bad = tmp_path / "t.json"
    bad.write_text("{}")
    with pytest.raises(RecipeError, match=r"not a tokenizer\.json"):
        load(HashedFile.of(bad))
    with pytest.raises(RecipeError, match="can't be read"):
        HashedFile.of(tmp_path / "none.json")


def test_a_saved_truncation_cuts_no_document(tmp_path):
    tokenizer = Tokenizer.from_str(trained("gpt2"))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=50)
    ids = load(params_of(saved(tmp_path, tokenizer)).tokenizer).encode("a whale of a time, a whale").ids
    assert 3 < len(ids) < 50


def test_bytes_without_a_token(tmp_path):
    """The default tokenizer never saw 8 of the bytes of UTF-8, and 13 bytes do not occur in UTF-8."""
    assert lost_bytes(DEFAULT.tokenizer) == [4, 6, 0x13, 0x14, 0x16, 0x1D, 0xC0, 0xC1, 0xF1, 0xF2, *range(0xF5, 0x100)]
    assert lost_bytes(params_of(saved(tmp_path, trained("llama3"))).tokenizer) == []
    spec = json.loads(trained("gpt2"))
    for byte in (0x41, 0x00):
        spec["model"]["vocab"].pop(byte_characters()[byte])
    spec["model"]["merges"] = []
    path = tmp_path / "less.json"
    path.write_text(json.dumps(spec))
    assert lost_bytes(HashedFile.of(path)) == [0x00, 0x41]
    assert load(HashedFile.of(path)).encode("\x00A").ids == []
    spec["model"]["unk_token"] = "<s>"
    path.write_text(json.dumps(spec))
    assert lost_bytes(HashedFile.of(path)) == []


@pytest.mark.parametrize("name", ["llama2", "gemma", "unigram", "wordpiece"])
def test_other_models_lose_no_byte_without_a_trace(tmp_path, name):
    assert lost_bytes(params_of(saved(tmp_path, trained(name))).tokenizer) == []


def test_the_characters_of_bytes():
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(byte_characters()) == sorted(ByteLevel.alphabet())
    assert [piece for piece, _ in ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str("é \n")] == [
        "".join(byte_characters()[byte] for byte in "é \n".encode())
    ]
