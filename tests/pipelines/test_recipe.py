"""A recipe is refused before a byte of the corpus is read, with the key and the remedy in one line."""

from pathlib import Path

import pytest

from pipelines.recipe import load
from schemas.errors import RecipeError

ROOT = Path(__file__).parents[2]
TINY = (ROOT / "mixes" / "tiny.toml").read_text()


def written(tmp_path, text):
    (tmp_path / "mixes").mkdir(exist_ok=True)
    path = tmp_path / "mixes" / "r.toml"
    path.write_text(text.replace("../examples", str(ROOT / "examples")))
    return path


@pytest.mark.parametrize("name", ["128k", "slimpajama-shares", "tiny"])
def test_the_recipes_that_we_ship_are_sound(name):
    assert load(ROOT / "mixes" / f"{name}.toml").mix == name


FAULTS = {
    "an unknown key": ("sequence_tokens = 16384", "sequence_token = 16384", "pack.sequence_token: no such key; did you mean sequence_tokens?"),
    "an unknown section": ("[pack]", "[pakc]", "pakc: no such key; did you mean pack?"),
    "an unknown key of a source": ('domain = "book"', 'domian = "book"', "did you mean domain?"),
    "a missing key": ("budget_tokens = 400_000", "", "plan.budget_tokens: missing"),
    "a wrong type": ("budget_tokens = 400_000", 'budget_tokens = "many"', 'plan.budget_tokens: Input should be a valid integer, unable to parse string as an integer, not "many"'),
    "a number out of range": ("threshold = 0.7", "threshold = 1.7", "dedup.threshold:"),
    "a mix that is no folder name": ('mix = "tiny"', 'mix = "../tiny"', "mix: String should match pattern"),
    "not TOML": ("[pack]", "[pack", "not TOML"),
    "no tokenizer": ("tokenizer.json", "tokeniser.json", "encode.tokenizer: no such file"),
    "an unknown packer": ('packer = "best_fit"', 'packer = "bestfit"', "pack.packer"),
    "an EOS that is not there": ("<|endoftext|>", "</s>", "encode.eos_token '</s>' is not in its vocabulary"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named(tmp_path, old, new, said):
    assert old in TINY
    with pytest.raises(RecipeError) as error:
        load(written(tmp_path, TINY.replace(old, new, 1)))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "r.toml" in str(error.value) or "token" in str(error.value)


def test_two_sources_of_one_name(tmp_path):
    import re

    again = re.search(r"\[\[sources\]\].*?\n\n", TINY + "\n\n", re.DOTALL).group()
    with pytest.raises(RecipeError, match="give each a name of its own"):
        load(written(tmp_path, TINY + "\n" + again))


def test_shares_of_an_unknown_domain(tmp_path):
    with pytest.raises(RecipeError, match=r"plan.shares.bok: no source has this domain; did you mean book\?"):
        load(written(tmp_path, TINY.replace("[plan]", "[plan]\nshares = { bok = 1.0 }")))


def test_where_a_recipe_lies_is_no_part_of_it(tmp_path):
    here, there = load(ROOT / "mixes" / "tiny.toml"), load(written(tmp_path, TINY))
    assert here.identity() == there.identity()
    assert str(tmp_path) not in str(there.identity())


def test_how_the_work_is_spread_is_no_part_of_it(tmp_path):
    assert (
        load(written(tmp_path, TINY + "\n[run]\nworkers = 7\n")).identity()
        == load(ROOT / "mixes" / "tiny.toml").identity()
    )


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_no_file(tmp_path, name):
    with pytest.raises(RecipeError, match="can't be read"):
        load(tmp_path / name)
