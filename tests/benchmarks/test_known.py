"""The benchmark of known dependencies, on tables whose answers are known without it."""

import json
import re
from types import SimpleNamespace

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from benchmarks.influence import known
from pipelines.gather.demonstration import content_key
from tests.conftest import TINY

TOKENIZER = Tokenizer.from_file(str(TINY.parents[1] / "examples" / "tokenizer" / "tokenizer.json"))
PARAMS = SimpleNamespace(
    segment_tokens=16, sink_tokens=4, max_response_tokens=None, short=SimpleNamespace(context_tokens=32)
)
ANSWER = "Seven green boats left before noon."
KINDS = ["far"] * 4 + ["near", "absent", "unrelated", "near"]


def sample(i, kind):
    """A sample whose answer is in the context's second segment, and its line of the truth file."""
    filler = "the quiet river runs past the old mill and the stone bridge " * 8
    tokens = TOKENIZER.encode(filler).offsets
    before = filler[: tokens[17][1]] + f" {i} "
    context = f"{before}{ANSWER}{filler[tokens[17][1] :]}\n\n"
    contents = [f"{context}What is said of {i}?", ANSWER]
    line = {
        "id": f"s{i}", "content": content_key(contents), "kind": kind, "group": f"g{i // 2}", "context_chars": len(context),
        "answer_start": len(before), "answer_stop": len(before) + len(ANSWER), "answer_starts": [len(before)],
    }  # fmt: skip
    return contents, context, line


def tables(best_segment=1):
    """A connection with eight samples; far ones gain 1 + i / 10 nats from the far context, the others little."""
    documents, samples, hmg, cam, truth = [], [], [], [], {}
    for i, kind in enumerate(KINDS):
        contents, context, line = sample(i, kind)
        ids = [[1, 2], *(TOKENIZER.encode(t).ids for t in (context, contents[0][len(context) :], ANSWER))]
        stops = np.cumsum([len(each) for each in ids]).tolist()
        n_segments = -(-len(ids[1]) // 16)
        nll = [3.0] * n_segments
        nll[best_segment if i else 0] = 0.5  # the first sample misses
        messages = [{"role": role, "content": c} for role, c in zip(("user", "assistant"), contents, strict=True)]
        key = {"shard": 0, "row": i, "document_id": f"d{i}"}
        documents.append({**key, "text": json.dumps({"messages": messages, "context_chars": len(context)})})
        samples.append(
            {**key, "status": "encoded", "n_tokens": stops[-1], "input_ids": [t for each in ids for t in each], "context_start": 2,
             "context_stop": stops[1], "response_start": stops[2], "response_stop": stops[3]}
        )  # fmt: skip
        gain = 1 + i / 10 if kind == "far" else i / 100
        hmg.append({**key, "nll_short": 1 + gain, "nll_long": 1.0, "ifd": 0.5})
        cam.append({**key, "alignment": i / 10 if kind == "far" else 0.9, "segment_nll": nll})
        truth[line["content"]] = line
    con = duckdb.connect()
    con.execute("CREATE SCHEMA tables")
    for name, rows in (("documents", documents), ("samples", samples), ("scores_hmg", hmg), ("scores_cam", cam)):
        con.register("given", pa.Table.from_pylist(rows))
        con.execute(f"CREATE TABLE tables.{name} AS FROM given")
    return con, truth


def test_the_segment_that_holds_the_answer_is_the_most_important_one():
    con, truth = tables()
    read = known.read(con, TOKENIZER, truth, PARAMS)
    assert read.hits[:4].tolist() == [0, 1, 1, 1]
    assert np.isnan(read.hits[4:]).all()
    assert known.read(tables(best_segment=2)[0], TOKENIZER, truth, PARAMS).hits[:4].tolist() == [0, 0, 0, 0]


def test_an_answer_on_a_boundary_is_held_by_the_segment_with_most_of_it():
    assert known.holders(np.arange(14, 20), 16) == [1]
    assert known.holders(np.arange(14, 18), 16) == [0, 1]
    assert known.holders(np.arange(11, 18), 16) == [0]


def test_a_tokenizer_that_gives_other_tokens_is_refused():
    con, truth = tables()
    con.execute("UPDATE tables.samples SET context_start = 3")
    with pytest.raises(ValueError, match="s0: the context has other tokens in the tables"):
        known.read(con, TOKENIZER, truth, PARAMS)


def test_samples_without_a_score_are_counted_and_left_out():
    con, truth = tables()
    con.execute("UPDATE tables.scores_hmg SET nll_long = NULL WHERE row = 4")
    con.execute("DELETE FROM tables.scores_cam WHERE row = 0")
    read = known.read(con, TOKENIZER, truth, PARAMS)
    assert (read.unread, len(read.ids)) == ({"far": 1, "near": 1}, 6)


def test_precision_is_that_of_the_kinds_at_the_top():
    con, truth = tables()
    lines = known.precision(known.read(con, TOKENIZER, truth, PARAMS), 0.5, np.random.default_rng(0))
    cells = {line.split(" | ")[0].strip("| "): [c.strip(" |") for c in line.split(" | ")[1:]] for line in lines[2:]}
    assert cells["HMG, robust"][0] == cells["HMG, official"][0] == "1.000"
    assert cells["HMG, robust"][2:] == ["4", "0", "0", "0"]
    assert cells["CAM, robust, alignment"][0] == "0.000"  # the others have the higher alignment
    assert cells["CAM, robust, difficulty"][0] == "1.000"
    assert cells["random"][0].startswith("0.5") or cells["random"][0].startswith("0.4")
    assert len(cells) == 16


def test_questions_stay_together_in_a_resample():
    group = np.array(["a", "b", "a", "c", "b", "c"])
    for rows in known.resamples(group, np.random.default_rng(0))[:50]:
        drawn = group[rows]
        assert len(rows) == 6
        assert all((drawn == g).sum() % 2 == 0 for g in "abc")
        assert {tuple(sorted(set(rows[drawn == g].tolist()))) for g in set(drawn.tolist())} <= {(0, 2), (1, 4), (3, 5)}


def test_a_choice_of_matched_lengths_has_as_many_of_each_length():
    n_tokens = np.array([500] * 6 + [3000] * 6)
    like = np.array([0, 1, 2, 7])
    fake = SimpleNamespace(ids=list(range(12)), n_tokens=n_tokens)
    choices = known.random_choices(fake, 0.3, like, np.random.default_rng(0))
    assert {((n_tokens[rows] == 500).sum(), len(rows)) for rows in choices} == {(3, 4)}
    assert len({tuple(sorted(rows.tolist())) for rows in choices}) > 50


def test_the_report_says_what_it_measured():
    con, truth = tables()
    text = known.report(known.read(con, TOKENIZER, truth, PARAMS), 0.5, "m abc")
    assert "8 samples with all scores: 4 far, 2 near, 1 absent, 1 unrelated. Without a score: none." in text
    assert "| 2K | 4 | 0.750 |" in text
    assert "at most 1.000 can be reached" in text
    costs = [int(n.replace(",", "")) for n in re.findall(r"(?:hmg|cam|both) ([\d,]+)", text.splitlines()[-1])]
    assert max(costs[:2]) < costs[2] < sum(costs[:2])  # the pass over the long context is shared
