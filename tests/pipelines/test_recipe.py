"""A recipe is refused before a byte of the corpus is read, with the key and the remedy in one line."""

from pathlib import Path

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from pipelines.recipe import Recipe, load
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError, StageError
from scorers.weights import Weights
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
    "a wrong type": ("budget_tokens = 400_000", 'budget_tokens = "many"', 'plan.budget_tokens: must be a whole number, or a size such as "128K" or "20M", not "many"'),
    "a number out of range": ("threshold = 0.7", "threshold = 1.7", "dedup.threshold:"),
    "a mix that is no folder name": ('mix = "tiny"', 'mix = "../tiny"', "mix: must be at most 64 lower-case letters"),
    "not TOML": ("[pack]", "[pack", "not TOML"),
    "no tokenizer": ("tokenizer.json", "tokeniser.json", "encode.tokenizer: no such file"),
    "an unknown packer": ('packer = "in_order"', 'packer = "inorder"', "pack.packer"),
    "a BOS that is not there": ('eos_token = "<|endoftext|>"', 'eos_token = "<|endoftext|>"\nbos_token = "<s>"', "encode.bos_token '<s>' is not in its vocabulary"),
    "a BOS that is the EOS": ('eos_token = "<|endoftext|>"', 'eos_token = "<|endoftext|>"\nbos_token = "<|endoftext|>"', "encode.bos_token: '<|endoftext|>' is eos_token too"),
    "a pad token that is not there": ("sequence_tokens = 16384", 'sequence_tokens = 16384\npad_documents_to = 8\npad_token = "<pad>"', "pack.pad_token '<pad>' is not in its vocabulary"),
    "a knot token that is not there": ("sequence_tokens = 16384", 'sequence_tokens = 16384\nknot_tokens = ["<|im_end|>", "<k>"]', "pack.knot_tokens '<k>' is not in its vocabulary"),
    "negatives without their packer": ("sequence_tokens = 16384", "sequence_tokens = 16384\nnegative_neighbours = 2", 'pack: negative_neighbours has no effect without packer = "negative_extension"; add that key'),
    "a row that is no multiple": ("sequence_tokens = 16384", "sequence_tokens = 16384\npad_documents_to = 10", "pack: sequence_tokens = 16384 is no multiple of pad_documents_to = 10; change one of them"),
    "a pad token without padding": ("sequence_tokens = 16384", 'sequence_tokens = 16384\npad_token = "<|im_end|>"', "pack: pad_token has no effect without pad_documents_to"),
    "one knot token": ("sequence_tokens = 16384", 'sequence_tokens = 16384\nknot_tokens = ["<|im_end|>"]', "pack: knot_tokens: needs two or more different tokens"),
    "equal knot tokens": ("sequence_tokens = 16384", 'sequence_tokens = 16384\nknot_tokens = ["<|im_end|>", "<|im_end|>"]', "pack: knot_tokens: needs two or more different tokens"),
    "knot chunks without knots": ("sequence_tokens = 16384", "sequence_tokens = 16384\nknot_chunk_tokens = 64", "pack: knot_chunk_tokens has no effect without knot_tokens; add that key, or remove it"),
    "knot chunks longer than a row": ("sequence_tokens = 16384", 'sequence_tokens = 16384\nknot_chunk_tokens = 16385\nknot_tokens = ["<|im_end|>", "<|im_start|>"]', "pack: knot_chunk_tokens = 16385 is more than sequence_tokens = 16384; change one of them"),
    "knots and padding": ("sequence_tokens = 16384", 'sequence_tokens = 16384\npad_documents_to = 8\nknot_tokens = ["<|im_end|>", "<|im_start|>"]', "pack: knot_tokens cannot be combined with pad_documents_to; remove one of them"),
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


EXTENDED = TINY.replace("in_order", "negative_extension")
FAULTS_OF_EXTENSION = {
    "an order without vectors": ('by = "greedy_edge"', 'by = "path"', "pack.packer: negative_extension needs an order by the vectors of an encoder, not path; add [order] with"),
    "more than are listed": ("sequence_tokens = 16384", "sequence_tokens = 16384\nnegative_neighbours = 21", "pack.negative_neighbours = 21 is more than order.neighbours = 20"),
    "chunks longer than a row": ("sequence_tokens = 16384", "sequence_tokens = 16384\nnegative_chunk_tokens = 16385", "pack: negative_chunk_tokens = 16385 is more than sequence_tokens = 16384; change one of them"),
    "chunks that are no multiple": ("sequence_tokens = 16384", "sequence_tokens = 16384\npad_documents_to = 64\nnegative_chunk_tokens = 96", "pack: negative_chunk_tokens = 96 is no multiple of pad_documents_to = 64; change one of them"),
    "knots": ("sequence_tokens = 16384", 'sequence_tokens = 16384\nknot_tokens = ["<|im_end|>", "<|im_start|>"]', "pack: negative_extension cannot be combined with knot_tokens; remove one of them"),
    "few segments": ("sequence_tokens = 16384", "sequence_tokens = 16384\nmax_segments = 9", "pack: negative_extension cannot be combined with max_segments; remove one of them"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), FAULTS_OF_EXTENSION.values(), ids=FAULTS_OF_EXTENSION)
def test_a_fault_of_negative_extension_is_named(tmp_path, old, new, said):
    assert said in fault_of(written(tmp_path, EXTENDED.replace(old, new, 1)))


def test_negative_extension_takes_the_largest_of_each_key(tmp_path):
    most = "sequence_tokens = 16384\nnegative_neighbours = 20\nnegative_chunk_tokens = 16384\npad_documents_to = 64"
    assert load(written(tmp_path, EXTENDED.replace("sequence_tokens = 16384", most))).pack.is_extension


def test_negative_extension_without_an_order_is_refused(tmp_path):
    start, stop = EXTENDED.index("[order]"), EXTENDED.index("[pack]")
    fault = fault_of(written(tmp_path, EXTENDED[:start] + EXTENDED[stop:]))
    assert "pack.packer: negative_extension needs an order by the vectors of an encoder, not random" in fault


TOKENIZER = "../examples/tokenizer/tokenizer.json"
BOOK = "../examples/corpus/book"
CALIBRATION = ROOT / "examples" / "calibration" / "smollm2-135m-instruct-128.json"
CALIBRATED = ALL.replace("[score]", f'[score]\ncalibration = "{CALIBRATION}"')
NAMES = {  # a key that names a file, how the recipe names it, and what is said of one that is not there
    "encode.tokenizer": (TOKENIZER, "no such file: {}; name a tokenizer.json or a hub id"),
    "score.model.weights": (f"{MODEL}/model_opt_trained", "{}: no such folder or file; `longmix model` fetches"),
    "score.calibration": (
        f"{CALIBRATION}",
        "{}: can't be read (No such file or directory); create it with `longmix calibrate`",
    ),
    "sources.book.path": (BOOK, None),
}


def named(tmp_path, key, value):
    """A recipe that has `value`, in TOML, where a file is named."""
    name = NAMES[key][0]
    assert CALIBRATED.count(f'"{name}"') == 1
    return written(tmp_path, CALIBRATED.replace(f'"{name}"', value))


def fault_of(path):
    with pytest.raises(RecipeError) as error:
        load(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("key", NAMES)
@pytest.mark.parametrize("value", ["5", "true", "[1]", '["a"]', '{ path = "a", hash = "b" }'])
def test_a_file_is_named_by_a_string(key, value, tmp_path):
    path = named(tmp_path, key, value)
    if key == "sources.book.path" and value.startswith("["):  # it may be a list of texts
        assert value == '["a"]' or fault_of(path) == f"{path}: {key}.0: must be a text in quotes, not 1"
        return
    or_list = ", or a list of them" if key == "sources.book.path" else ""
    assert fault_of(path).startswith(f"{path}: {key}: must be a text in quotes{or_list}, not ")


@pytest.mark.parametrize("key", NAMES)
@pytest.mark.parametrize("value", ["", "\\u0000"])
def test_a_name_that_is_no_path(key, value, tmp_path):
    path = named(tmp_path, key, f'"{value}"')
    assert fault_of(path).startswith(f"{path}: {key}: ")
    assert "is not a path; write one relative to the recipe's folder" in fault_of(path)


@pytest.mark.parametrize("key", [key for key, (_, said) in NAMES.items() if said])
@pytest.mark.parametrize("name", ["none.json", "~/none.json", "/none/none.json", "a/b/c"])
def test_a_file_that_is_missing(key, name, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = named(tmp_path, key, f'"{name}"')
    where = {"~": f"{tmp_path}{name[1:]}", "/": name}.get(name[0], f"{tmp_path}/mixes/{name}")
    assert fault_of(path).startswith(f"{path}: {key}: {NAMES[key][1].format(where)}")


def test_a_home_folder_that_is_missing(tmp_path):
    for key in NAMES:
        path = named(tmp_path, key, '"~nobody-of-this-name/x"')
        assert fault_of(path).startswith(
            f"{path}: {key}: ~nobody-of-this-name/x: no user of this name has a home folder"
        )


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "mixes").mkdir()
    (tmp_path / "mixes" / "x.json").write_text("{")
    kinds = {
        "score.model.weights": "not a model; name a folder",
        "score.calibration": "not a calibration (Invalid JSON",
    }
    for key, said in kinds.items():
        path = named(tmp_path, key, '"x.json"')
        assert fault_of(path).startswith(f"{path}: {key}: {tmp_path}/mixes/x.json: {said}")


def test_faults_of_files_are_reported_with_the_others(tmp_path):
    text = CALIBRATED.replace(TOKENIZER, "none.json").replace(f"{CALIBRATION}", "none").replace("top_share = 0.5", "")
    message = fault_of(written(tmp_path, text))
    places = [message.index(f"{key}: ") for key in ("encode.tokenizer", "score.calibration", "plan.select")]
    assert places == sorted(places)


def selecting(tmp_path, section, is_screened=True):
    """A recipe without a model and with a [plan.select]."""
    text = TINY if is_screened else TINY.replace("[screen]", "")
    return written(tmp_path, text.replace("[pack]", f"{section}\n\n[pack]"))


def test_repeats_and_lists_are_dropped_by_default_where_the_recipe_has_cheap_scores(tmp_path):
    for section in ("", "[plan.select]"):
        recipe = load(selecting(tmp_path, section))
        assert recipe.plan.select.drop == ("repeats", "list")
        assert recipe.selects_by == ("SCORES_CHEAP",)
        assert load(selecting(tmp_path, section, is_screened=False)).selects_by == ()
    assert load(selecting(tmp_path, "[plan.select]\ndrop = []")).selects_by == ()
    assert load(selecting(tmp_path, "[plan.select]\ndrop = []", is_screened=False)).selects_by == ()


def test_a_selection_without_the_scores_that_it_needs_is_refused(tmp_path):
    path = selecting(tmp_path, '[plan.select]\ndrop = ["stitched"]', is_screened=False)
    assert fault_of(path) == f"{path}: plan.select.drop: stitched needs the section [screen]; add it"
    path = selecting(tmp_path, '[plan.select]\nby = "recurrence"\ntop_share = 0.5', is_screened=False)
    assert fault_of(path) == f"{path}: plan.select.by: recurrence needs the section [screen]; add it"
    path = selecting(tmp_path, '[plan.select]\nby = "chunk_gain"\ntop_share = 0.5')
    assert fault_of(path) == f"{path}: plan.select.by: chunk_gain needs the section [score]; add it"
    path = selecting(tmp_path, '[plan.select]\nby = "recurrence"')
    assert fault_of(path).startswith(
        f"{path}: plan.select: by = 'recurrence' keeps the top of each domain; add top_share"
    )


def test_a_home_folder_is_that_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "home").symlink_to(ROOT / "examples")
    (tmp_path / "model").symlink_to(MODEL / "model_opt_trained")
    (tmp_path / "calibration.json").symlink_to(CALIBRATION)
    text = CALIBRATED.replace("../examples", "~/home").replace(f"{CALIBRATION}", "~/calibration.json")
    there = load(written(tmp_path, text.replace(f"{MODEL}/model_opt_trained", "~/model")))
    here = load(written(tmp_path, CALIBRATED))
    assert there.identity() == here.identity()
    assert there.encode.tokenizer.path == f"{tmp_path}/home/tokenizer/tokenizer.json"
    assert there.sources[1].path == f"{tmp_path}/home/corpus/book"
    assert there.score.model.weights.path == f"{tmp_path}/model"


def test_paths_are_absolute_wherever_the_recipe_is_named_from(tmp_path, monkeypatch):
    there = load(written(tmp_path, CALIBRATED))
    monkeypatch.chdir(tmp_path / "mixes")
    assert load("r.toml") == there
    assert there.sources[1].path == str(ROOT / "examples" / "corpus" / "book")
    text = TINY.replace('path = "../examples/corpus/book"', 'path = "book"')
    assert load(written(tmp_path, text)).sources[1].path == f"{tmp_path}/mixes/book"
    monkeypatch.chdir(tmp_path)
    assert load("mixes/r.toml").sources[1].path == f"{tmp_path}/mixes/book"


@pytest.mark.parametrize("name", [TOKENIZER, "../examples/tokenizer"])
def test_a_tokenizer_is_named_by_its_file_or_its_folder(name, tmp_path):
    found = load(named(tmp_path, "encode.tokenizer", f'"{name}"')).encode.tokenizer
    assert found == HashedFile.of(ROOT / "examples" / "tokenizer" / "tokenizer.json")


# -- names on the hub

FETCHES = {
    "encode.tokenizer": ("hf_hub_download", "local tokenizer.json"),
    "score.model.weights": ("snapshot_download", "org/name does not exist"),
}
ERRORS = {
    "offline": (lambda: LocalEntryNotFoundError("no network\nand not in the cache"), StageError),
    "the client's own": (lambda: httpx.ConnectError("[Errno -2] Name or service not known"), StageError),
    "the disk's": (lambda: OSError(28, "No space left on device"), StageError),
    "a bad id": (lambda: HFValidationError("Repo id must be in the form"), RecipeError),
}


@pytest.fixture
def answering(monkeypatch):
    """A hub that says that a repository exists."""
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: None)


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("key", FETCHES)
@pytest.mark.parametrize(("error", "kind"), ERRORS.values(), ids=ERRORS)
def test_a_hub_that_does_not_answer(key, error, kind, tmp_path, monkeypatch):
    """The message names the key, and is a StageError where a retry may help."""

    def fails(*_, **__):
        raise error()

    fetch, remedy = FETCHES[key]
    monkeypatch.setattr(huggingface_hub, fetch, fails)
    path = named(tmp_path, key, '"org/name"')
    with pytest.raises(kind) as raised:
        load(path)
    assert type(raised.value) is kind
    assert str(raised.value).startswith(f"{path}: {key}: org/name: ")
    assert str(raised.value).endswith(remedy) or "set HF_HOME" in str(raised.value)


def test_a_hub_that_does_not_answer_hides_no_fault_of_the_recipe(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise httpx.ConnectError("away")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fails)
    text = TINY.replace(TOKENIZER, "org/here").replace("sequence_tokens", "sequence_token")
    fault = fault_of(written(tmp_path, text))
    assert "pack.sequence_token: no such key" in fault
    assert "encode.tokenizer: org/here: the hub can't be reached (away)" in fault


def test_an_id_that_the_hub_can_not_have(tmp_path):
    for key in FETCHES:
        path = named(tmp_path, key, '"a b/c d"')
        assert fault_of(path).startswith(f"{path}: {key}: a b/c d: not an id of the hub (Repo id must ")


@pytest.mark.usefixtures("answering")
def test_what_the_hub_has_is_what_its_client_fetched(tmp_path, monkeypatch):
    (tmp_path / "cache").symlink_to(MODEL / "model_opt_trained")
    (tmp_path / "mixes" / "org" / "here").mkdir(parents=True)
    asked = []

    def fetches(*names, **_):
        asked.append(names)
        return str(tmp_path / "cache" / "".join(names[1:]))

    for fetch, _ in FETCHES.values():
        monkeypatch.setattr(huggingface_hub, fetch, fetches)
    recipe = load(named(tmp_path, "score.model.weights", '"org/name"'))
    assert recipe.score.model.weights == Weights.of(tmp_path / "cache")
    text = TINY.replace(TOKENIZER, "org/here").replace("<|endoftext|>", "</s>")  # a folder here, but without the file
    monkeypatch.setattr("pipelines.recipe.eos_id", lambda _: 0)
    assert load(written(tmp_path, text)).encode.tokenizer == HashedFile.of(tmp_path / "cache" / "tokenizer.json")
    assert asked == [("org/name",), ("org/here", "tokenizer.json")]


@pytest.mark.usefixtures("answering")
def test_what_the_hub_has_and_is_no_model(tmp_path, monkeypatch):
    """It is not said that the hub can't be reached."""
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    path = named(tmp_path, "score.model.weights", '"org/name"')
    assert fault_of(path).startswith(f"{path}: score.model.weights: {tmp_path}: holds no model: ")


# -- values that are resolved already


def test_a_recipe_of_resolved_values_needs_no_folder(tmp_path):
    recipe = load(written(tmp_path, CALIBRATED))
    values = {name: getattr(recipe, name) for name in Recipe.model_fields}
    parts = {
        **values,
        "score": {**dict(recipe.score), "model": dict(recipe.score.model)},
        "encode": dict(recipe.encode),
    }
    for context in (None, {"folder": tmp_path / "elsewhere"}):
        assert Recipe.model_validate(parts, context=context) == recipe
    assert recipe.identity() == Recipe.model_validate(parts).identity()


def test_what_a_recipe_is_holds_no_path(tmp_path):
    identity = load(written(tmp_path, CALIBRATED)).identity()
    assert identity["encode"]["tokenizer"] == {"hash": HashedFile.of(ROOT / "examples/tokenizer/tokenizer.json").hash}
    assert identity["score"]["model"]["weights"] == {"hash": "3c9c255db888997d2db48e7807df6033"}
    assert "path" not in identity["sources"][1]


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
    "[order]": ("order.neighbour", "neighbours"),
    "[order.encoder]": ("order.encoder.max_chunk", "max_chunks"),
    "[run]": ("run.worker", "workers"),
    "[pack]": ("pack.sequence_token", "sequence_tokens"),
    "[[sources]]": ("sources.arxiv.domian", "domain"),
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
    with pytest.raises(RecipeError, match=r"r.toml: score.also.1.sample_size: missing; add it$"):
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
