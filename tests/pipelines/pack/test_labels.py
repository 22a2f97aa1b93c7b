"""Labels of packed samples, against code that looks at every token."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines import choose, pack
from pipelines.choose import ChooseParams
from pipelines.pack import PackParams
from pipelines.pack.labels import Responses
from pipelines.rows import IGNORED
from schemas.errors import SchemaError
from tests.pipelines.corpora import ENCODE, engine_in, rows_of
from tests.sft import joined, random_rows, written


def two_responses(rows):
    """Every third sample has a second response: its tokens 0 to 1, before the header ends, and one in the middle."""
    for shard in rows["SAMPLES"]:
        for row in shard[::3]:
            if row["status"] == "encoded" and row["response_start"] > 4:
                row["responses"] = [{"start": 0, "stop": 1}, {"start": 2, "stop": 3}, *row["responses"]]
                row["n_responses"] = 3
    return rows


def packed(root, sequence_tokens, rows=None, **params):
    """(samples by id, rows of SFT_SEQUENCES)."""
    rows, engine = rows or two_responses(random_rows(0)), engine_in(root)
    tables = written(rows, engine.store)
    choice = ChooseParams(top=1.0, by="random", max_similarity=None, short_sources=("tips",), short_share=0.2)
    made = choose.run(tables, choice, 1_300, engine)
    packing = PackParams(sequence_tokens=sequence_tokens, **params)
    shards = pack.run_sft(tables["SAMPLES"], made["DRAWS"], ENCODE, packing, engine)
    assert pack.run_sft(tables["SAMPLES"], made["DRAWS"], ENCODE, packing, engine.look()) == shards
    samples = {sample["DOCUMENTS"]["document_id"]: sample["SAMPLES"] for sample in joined(rows)}
    drawn = {row["document_id"] for row in rows_of(engine.store, made["DRAWS"])}
    return {name: samples[name] for name in drawn}, rows_of(engine.store, shards)


PACKINGS = [
    ({"packer": "best_fit"}, 1_500),
    ({"packer": "in_order"}, 1_500),
    ({"packer": "concat"}, 100),
    ({"packer": "concat"}, 7),
]


@pytest.mark.parametrize(("params", "sequence_tokens"), PACKINGS, ids=str)
def test_labels_are_the_responses_tokens(tmp_path, params, sequence_tokens):
    samples, rows = packed(tmp_path, sequence_tokens, **params)
    n_loss = 0
    for row in rows:
        expected = []
        for s in row["segments"]:
            own = samples[s["document_id"]]
            for k in range(s["document_start"], s["document_stop"]):
                trained = any(span["start"] <= k < span["stop"] for span in own["responses"])
                expected.append(own["input_ids"][k] if trained else IGNORED)
        assert row["labels"] == expected
        n_loss += sum(label != IGNORED for label in expected)
    assert n_loss == sum(span["stop"] - span["start"] for s in samples.values() for span in s["responses"])


def test_a_cut_sample_begins_inside_a_response(tmp_path):
    """Guards the test above: concat cuts, also between two tokens of a response."""
    samples, rows = packed(tmp_path, 100, packer="concat")
    cuts = [s for row in rows for s in row["segments"] if s["document_start"] > 0]
    assert any(s["document_start"] > samples[s["document_id"]]["responses"][-1]["start"] for s in cuts)
    assert any(len(samples[s["document_id"]]["responses"]) > 1 for s in cuts)


def test_pads_and_markers_have_no_label(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "pad_ids", lambda *_: [5])
    _, rows = packed(tmp_path, 1_504, pad_documents_to=16)
    assert any(s["n_pad"] for row in rows for s in row["segments"])
    for row in rows:
        for stop, s in zip(row["cu_seqlens"][1:], row["segments"], strict=True):
            assert row["labels"][stop - s["n_pad"] : stop] == [IGNORED] * s["n_pad"]
        assert len(row["labels"]) == len(row["input_ids"]) == row["n_tokens"]


def test_other_responses_are_packed_again(tmp_path):
    rows = random_rows(0)
    _, first = packed(tmp_path, 1_500, rows)
    _, second = packed(tmp_path, 1_500, two_responses(rows))
    assert [row["input_ids"] for row in first] == [row["input_ids"] for row in second]
    assert [row["labels"] for row in first] != [row["labels"] for row in second]


def test_a_sample_without_tokens_is_refused(tmp_path):
    engine = engine_in(tmp_path)
    tables = written(random_rows(0), engine.store)
    row = next(row for row in rows_of(engine.store, tables["SAMPLES"]) if row["status"] == "dropped")
    for name in (row["document_id"], "nobody"):
        with pytest.raises(SchemaError, match=f"DRAWS: {name}: no such sample in SAMPLES"):
            Responses.of(pa.chunked_array([[name]]), tables["SAMPLES"], engine.store)


def test_the_parts_of_spans_inside_a_piece():
    responses = Responses(pa.chunked_array([["a", "b"]]), np.array([0, 2, 3]), np.array([2, 8, 0]), np.array([5, 9, 3]))
    assert list(responses.inside(0, 3, 9)) == [(3, 5), (8, 9)]
    assert list(responses.inside(0, 5, 8)) == []
    assert list(responses.inside(1, 0, 2)) == [(0, 2)]
