"""Messages of a sample from its canonical text; the rest is in the stage's tests."""

import json

import numpy as np
import pytest

from pipelines.choose.messages import chosen_rows, parsed
from tests.pipelines.corpora import engine_in
from tests.sft import message_text, written

CALL = {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    ("sample", "contents", "tools"),
    [
        ({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "é"}]}, ["q", "é"], None),
        (
            {
                "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, **CALL}],
                "tools": [1],
            },
            ["q", ""],
            {"tools": [1], "messages": {"1": CALL}},
        ),
        ({"messages": [{"role": "tool", "content": "x", "name": "f"}]}, ["x"], {"messages": {"0": {"name": "f"}}}),
        ({"messages": [{"role": "user", "content": "q"}], "tools": []}, ["q"], {"tools": []}),
    ],
)
def test_a_sample_is_split_in_messages_and_the_rest(sample, contents, tools):
    messages, rest = parsed(json.dumps({**sample, "context_chars": 0}))
    assert [m["content"] for m in messages] == contents
    assert [m["role"] for m in messages] == [m["role"] for m in sample["messages"]]
    assert all(set(m) == {"role", "content"} for m in messages)
    assert (rest and json.loads(rest)) == tools
    assert parsed(message_text("q", "a", "c "))[0][0] == {"role": "user", "content": "c q"}


def test_the_rows_of_chosen_samples(tmp_path):
    row = dict.fromkeys(("why", "reason", "place", "score", "hmg", "cam", "similar_id"))
    rows = [{**row, "document_id": "a", "why": w} for w in (None, "top", None, "short")]
    store = engine_in(tmp_path).store
    (shard,) = written({"RANKS": [rows]}, store)["RANKS"]
    assert np.array_equal(chosen_rows(shard, store)["row"].to_numpy(), [1, 3])
