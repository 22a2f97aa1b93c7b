"""A recipe is refused before a byte of the corpus is read, with the key and the remedy in one line."""

from pathlib import Path

import pytest

from pipelines.recipe import load
from schemas.errors import RecipeError
from tests.scored import MODEL

ROOT = Path(__file__).parents[2]
TINY = (ROOT / "mixes" / "tiny.toml").read_text()


def written(tmp_path, text):
    (tmp_path / "mixes").mkdir(exist_ok=True)
    path = tmp_path / "mixes" / "r.toml"
    path.write_text(text.replace("../examples", str(ROOT / "examples")))
    return path


ALL = TINY.replace(  # a recipe with every section that there is
    "[plan]",
    f"""[score]
min_tokens = 30_000
budget_tokens = 12_000

[score.model]
weights = "{MODEL}/model_opt_trained"

[[score.also]]
kind = "infogain"

[[score.also]]
kind = "prolong"
sample_size = 500

[plan]""",
).replace("[pack]", '[plan.select]\nby = "chunk_gain"\ntop_share = 0.5\n\n[run]\n\n[pack]')


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


MISSPELT = {
    "[dedup]": ("dedup.treshold", "threshold"),
    "[encode]": ("encode.pieces_char", "piece_chars"),
    "[screen]": ("screen.max_repeats_share", "max_repeat_share"),
    "[score]": ("score.budget_token", "budget_tokens"),
    "[score.model]": ("score.model.dtyp", "dtype"),
    'kind = "infogain"': ("score.also.0.shorts_token", "short_tokens"),
    'kind = "prolong"': ("score.also.1.sed", "seed"),
    "[plan]": ("plan.budget_token", "budget_tokens"),
    "[plan.select]": ("plan.select.top_sare", "top_share"),
    "[run]": ("run.worker", "workers"),
    "[pack]": ("pack.sequence_token", "sequence_tokens"),
    "[[sources]]": ("sources.0.domian", "domain"),
}


@pytest.mark.parametrize(("after", "place", "key"), [(a, *named) for a, named in MISSPELT.items()], ids=MISSPELT)
def test_a_misspelt_key_is_answered_with_the_one_that_was_meant(tmp_path, after, place, key):
    assert ALL.count(after) == 1 or after == "[[sources]]"
    text = ALL.replace(after, f"{after}\n{place.rpartition('.')[2]} = 1", 1)
    with pytest.raises(RecipeError) as error:
        load(written(tmp_path, text))
    assert str(error.value) == f"{tmp_path}/mixes/r.toml: {place}: no such key; did you mean {key}?"


def test_a_key_like_no_other_is_answered_with_those_of_its_section(tmp_path):
    with pytest.raises(RecipeError) as error:
        load(written(tmp_path, ALL.replace('kind = "prolong"', 'kind = "prolong"\nzzz = 1')))
    known = "chunk_size, kind, sample_size, seed, threshold, window_size"
    assert str(error.value).endswith(f"score.also.1.zzz: no such key; known: {known}")


def test_every_section_is_misspelt_above(tmp_path):
    recipe = load(written(tmp_path, ALL))
    assert set(type(recipe).model_fields) - {"mix"} == {place.split(".")[0] for place, _ in MISSPELT.values()}


def test_a_fault_in_one_of_the_other_scorers_is_named_as_the_recipe_writes_it(tmp_path):
    with pytest.raises(RecipeError, match=r"r.toml: score.also.1.sample_size: missing$"):
        load(written(tmp_path, ALL.replace("sample_size = 500", "")))


def test_two_scorers_of_one_kind(tmp_path):
    again = ALL.replace("[[score.also]]", '[[score.also]]\nkind = "infogain"\nshort_tokens = 64\n\n[[score.also]]', 1)
    with pytest.raises(RecipeError, match=r"score.also: two are of kind infogain; their table is one"):
        load(written(tmp_path, again))


def test_two_sources_of_one_name(tmp_path):
    import re

    again = re.search(r"\[\[sources\]\].*?\n\n", TINY + "\n\n", re.DOTALL).group()
    with pytest.raises(RecipeError, match="give each a name of its own"):
        load(written(tmp_path, TINY + "\n" + again))


def test_shares_of_an_unknown_domain(tmp_path):
    with pytest.raises(RecipeError, match=r"plan.shares.bok: no source has this domain; did you mean book\?"):
        load(written(tmp_path, TINY.replace("[plan]", "[plan]\nshares = { bok = 1.0 }")))


def test_a_top_share_of_an_unknown_domain(tmp_path):
    wrong = ALL.replace("[run]", "[plan.select.top_shares]\narxv = 0.1\n\n[run]")
    with pytest.raises(
        RecipeError, match=r"plan.select.top_shares.arxv: no source has this domain; did you mean arxiv\?"
    ):
        load(written(tmp_path, wrong))
    right = load(written(tmp_path, wrong.replace("arxv", "arxiv")))
    assert right.plan.select.share("arxiv") == 0.1


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
