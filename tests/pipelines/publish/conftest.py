"""A sound set of instruction samples, as publish sees it."""

from pathlib import Path

import pytest

from pipelines.catalog import materialise
from pipelines.recipe import load
from tests.schemas import sft_laws
from tests.schemas.test_laws import opened

RECIPE = """
mix = "m"
[encode]
tokenizer = "{tokenizer}"
eos_token = "<|endoftext|>"
[samples]
[choose]
by = "random"
[pack]
packer = "best_fit"
sequence_tokens = 8
[[sources]]
name = "web"
domain = "web"
path = "web.jsonl"
"""
TOKENIZER = Path(__file__).parents[3] / "examples" / "tokenizer" / "tokenizer.json"


@pytest.fixture(scope="module")
def sft_recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "m.toml"
    path.write_text(RECIPE.format(tokenizer=TOKENIZER))
    return load(path)


@pytest.fixture(scope="module")
def sft_con(tmp_path_factory):
    with opened(sft_laws.sound(), tmp_path_factory.mktemp("set")) as con:
        materialise(con)
        yield con
