"""Scores in a build: within the budget, the same after a crash, and for new documents alone after a change."""

import json
import random
import shutil
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from pipelines import encode, score
from pipelines.build import build
from pipelines.documents import Chunking
from pipelines.encode import load as load_tokenizer
from pipelines.garbage import collect
from pipelines.recipe import load
from pipelines.score import measure
from pipelines.score.kept_pairs import Measured
from pipelines.score.model import reader_of
from pipelines.stage import Engine, Read, Runner
from pipelines.store import Shard, Store
from pipelines.versions import shards_of
from schemas.errors import NotMade, RecipeError, StageError
from schemas.manifest import Manifest
from schemas.tables import TABLES
from scorers import SCORERS, lm
from scorers.chunk_gain import MIN_CHUNKS, MeasuredPair, chunks_of, parts
from scorers.chunk_gain.pairs import first_pairs
from scorers.chunks import Chunks
from scorers.weights import Weights
from tests import scored

pytestmark = pytest.mark.slow

ONE = Runner(workers=1)
MADE_HERE = ("actions/first_budget", "actions/score", "actions/budget")


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny):
    """A scored mix: its recipe, root and version. What it has in common with the small mix is taken from there."""
    folder = tmp_path_factory.mktemp("scored")
    recipe = scored.recipe(folder)
    shutil.copytree(tiny.folder.parents[2], folder / "root", ignore=shutil.ignore_patterns("datasets"))
    return recipe, folder / "root", build(recipe, folder / "root")


def root_in(folder, made):
    """A copy of the root of the scored mix."""
    return shutil.copytree(made[1], folder / "root", symlinks=True)


def rows_of(root, version, name):
    store = Store(root)
    return [row for s in shards_of(Manifest.of(version.folder))[name] for row in store.read(s).to_pylist()]


def again(made, tmp_path, **changes):
    """What score.run gives on the tables of the mix, with nothing measured and nothing decided before."""
    recipe, root, version = made
    shutil.copytree(root, tmp_path / "root", symlinks=True)
    for gone in ("measured", *MADE_HERE, "shards/BUDGET", "shards/SCORES_CHUNK_GAIN"):
        shutil.rmtree(tmp_path / "root" / gone)
    store = Store(tmp_path / "root")
    tables = shards_of(Manifest.of(version.folder))
    reader = reader_of(recipe.score, recipe.encode)
    read = encode.run(tables["DOCUMENTS"], tables["DUPLICATES"], reader, Engine(store, ONE))
    params = recipe.score.model_copy(update=changes)

    def run(workers=1, engine=None):
        engine = engine or Engine(store, Runner(workers=workers))
        return score.run(tables["DOCUMENTS"], read, tables["SCORES_CHEAP"], reader, params, engine)

    return run, store, read


def hashes(found):
    return {name: [s.content_hash for s in shards] for name, shards in found.items()}


def published(version):
    """The hashes of the tables that score made, as the manifest lists them."""
    manifest = Manifest.of(version.folder)
    names = ("FIRST_BUDGET", "FIRST_SCORES", "BUDGET", "SCORES_CHUNK_GAIN")
    return {name: [s.content_hash for s in (manifest.kept | manifest.tables)[name]] for name in names}


def events_of(root):
    return [json.loads(line) for line in (root / "progress.jsonl").read_text().splitlines()]


def test_documents_that_are_long_enough_are_scored_and_all_others_say_why(made):
    _, root, version = made
    scores = {row["document_id"]: row for row in rows_of(root, version, "SCORES_CHUNK_GAIN")}
    documents = rows_of(root, version, "DUPLICATES")
    assert len(scores) == len({row["document_id"] for row in documents})
    statuses = {row["status"] for row in scores.values()}
    assert statuses == {"scored", "not_scored", "too_short", "dropped"}
    assert {row["reason"] for row in scores.values()} == {None, "short", "too_short", "dropped", "list", "repeats"}
    assert all((row["score"] is None) == (row["status"] != "scored") for row in scores.values())


def test_the_budget_is_kept_and_nearly_spent(made):
    recipe, root, version = made
    spent = 0
    for budget, row in zip(rows_of(root, version, "BUDGET"), rows_of(root, version, "SCORES_CHUNK_GAIN"), strict=True):
        assert budget["n_pairs"] == len(row["pairs"]) == row["n_near"] + row["n_far"]
        assert budget["n_pairs"] <= recipe.score.most_pairs
        spent += budget["n_pairs"] * 31 + 33 * len(
            {place for p in row["pairs"] for place in (p["target"], p["context"])}
        )
    assert 0.9 * recipe.score.budget_tokens < spent <= recipe.score.budget_tokens
    assert {row["why"] for row in rows_of(root, version, "BUDGET")} >= {"more", "short", "too_short", "dropped"}


def test_a_score_is_what_the_model_says_of_the_document_by_itself(made):
    """Against a model loaded here, pair by pair, from the text."""
    recipe, root, version = made
    texts = {row["document_id"]: (row["text"], row["content_hash"]) for row in rows_of(root, version, "DOCUMENTS")}
    engine = lm.load(recipe.score.model)
    tokenizer = load_tokenizer(reader_of(recipe.score, recipe.encode).tokenizer)
    row = max(rows_of(root, version, "SCORES_CHUNK_GAIN"), key=lambda r: len(r["pairs"]))
    text, content = texts[row["document_id"]]
    chunks = chunks_of(np.array(tokenizer.encode(text, add_special_tokens=False).ids), 32)
    assert len(chunks) == row["n_chunks"]
    pairs = []
    for target, context in first_pairs(len(chunks), content, len(row["pairs"])):
        one = Chunks(engine, chunks, engine.anchor)
        after = float(one.after([(target, context)])[0])
        pairs.append(MeasuredPair(target, context, float(one.alone([target])[0]), after))
    assert [pair._asdict() for pair in pairs] == row["pairs"]
    found = parts(pairs, chunks, content, None)
    assert (found.far, found.near) == (row["score"], row["near"])


def test_a_second_build_makes_nothing(made):
    recipe, root, _ = made
    assert not build(recipe, root).is_new
    assert not [event for event in events_of(root) if event["event"] == "made"]


def test_the_same_scores_for_any_number_of_workers(made, tmp_path):
    run, _, _ = again(made, tmp_path)
    assert hashes(run(workers=3)) == published(made[2])


def test_a_build_that_is_broken_off_goes_on_behind_the_last_pair_that_it_kept(made, tmp_path, monkeypatch):
    """Broken off at every eleventh pair: the same table, and no pair that was kept is run again."""
    run, _, _ = again(made, tmp_path)
    kept: list[tuple[str, int, int]] = []
    add = Measured.add

    def breaking(self, content_hash, pairs):
        if len(kept) % 11 == 10 and kept[-1] != broken[-1:]:
            broken[:] = [kept[-1]]
            kept.append(("broken", 0, 0))
            raise OSError("no space left on device")
        add(self, content_hash, pairs)
        kept.extend((content_hash, p.target, p.context) for p in pairs)

    broken: list = []
    monkeypatch.setattr(Measured, "add", breaking)
    found, tries = None, 0
    while found is None:
        tries += 1
        with suppress(StageError):
            found = run()
    real = [pair for pair in kept if pair[0] != "broken"]
    assert tries > 3
    assert len(real) == len(set(real))
    assert hashes(found) == published(made[2])


def test_looking_up_makes_nothing(made, tmp_path):
    run, store, _ = again(made, tmp_path)
    with pytest.raises(NotMade):
        run(engine=Engine.looking(store.root))
    assert not (store.root / "measured").exists()


def test_a_pair_that_was_not_measured_is_an_error_and_not_a_mix_that_is_not_built(made, tmp_path, monkeypatch):
    run, _, _ = again(made, tmp_path)
    monkeypatch.setattr(measure, "run", lambda *_: None)
    with pytest.raises(StageError, match="0 of 2 pairs of the document"):
        run()


def test_a_look_finds_each_step_and_names_the_first_that_is_missing(made, tmp_path):
    """In the order of work: the first budget, its scores, the budget, its scores."""
    run, store, _ = again(made, tmp_path)
    look = Engine.looking(store.root)
    with pytest.raises(NotMade, match="first_budget"):
        run(engine=look)
    whole = run()
    before = {path: path.stat().st_mtime_ns for path in sorted(store.root.rglob("*"))}
    assert hashes(run(engine=look)) == hashes(whole)
    assert {path: path.stat().st_mtime_ns for path in sorted(store.root.rglob("*"))} == before
    for stage, missing in (("budget", "budget"), ("score", "score"), ("first_budget", "first_budget")):
        shutil.move(store.root / "actions" / stage, store.root / "away")
        with pytest.raises(NotMade, match=f"^{missing}$"):
            run(engine=look)
        shutil.move(store.root / "away", store.root / "actions" / stage)
    assert {path: path.stat().st_mtime_ns for path in before if path.is_file()} == {
        p: t for p, t in before.items() if p.is_file()
    }


def test_the_first_round_is_two_pairs_and_the_second_begins_where_it_ended(made):
    _, root, version = made
    manifest, store = Manifest.of(version.folder), Store(root)
    kept = {
        name: [
            row
            for s in manifest.kept[f"FIRST_{name}"]
            for row in store.read(Shard(table, s.content_hash, 0, {})).to_pylist()
        ]
        for name, table in (("BUDGET", "BUDGET"), ("SCORES", "SCORES_CHUNK_GAIN"))
    }
    final = rows_of(root, version, "BUDGET")
    assert {row["n_pairs"] for row in kept["BUDGET"]} == {0, 2}
    assert [bool(row["n_pairs"]) for row in final] == [bool(row["n_pairs"]) for row in kept["BUDGET"]]
    assert [len(row["pairs"]) for row in kept["SCORES"]] == [row["n_pairs"] for row in kept["BUDGET"]]
    for first, last in zip(kept["SCORES"], rows_of(root, version, "SCORES_CHUNK_GAIN"), strict=True):
        assert last["pairs"][: len(first["pairs"])] == first["pairs"]


def test_what_another_budget_leaves_alone_is_found(made, tmp_path):
    """Another second round needs no new first one, and other scorers change neither."""
    run, store, _ = again(made, tmp_path)
    first = hashes(run())
    names = {stage: sorted((store.root / "actions" / stage).rglob("*.json")) for stage in ("first_budget", "budget")}
    params = made[0].score.model_copy(update={"most_pairs": 4})
    tables = shards_of(Manifest.of(made[2].folder))
    reader = reader_of(made[0].score, made[0].encode)
    read = encode.run(tables["DOCUMENTS"], tables["DUPLICATES"], reader, Engine(store, ONE))
    few = score.run(tables["DOCUMENTS"], read, tables["SCORES_CHEAP"], reader, params, Engine(store, ONE))
    assert {name for name, each in hashes(few).items() if each != first[name]} == {"BUDGET", "SCORES_CHUNK_GAIN"}
    assert sorted((store.root / "actions" / "first_budget").rglob("*.json")) == names["first_budget"]
    assert len(sorted((store.root / "actions" / "budget").rglob("*.json"))) == len(names["budget"]) + 1
    later = made[0].score.model_copy(update={"also_tokens": 7})
    whole = score.run(tables["DOCUMENTS"], read, tables["SCORES_CHEAP"], reader, later, Engine.looking(store.root))
    assert hashes(whole) == first


def test_a_nll_that_is_no_number_is_an_error_and_no_score(made, tmp_path, monkeypatch):
    run, _, _ = again(made, tmp_path)
    monkeypatch.setattr(Chunks, "after", lambda _, pairs: np.full(len(pairs), np.nan))
    found = run()
    rows = [row for s in found["SCORES_CHUNK_GAIN"] for row in Store(tmp_path / "root").read(s).to_pylist()]
    assert "scored" not in {row["status"] for row in rows}
    broken = [row for row in rows if row["status"] == "error"]
    assert {len(row["pairs"]) for row in broken} == {2}  # no second look
    assert all(row["score"] is None and "not a finite number" in row["reason"] for row in broken)


def test_a_budget_that_is_too_small_for_all_says_who_went_without(made, tmp_path):
    run, store, _ = again(made, tmp_path, budget_tokens=500)
    rows = [row for s in run()["BUDGET"] for row in store.read(s).to_pylist()]
    assert {"first", "budget"} <= {row["why"] for row in rows}
    assert sum(row["n_pairs"] for row in rows) in (2, 4)


def test_a_refresh_runs_the_model_on_new_documents_alone(made, tmp_path, monkeypatch):
    examples, root = tmp_path / "examples", root_in(tmp_path, made)
    shutil.copytree(scored.ROOT / "examples" / "corpus", examples / "corpus")
    recipe = scored.recipe(tmp_path, examples, budget_tokens=300_000, most_pairs=4)
    first = build(recipe, root)
    before = rows_of(tmp_path / "root", first, "SCORES_CHUNK_GAIN")
    text = max((path.read_text() for path in (examples / "corpus" / "book").rglob("*.txt")), key=len)
    (examples / "corpus" / "book" / "new.txt").write_text(" ".join(reversed(text.split())))
    measured_now = []
    add = Measured.add
    monkeypatch.setattr(
        Measured, "add", lambda self, content, pairs: (measured_now.append(content), add(self, content, pairs))
    )
    second = build(recipe, tmp_path / "root", base=first.folder)
    new = {row["content_hash"] for row in rows_of(tmp_path / "root", second, "DOCUMENTS")}
    new -= {row["content_hash"] for row in rows_of(tmp_path / "root", first, "DOCUMENTS")}
    assert len(new) == 1
    assert set(measured_now) == new
    after = {row["document_id"]: row for row in rows_of(tmp_path / "root", second, "SCORES_CHUNK_GAIN")}
    assert all(after[row["document_id"]] == row for row in before)
    of_cheap = [rows_of(tmp_path / "root", version, "BACKGROUND") for version in (first, second)]
    assert of_cheap[0] == of_cheap[1]


def test_after_gc_a_refresh_finds_the_verdicts_and_the_first_round_of_what_stayed(made, tmp_path):
    """One short document is new: no pair is compared or measured again, and only its own shard is scored."""
    examples, root = tmp_path / "examples", root_in(tmp_path, made)
    shutil.copytree(scored.ROOT / "examples" / "corpus", examples / "corpus")
    recipe = scored.recipe(tmp_path, examples)
    first = build(recipe, root)
    kept = Manifest.of(first.folder).kept
    assert {"NEAR", "FIRST_BUDGET", "FIRST_SCORES"} <= kept.keys()
    collect(root, dry_run=False)
    left = {path.stem for path in root.glob("shards/*/*/*.parquet")}
    assert {s.content_hash for shards in kept.values() for s in shards} <= left
    with open(examples / "corpus" / "c4.jsonl", "a") as stream:
        stream.write(
            json.dumps({"id": "new", "text": "A page that nobody saw before.", "source": "c4", "license": "x"}) + "\n"
        )
    second = build(recipe, root, base=first.folder)
    made_now = Counter(event["stage"] for event in events_of(root) if event["event"] == "made")
    assert made_now["verify"] == made_now["measure"] == 0
    assert made_now["score"] == made_now["ingest"] == made_now["screen"] == 1  # the shard of the new document
    assert second.is_new
    found = {row["document_id"]: row for row in rows_of(root, second, "SCORES_CHUNK_GAIN")}
    assert all(found[row["document_id"]] == row for row in rows_of(root, first, "SCORES_CHUNK_GAIN"))


OTHERS = (
    {"kind": "prolong", "sample_size": 20, "chunk_size": 32, "window_size": 640},
    {"kind": "infogain", "long_tokens": 256, "short_tokens": 64, "stride_tokens": 32},
    {"kind": "longattn", "window_tokens": 512, "min_tokens": 256},
)


def test_other_scorers_read_the_same_documents_and_each_of_them_once(made, tmp_path, monkeypatch):
    recipe = made[0]
    scorers = (
        type(recipe.score)
        .model_validate({**recipe.score.model_dump(), "model": recipe.score.model, "also": OTHERS})
        .also
    )
    run, store, _ = again(made, tmp_path, also=scorers, also_tokens=1_000)
    found = run()
    gains = [row for s in found["SCORES_CHUNK_GAIN"] for row in store.read(s).to_pylist()]
    for kind in ("PROLONG", "INFOGAIN", "LONGATTN"):
        rows = [row for s in found[f"SCORES_{kind}"] for row in store.read(s).to_pylist()]
        assert [row["status"] for row in rows] == [row["status"] for row in gains]
        assert all(row["reason"] == gain["reason"] for row, gain in zip(rows, gains, strict=True))
    shutil.rmtree(store.root / "actions" / "prolong")
    for scorer in SCORERS:
        monkeypatch.setattr(scorer, "score", None)  # no document is scored again
    assert hashes(run()) == hashes(found)


def test_a_cut_to_aim_at_moves_the_second_round(made, tmp_path):
    run, store, _ = again(made, tmp_path, aim_share=0.3)
    aimed = [row["n_pairs"] for s in run()["BUDGET"] for row in store.read(s).to_pylist()]
    plain = [row["n_pairs"] for row in rows_of(made[1], made[2], "BUDGET")]
    assert aimed != plain
    assert [bool(n) for n in aimed] == [bool(n) for n in plain]


# -- both budgets, without a model

C = 16
SMALL = score.ScoreParams(
    model=lm.ModelParams(weights=Weights(path="model", hash="h")), budget_tokens=2_000, min_tokens=300, chunk_tokens=C
)
CHANGES = (
    {}, {"min_tokens": 500}, {"budget_tokens": 900}, {"chunk_tokens": 8}, {"most_pairs": 4}, {"aim_share": 0.3},
    {"aim_share": 0.6}, {"also_tokens": 5},
)  # fmt: skip


def decided(store, params, n_shards=3, lengths=(None, 250, 400, 600, 900), marks=1):
    """The first and the final budget of documents whose scores are made up: rows of both."""
    rng, columns, scores = random.Random(4), [], []
    for _ in range(n_shards):
        names = [f"{rng.getrandbits(128):032x}" for _ in range(9)]
        n_tokens = [rng.choice(lengths) for _ in names]
        own = {
            "DOCUMENTS": {"content_hash": names, "domain": [rng.choice("ab") for _ in names]},
            "TOKENS": {
                "status": ["encoded" if n else "dropped" for n in n_tokens],
                "n_tokens": n_tokens,
                "input_ids": [n and [1] * n for n in n_tokens],
            },
            "SCORES_CHEAP": {
                "status": ["scored" if n else "dropped" for n in n_tokens],
                "reason": [None if n else "dropped" for n in n_tokens],
                "refused": [rng.choice([None, None, "list"]) for _ in names],
            },
        }
        shards = {name: written(store, name, {"document_id": names, **values}) for name, values in own.items()}
        columns.append((
            Read(shards["DOCUMENTS"], ("content_hash", "domain")),
            Read(shards["TOKENS"], ("document_id", "status", "n_tokens")),
            Read(shards["SCORES_CHEAP"], ("reason", "refused")),
        ))  # fmt: skip
        scores.append(rng.sample([-0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 9))
    engine = Engine(store, ONE)
    chunking = Chunking(params.chunk_tokens, marks)
    first = score.first_budget(columns, params, chunking, engine)
    read = [store.read(shard) for shard in first]
    gains = []
    for budget, values in zip(read, scores, strict=True):
        score_of = [value if n else None for value, n in zip(values, budget["n_pairs"].to_pylist(), strict=True)]
        status = ["scored" if value is not None else "not_scored" for value in score_of]
        rows = {"document_id": budget["document_id"].to_pylist(), "score": score_of, "status": status}
        gains.append(written(store, "SCORES_CHUNK_GAIN", rows))
    final = score.final_budget(columns, first, gains, params, chunking, engine)
    return [row for shard in (*first, *final) for row in store.read(shard).to_pylist()]


def written(store, name, values):
    """A shard of a table of which only some columns matter."""
    n = len(values["document_id"])
    columns = []
    for field in TABLES[name]:
        other = (
            []
            if pa.types.is_list(field.type)
            else "x"
            if pa.types.is_large_string(field.type) or pa.types.is_string(field.type)
            else 0
        )
        columns.append(pa.array(values.get(field.name, [None if field.nullable else other] * n), field.type))
    return store.write(name, pa.table(columns, schema=TABLES[name]))


def test_what_was_decided_for_other_params_is_not_taken(tmp_path):
    """On one root, after all the others, as on a root of its own."""
    fresh = []
    for k, change in enumerate((*CHANGES, *CHANGES)):
        params = SMALL.model_copy(update=change)
        rows = decided(Store(tmp_path / "shared"), params)
        assert rows == decided(Store(tmp_path / str(k)), params), change
        fresh.append(rows)
    assert fresh[0] == fresh[7]  # other scorers change no budget
    assert all(fresh[0] != rows for rows in fresh[1:7])


def test_a_bos_is_no_token_of_a_chunk(tmp_path):
    """Of 401 tokens 400 are of the text if EOS is the only mark, which are 8 chunks of 50; with a BOS 7, too few."""
    assert MIN_CHUNKS == 8
    params, store = SMALL.model_copy(update={"chunk_tokens": 50, "budget_tokens": 10**6}), Store(tmp_path)
    for marks, has_pairs in ((1, True), (2, False), (1, True)):
        rows = decided(store, params, lengths=(401,), marks=marks)
        assert any(row["n_pairs"] for row in rows) == has_pairs, marks
        assert any(row["why"] == "too_short" for row in rows) == (not has_pairs), marks


def test_a_budget_is_divided_as_the_documents_are(tmp_path):
    """Each shard has its own rows, in their order; a second round gives no pair to a document without a first."""
    store = Store(tmp_path)
    rows = decided(store, SMALL)
    first, final = rows[:27], rows[27:]
    names = [row["document_id"] for row in first]
    assert [row["document_id"] for row in final] == names
    assert len(set(names)) == 27
    assert [bool(row["n_pairs"]) for row in first] == [bool(row["n_pairs"]) for row in final]
    assert {row["why"] for row in final} >= {"more", "dropped", "short", "list"}
    alone = decided(Store(tmp_path / "alone"), SMALL.model_copy(update={"budget_tokens": 10**6}), n_shards=1)
    assert [row["document_id"] for row in alone] == names[:9] * 2


def test_what_the_cheap_tier_refuses_says_so_at_any_length():
    n_tokens = np.array([0, 0, 50, 50, 5_000, 5_000, 50_000, 50_000])
    columns = pa.table({
        "status": ["dropped"] * 2 + ["encoded"] * 6,
        "reason": pa.array(["dropped"] * 2 + [None] * 6, pa.string()),
        "refused": [None, "repeats"] * 4,
    })  # fmt: skip
    found = score.reasons(SimpleNamespace(n_tokens=n_tokens), columns, 30_000, Chunking(32, 1)).tolist()
    assert found == ["dropped", "dropped", "too_short", "repeats", "short", "repeats", "", "repeats"]


def test_a_document_that_a_tokenizer_refuses_is_not_read():
    """By the recipe's tokenizer, by the model's own, by both; the last is dropped."""
    columns = pa.table({
        "status": ["encoded", "refused", "refused", "dropped"],
        "reason": pa.array(["refused", None, "refused", "dropped"], pa.string()),
        "refused": pa.array([None, "repeats", None, None], pa.string()),
    })  # fmt: skip
    documents = SimpleNamespace(n_tokens=np.array([50_000, 0, 0, 0]))
    found = score.reasons(documents, columns, 30_000, Chunking(32, 1)).tolist()
    assert found == ["refused", "refused", "refused", "dropped"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chunk_tokens": 2000}, "pass its window"),
        ({"calibration": "elsewhere"}, "can't be read"),
        ({"budget": 3}, "no such key"),
        ({"min_tokens": 0}, "must be more than 0"),
    ],
)
def test_a_bad_section_is_refused(tmp_path, changes, said):
    def checked():
        recipe = scored.recipe(tmp_path, **changes)
        return reader_of(recipe.score, recipe.encode)

    with pytest.raises(RecipeError, match=said):
        checked()


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(scored.MODEL / "model_opt_trained", folder)
    shutil.copy(scored.ROOT / "examples" / "tokenizer" / "tokenizer.json", folder / "tokenizer.json")
    recipe = scored.recipe(tmp_path)
    model = recipe.score.model.model_copy(update={"weights": Weights.of(folder)})
    with pytest.raises(RecipeError, match="does not belong to the model"):
        reader_of(recipe.score.model_copy(update={"model": model}), recipe.encode)


def test_a_model_that_is_not_there_is_refused_with_the_way_to_get_it(tmp_path):
    path = tmp_path / "r.toml"
    scored.recipe(tmp_path)
    path.write_text((tmp_path / "scored.toml").read_text().replace("model_opt_trained", "gone"))
    with pytest.raises(RecipeError, match=r"gone.*no such folder or file"):
        load(path)


@pytest.mark.parametrize(
    ("by", "gone", "message"),
    [
        ("chunk_gain", "[score]", r"chunk_gain needs the section \[score\]; add it"),
        ("random", "[score]", r"random needs the section \[score\]; add it"),
        ("recurrence", "[screen]", r"recurrence needs the section \[screen\]; add it"),
        ("lds", "", r"plan\.select\.by: unknown selector 'lds'; choose one of chunk_gain"),
    ],
)
def test_a_plan_that_selects_by_a_score_needs_it(tmp_path, by, gone, message):
    path = tmp_path / "r.toml"
    text = (scored.ROOT / "mixes" / "tiny.toml").read_text().replace("../examples", str(scored.ROOT / "examples"))
    text = text.replace("[screen]", "") if gone == "[screen]" else text
    path.write_text(text.replace("[pack]", f'[plan.select]\nby = "{by}"\ntop_share = 0.3\n[pack]', 1))
    with pytest.raises(RecipeError, match=message):
        load(path)
