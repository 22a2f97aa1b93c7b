"""A set of instruction samples from end to end, with a real model: what is trained on, the same bytes, a refresh."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from tokenizers import Tokenizer

from pipelines.build import build
from pipelines.build_sft import check_models
from pipelines.recipe import load
from schemas.errors import RecipeError
from tests import sft_mix
from tests.kills import SFT_KINDS, fingerprint, run_killed_at

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """(folder of the recipe, root, version) of a build by one worker."""
    folder = tmp_path_factory.mktemp("sft")
    recipe = sft_mix.loaded(folder, workers=1)
    return folder, folder / "root", build(recipe, folder / "root")


def rows_of(version, pattern):
    return [row for path in sorted(version.folder.glob(pattern)) for row in pq.read_table(path).to_pylist()]


def test_the_loss_is_over_the_responses_and_the_tokens_that_end_them(clean):
    _, _, version = clean
    tokenizer = Tokenizer.from_file(str(version.folder / "tokenizer.json"))
    answers = []
    for row in rows_of(version, "sequences-*.parquet"):
        ids, labels = np.array(row["input_ids"]), np.array(row["labels"])
        is_trained = labels != -100
        assert (labels[is_trained] == ids[is_trained]).all()
        for start, stop in zip(row["cu_seqlens"], row["cu_seqlens"][1:], strict=False):
            segment = ids[start:stop][is_trained[start:stop]]
            assert segment[-1] == tokenizer.token_to_id("</s>")
            answers.append(tokenizer.decode(segment.tolist(), skip_special_tokens=True))
    messages = rows_of(version, "messages-*.parquet")
    expected = [turn["content"] for row in messages for turn in row["messages"] if turn["role"] == "assistant"]
    assert sorted(answers) == sorted(expected)
    assert len(answers) == 8


def test_datasets_loads_both_kinds_of_files(clean):
    _, _, version = clean
    for kind, columns in (("sequences", {"input_ids", "labels", "cu_seqlens"}), ("messages", {"messages", "license"})):
        rows = load_dataset("parquet", data_files=str(version.folder / f"{kind}-*.parquet"), split="train")
        assert columns <= set(rows.column_names)
        assert len(rows) == len(rows_of(version, f"{kind}-*.parquet"))


def test_the_chosen_are_the_top_and_short_instructions(clean):
    _, _, version = clean
    messages = rows_of(version, "messages-*.parquet")
    ranks = sorted(row["rank"] for row in messages if row["why"] == "top")
    assert ranks == [1, 2, 3, 4, 5, 6]
    assert sum(row["why"] == "short" for row in messages) == 2  # a quarter of the set
    assert {row["license"] for row in messages if row["why"] == "top"} == {"CC-BY-SA"}


@pytest.mark.parametrize(
    ("when", "kind", "workers"),
    [("after", "measured values", 2), ("before", "a shard of SFT_SEQUENCES", 4)],
)
def test_a_kill_and_any_number_of_workers_leave_the_same_bytes(clean, tmp_path, when, kind, workers):
    folder, root, _ = clean
    recipe = folder / "sft.toml"
    run_killed_at(recipe, tmp_path / "root", workers, when, SFT_KINDS[kind])
    again = load(recipe).model_copy(update={"run": load(recipe).run.model_copy(update={"workers": 3})})
    build(again, tmp_path / "root")
    assert fingerprint(tmp_path / "root") == fingerprint(root)


def measured(root: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in root.glob("measured/influence/*/*/*.json")}


def test_a_refresh_runs_the_model_on_new_samples_alone(clean, tmp_path):
    folder, _, version = clean
    moved = shutil.copytree(folder, tmp_path / "moved", symlinks=True)
    before = measured(moved / "root")
    assert len(before) == 12
    sft_mix.write(moved / "long" / "c.jsonl", sft_mix.long_samples(2, 12))
    refreshed = build(
        load(moved / "sft.toml"), moved / "root", base=moved / "root" / "datasets" / "sft" / version.version
    )
    assert refreshed.is_new
    after = measured(moved / "root")
    assert len(after) == 14
    assert before.items() <= after.items()
    events = [json.loads(line) for line in (moved / "root" / "progress.jsonl").read_text().splitlines()]
    assert sum(event.get("model_tokens", 0) > 0 for event in events if event["stage"] == "measure") == 2


@pytest.mark.parametrize(
    "changed", ["top = 0.25", 'top = 0.5\nalpha = 0.3\nnormalise = "official"\ndirection = "difficulty"']
)
def test_another_choice_runs_no_model(clean, tmp_path, changed):
    folder, _, _ = clean
    moved = shutil.copytree(folder, tmp_path / "moved", symlinks=True)
    before = measured(moved / "root")
    path = moved / "sft.toml"
    path.write_text(path.read_text().replace("top = 0.5", changed))
    assert build(load(path), moved / "root").is_new
    assert measured(moved / "root") == before


def test_a_model_that_reads_other_tokens_is_refused_before_anything_is_read(tmp_path):
    path = sft_mix.recipe(tmp_path)
    text = path.read_text()
    other = sft_mix.ROOT / "examples" / "tokenizer" / "tokenizer.json"
    text = text.replace(f'tokenizer = "{sft_mix.MODEL}/model_opt_trained/tokenizer.json"', f'tokenizer = "{other}"')
    path.write_text(text.replace('eos_token = "</s>"', 'eos_token = "<|endoftext|>"'))
    with pytest.raises(RecipeError, match=r"influence\.model: .* has another vocabulary than encode\.tokenizer"):
        check_models(load(path))
    with pytest.raises(RecipeError, match="has another vocabulary"):
        build(load(path), tmp_path / "root")
    assert not (tmp_path / "root" / "shards").exists()
