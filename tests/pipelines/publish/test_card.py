"""The card says what the corpus could not supply, and is Markdown with front matter for the hub."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.order import OrderParams
from pipelines.publish.card import Edition, card, marks, table
from pipelines.publish.figures import Answer
from pipelines.recipe import load
from tests.conftest import TINY
from tests.schemas.test_laws import put, reading, refuse, sound, with_path

EDITION = Edition("abc", Path("/root/datasets/tiny/abc"), ())


def written(*changes):
    tables = sound()
    for change in changes:
        change(tables)
    return card(reading(tables), load(TINY), EDITION)


def test_a_table_aligns_figures_to_the_right():
    shown = Answer(["domain", "tokens"], [["a", "1,000"]], [False, True])
    assert table(shown) == "| domain | tokens |\n| --- | ---: |\n| a | 1,000 |"


def test_the_card_of_a_budget_that_is_met():
    text = written()
    assert text.startswith('---\npretty_name: "tiny"\n')
    assert "14 tokens in 3 sequences of at most 8 tokens (58.33% filled)" in text
    assert "The budget can be met: the corpus supplies all 14 tokens." in text
    assert "shortfall" not in text
    assert "| not stated | 2 | 14 |" in text


def test_a_shortfall_is_a_sentence_and_a_table():
    text = written(
        put("TARGETS", 0, 1, target_tokens=1_012),
        put("TARGETS", 0, 0, over_share_documents=1, over_share_tokens=5),
    )
    assert "Shortfall: 1,000 of 1,014 tokens cannot be supplied and are not substituted." in text
    assert "| domain | kind | target | available | shortfall |" in text
    assert "| book | long | 1,012 | 12 | 1,000 |" in text
    assert "| book | short |" not in text
    assert "Left out by plan.max_document_share: 1 document, 5 tokens." in text


def test_what_the_plan_leaves_out_is_in_the_card():
    text = written(put("SCORES_CHEAP", 1, 1, refused="list"))
    assert "\n\nLeft out by reason: list 1 document (3 tokens).\n\nShare of a domain's tokens" in text
    assert "Left out" not in written()


def test_a_rejected_record_is_counted_at_its_source():
    text = written()
    assert "| s | 4 | 2 | 1 | 1 | 1 |" in text
    assert "\n\nRejected: 1 record (1 not_json).\n\n## Licenses" in text


def test_a_refused_document_is_counted_at_its_source():
    text = written(refuse)
    assert "| s | 5 | 3 | 1 | 1 | 2 |" in text
    assert "Rejected: 2 records (1 no_token, 1 not_json).\n\nRefused by the tokenizer: 1 document (s: 1)." in text


def test_nothing_rejected():
    assert "Rejected: none." in written(
        lambda tables: tables["REJECTED"][1].clear() or put("DOCUMENTS", 1, 1, record=1)(tables)
    )


def test_the_marks_of_a_document_are_named_with_their_ids():
    encode = load(TINY).encode
    assert encode.eos_token == "<|endoftext|>"
    end = (
        "The last token of a document is `eos_token` = `<|endoftext|>` (id 0); a segment has it if it reaches the end."
    )
    assert f"{end} There is no BOS." in written()
    both = marks(encode.model_copy(update={"bos_token": "<|im_start|>"}))
    assert both.startswith(
        "The first token of a document is `bos_token` = `<|im_start|>` (id 1), the last is `eos_token` "
    )
    assert both.endswith("Both count as tokens.")


def test_the_order_is_named_with_its_encoder_and_packer():
    text = written(with_path)
    by = "A path through related documents by `greedy_edge`, from the vectors of `encoder`, packed by `in_order`."
    assert f"## Order\n\n{by}\n\nPath: 2 documents, 0 restarts. Mean cosine" in text
    recipe = load(TINY)
    con = reading(sound())
    other = card(con, recipe.model_copy(update={"order": OrderParams()}), EDITION)
    paths = card(con, recipe.model_copy(update={"order": OrderParams(by="path")}), EDITION)
    assert (
        "## Order\n\nDocuments share a sequence by chance: they are packed in an order of hashes.\n\n## Tokens" in other
    )
    assert "by `path`, packed by `in_order`." in paths


HOSTILE = "[a](http://b.c) <script>x</script> | # y\n```\n**z**"


def test_what_data_says_is_no_markup():
    def rename(tables):
        for shard in tables["DOCUMENTS"]:
            for row in shard:
                row["license"] = HOSTILE
        for name in ("DRAWS", "TARGETS"):
            for shard in tables[name]:
                for row in shard:
                    row["domain"] = HOSTILE
        for shard in tables["DOCUMENTS"]:
            for row in shard:
                row["domain"] = HOSTILE

    tables = sound()
    rename(tables)
    notes = (f"source s: {HOSTILE} is no field",)
    con = reading(tables)
    text = card(con, load(TINY), Edition("abc", Path("/root"), notes))
    body = text.split("## Recipe")[0].split("---\n", 2)[2]
    outside = re.sub(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", re.sub(r"(?ms)^```.*?^```$", "", body))
    assert "http" in body
    assert not re.search(r"http|script|\*\*|\[a\]", outside)
    assert "## Notes on the input\n\n- source s: " in body
    assert "\nlicense: other\n" in text
    tables_ = [line for line in body.splitlines() if line.startswith("|")]
    assert {line.endswith("|") for line in tables_} == {True}


def test_the_card_has_no_section_of_notes_where_there_is_none():
    assert "Notes on the input" not in written()


def test_load_dataset_as_the_card_writes_it_works_from_any_folder(tiny, tmp_path):
    text = (tiny.folder / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert str(tiny.folder) in code
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(len(rows))"], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    n_rows = sum(pq.read_metadata(path).num_rows for path in tiny.folder.glob("sequences-*.parquet"))
    assert run.stdout.split()[-1] == str(n_rows)
