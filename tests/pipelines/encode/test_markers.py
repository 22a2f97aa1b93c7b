import json

import pytest
from tokenizers import Tokenizer

from pipelines.encode.markers import call_end, literal, markers, unknown_token
from tests.pipelines.encode.families import params_of, saved, trained
from tests.pipelines.encode.templates import PLAIN, SPECIAL


@pytest.fixture(scope="module", params=["gpt2", "unigram"])
def encode(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return params_of(saved(folder, trained(request.param), special=SPECIAL, plain=[*PLAIN, "\n\n"]))


def test_special_tokens_and_added_ones(encode):
    tokenizer = Tokenizer.from_file(encode.tokenizer.path)
    known = markers(encode)
    assert known.special == {tokenizer.token_to_id(token) for token in [*SPECIAL, "<s>", "</s>"]}
    assert {*known.added.values()} == {*SPECIAL, *PLAIN, "<s>", "</s>"}  # not white space, not <unk>
    assert known.pattern.search("a<|im_end|>b")
    assert not known.pattern.search("a<tool_call>|im_end|b")


def test_eos_that_is_a_piece_of_the_vocabulary_alone(tmp_path, encode):
    spec = json.loads(open(encode.tokenizer.path).read())  # noqa: SIM115
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] != "</s>"]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(spec))
    params = params_of(path)
    eos = Tokenizer.from_file(str(path)).token_to_id("</s>")
    assert literal("</s>", params).ids.tolist() == [eos]
    assert literal("x</s>", params).n_end == len(literal("x</s>", params).ids)


def test_the_end_of_a_turn_is_the_first_special_token(encode):
    text = literal(" \n<|im_end|>\n<|im_start|>user\n", encode)
    end = Tokenizer.from_file(encode.tokenizer.path).token_to_id("<|im_end|>")
    assert text.ids[text.n_end - 1] == end
    assert end not in text.ids[: text.n_end - 1]
    assert literal("no token", encode).n_end == 0


def test_markers_of_a_plain_text(encode):
    assert literal("<s>[INST] <|im_end|>user\n\n ### Response: ", encode).plain == (
        "[INST]",
        "### Response:",
    ) or literal("<s>[INST] <|im_end|>user\n\n ### Response: ", encode).plain == ("[INST]", "user\n\n ### Response:")
    assert literal("<|im_start|>assistant\n", encode).plain == ()
    assert {mark.token for mark in literal("<s>a<tool_call>\n\n", encode).marks} == {"<s>", "<tool_call>"}


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("{call}<|im_end|>\n", "{call}"),
        ("{call}<|im_end|></s>", "{call}<|im_end|>"),
        ("<|im_start|>{call}\n", "<|im_start|>{call}"),  # the special token does not end it
        ("{call} ", "{call}"),
        ("{call}", "{call}"),
    ],
)
def test_where_a_call_ends(encode, text, call):
    assert text[: call_end(text, encode)] == call


def test_the_token_of_unknown_text(tmp_path):
    assert unknown_token(params_of(saved(tmp_path, trained("unigram")))) == "<unk>"
    assert unknown_token(params_of(saved(tmp_path, trained("llama2")))) == "<unk>"
    assert unknown_token(params_of(saved(tmp_path, trained("gpt2")))) is None
