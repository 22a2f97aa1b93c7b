import numpy as np
import pytest

from pipelines.encode.assembly import assembled, has_marker, marks_in, with_calls
from pipelines.encode.chat import Piece
from pipelines.encode.markers import literal
from tests.pipelines.encode.families import params_of, saved, trained
from tests.pipelines.encode.templates import PLAIN, SPECIAL, conversation


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    return params_of(saved(tmp_path_factory.mktemp("gpt2"), trained("gpt2"), special=SPECIAL, plain=PLAIN))


def test_where_the_parts_of_a_sample_are(encode):
    parts = [
        Piece("template", "<|im_start|>"), Piece("context", "c", 0), Piece("text", "x", 0), Piece("template", "<|im_end|>"),
        Piece("text", "y", 1), Piece("template", " <|im_end|>\n<|im_end|>"),
    ]  # fmt: skip
    contents = [np.arange(n, dtype=np.int32) for n in (5, 2, 3)]
    made = assembled(conversation("c\n\nx", "y", context_chars=3), parts, contents, ["", "", ""], encode, "last")
    end = literal(" <|im_end|>\n<|im_end|>", encode)
    assert (made.context, made.response, made.responses) == ((1, 6), (9, 12), [(9, 12 + end.n_end)])
    assert made.ids.tolist()[1:8] == [0, 1, 2, 3, 4, 0, 1]
    assert len(made.ids) == 12 + len(end.ids)
    assert made.reason == ""
    refused = assembled(
        conversation("c\n\nx", "y", context_chars=3), parts, contents, ["", "no_token", ""], encode, "last"
    )
    assert refused.reason == "no_token"


def test_what_ends_a_call_is_text_of_the_template(encode):
    parts = [Piece("call", "a", 1), Piece("text", "b", 1), Piece("call", "c<|im_end|>\n", 1), Piece("template", "d")]
    assert with_calls(parts, encode) == [
        Piece("call", "a", 1), Piece("text", "b", 1), Piece("call", "c", 1), Piece("template", "<|im_end|>\n"),
        Piece("template", "d"),
    ]  # fmt: skip


def test_marks_of_a_sample(encode):
    tokens = {mark.token for mark in marks_in([Piece("template", "<tool_call>a")], encode)}
    assert tokens == {*SPECIAL, "<s>", "<tool_call>"}  # all special ones; EOS is a mark anyway


def test_a_marker_is_a_special_token_or_text_of_the_template(encode):
    def marked(text: str) -> bool:
        return has_marker([Piece("template", "<s>[INST] "), Piece("text", text, 0)], encode)

    assert [marked(text) for text in ("a", "a [INST]", "a <|eot_id|>", "INST", "<tool_call>")] == [
        False,
        True,
        True,
        False,
        False,
    ]
