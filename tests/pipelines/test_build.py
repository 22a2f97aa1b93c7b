"""The graph of stages: what is handed to which stage, what a damaged shard costs, and what is refused."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from flows.opened import opened
from pipelines import build as module
from pipelines import order
from pipelines.build import build, corpus, mix, model_tokens, ordered, scores
from pipelines.catalog import check_laws
from pipelines.recipe import load
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from pipelines.store.lock import FILE, locked
from pipelines.versions import latest, tables_of
from schemas.errors import BusyError, DamagedError, NotMade, RecipeError, StageError
from schemas.manifest import Manifest
from tests import micro, scored
from tests.kills import contents, fingerprint


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A recipe, the root of its build, and the version."""
    folder = tmp_path_factory.mktemp("built")
    recipe = micro.recipe(folder)
    return recipe, folder / "root", build(recipe, folder / "root")


@pytest.fixture
def root(built, tmp_path):
    return shutil.copytree(built[1], tmp_path / "root", symlinks=True)


def events(root, kind):
    lines = map(json.loads, (root / "progress.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == kind]


def shard_paths(root) -> dict[str, Path]:
    """The first shard of each table of the version."""
    manifest = Manifest.of(root / "datasets" / "micro" / "latest")
    tables = {**manifest.tables, **manifest.kept}
    store, listed = Store(root), tables.items()
    return {name: store.root / "shards" / name / s[0].content_hash[:2] / f"{s[0].content_hash}.parquet" for name, s in listed if s}  # fmt: skip


def damage(path: Path) -> str:
    """Change bytes of a shard, not its length. Returns TABLE/HASH."""
    raw = path.read_bytes()
    path.write_bytes(raw[:-9] + b"x" * 9)
    return f"{path.parts[-3]}/{path.stem}"


# -- the graph


def test_every_stage_is_wrapped_in_their_order(built, root):
    names = []

    def stage(run):
        names.append(run.__module__)
        return run

    version = build(built[0], root, stage=stage)
    assert names == [f"pipelines.{n}" for n in ("ingest", "dedup", "encode", "screen", "plan", "pack", "publish")]
    assert (version.version, version.is_new, version.mended) == (built[2].version, False, ())


def test_a_version_lists_the_tables_that_the_graph_made(built):
    recipe, root, version = built
    tables = tables_of(version.folder)
    engine = Engine.looking(root)
    graph = corpus(recipe, engine, {})
    graph |= scores(recipe, graph, engine, {})
    graph |= mix(recipe, graph, engine, {})
    kept = Manifest.of(version.folder).kept
    assert {name: shards for name, shards in graph.items() if name not in kept} == tables
    assert [s.content_hash for s in graph["NEAR"]] == [s.content_hash for s in kept["NEAR"]]


def test_looking_makes_no_stage_and_changes_nothing(built, root, tmp_path):
    before = contents(root)
    engine = Engine.looking(root)
    corpus(built[0], engine, {})
    shutil.rmtree(root / "actions" / "encode")
    with pytest.raises(NotMade, match=r"^encode$"):
        corpus(built[0], engine, {})
    assert contents(root) == {path: h for path, h in before.items() if not path.startswith("actions/encode/")}
    with pytest.raises(NotMade, match=r"^ingest$"):
        corpus(built[0], Engine.looking(tmp_path / "none"), {})
    assert not (tmp_path / "none").exists()


def test_a_model_with_its_own_tokenizer_reads_tokens_of_its_own(tmp_path):
    recipe, engine = scored.recipe(tmp_path), Engine(Store(tmp_path), Runner(workers=1))
    asked = []

    def stage(run):
        def pretend(*arguments):
            asked.append((run.__module__, arguments[2].tokenizer.path))
            return ["made"]

        return pretend

    tables = {"DOCUMENTS": [], "DUPLICATES": [], "TOKENS": ["the recipe's"]}
    assert model_tokens(recipe, tables, engine, stage) == ["made"]
    assert asked == [("pipelines.encode", f"{scored.MODEL}/model_opt_trained/tokenizer.json")]
    assert model_tokens(recipe.model_copy(update={"score": None}), tables, engine, stage) == ["the recipe's"]
    assert len(asked) == 1


SEGMENTS = """
SELECT document_start = 0, input_ids[sequence_start + 1] = 1, document_stop = d.n_tokens, input_ids[sequence_stop] = 0,
    len(list_filter(input_ids[sequence_start + 2 : sequence_stop - 1], lambda id: id < 2))
FROM segments JOIN tables.sequences USING (sequence_id) JOIN documents d USING (document_id) WHERE d.verdict = 'kept'
"""
SCORES = "SELECT * EXCLUDE (n_tokens, length_bucket) FROM scores ORDER BY document_id"
LENGTHS = "SELECT document_id, n_tokens FROM documents WHERE token_status = 'encoded' ORDER BY document_id"


def test_a_bos_begins_every_document_and_changes_no_score(built, tmp_path):
    """A segment has BOS exactly if it begins at the start of its document, and EOS exactly if it reaches the end."""
    recipe = micro.recipe(tmp_path, encode='bos_token = "<|im_start|>"')
    version = build(recipe, tmp_path / "root")
    with opened(version.folder, None, "latest") as (con, manifest, _):
        check_laws(con)
        segments, scores, lengths = (con.execute(query).fetchall() for query in (SEGMENTS, SCORES, LENGTHS))
    with opened(built[2].folder, None, "latest") as (con, _, _):
        plain_scores, plain_lengths = (con.execute(query).fetchall() for query in (SCORES, LENGTHS))
    assert all((starts, stops, 0) == (bos, eos, inside) for starts, bos, stops, eos, inside in segments)
    assert {(starts, stops) for starts, _, stops, _, _ in segments} >= {(True, True), (True, False), (False, True)}
    assert manifest.marks == {"eos_id": 0, "bos_id": 1}
    assert scores == plain_scores
    assert lengths == [(name, n + 1) for name, n in plain_lengths]


# -- damage


@pytest.mark.parametrize("table", ["DOCUMENTS", "SIGNATURES", "DUPLICATES", "NEAR", "TOKENS", "SCORES_CHEAP", "DRAWS", "SEQUENCES"])  # fmt: skip
def test_a_shard_whose_bytes_changed_is_found_by_verify_named_and_made_again(built, root, table):
    name = damage(shard_paths(root)[table])
    if table == "DOCUMENTS":  # the account of the sources reads its footer, which is damaged
        assert build(built[0], root).mended == (name,)
        return
    assert build(built[0], root).mended == ()  # a shard that is only listed is compared by size
    version = build(built[0], root, verify=True)
    assert version.mended == (name,)
    assert fingerprint(root) == fingerprint(built[1])


def test_a_shard_that_is_read_is_verified_without_being_asked_for(built, root):
    """encode is missing, so that DOCUMENTS and DUPLICATES are read."""
    shutil.rmtree(root / "actions" / "encode")
    names = [damage(shard_paths(root)[table]) for table in ("DOCUMENTS", "DUPLICATES")]
    version = build(built[0], root)
    assert set(version.mended) == set(names)
    assert fingerprint(root) == fingerprint(built[1])


def test_what_is_published_was_verified(built, root):
    """A new version of shards that exist already, which no stage had to read."""
    name = damage(shard_paths(root)["SEQUENCES"])
    shutil.rmtree(root / "datasets")
    assert build(built[0], root).mended == (name,)
    assert fingerprint(root) == fingerprint(built[1])


def test_a_missing_shard_is_made_again_and_named(built, root):
    path = shard_paths(root)["TOKENS"]
    path.unlink()
    assert build(built[0], root).mended == (f"TOKENS/{path.stem}",)
    assert fingerprint(root) == fingerprint(built[1])


def test_a_disk_that_loses_everything_is_not_fought(built, root, monkeypatch):
    monkeypatch.setattr(module, "MAX_DAMAGED", 3)
    tries = []

    def lost(_, engine, *__):
        tries.append(f"TOKENS/{len(tries):032x}")
        engine.damaged.append(tries[-1])
        raise DamagedError(f"{tries[-1]}: the file is missing or differs from its seal; run the build again")

    monkeypatch.setattr(module, "graph", lost)
    with pytest.raises(DamagedError):
        build(built[0], root)
    assert len(tries) == 3


def test_a_damaged_shard_of_the_base_ends_a_refresh_and_names_the_way_out(built, root, monkeypatch):
    """The refresh reads the base's verdicts and makes its own: discarding the base's brings nothing back."""
    name, base = damage(shard_paths(root)["DUPLICATES"]), latest(root, "micro")
    discard, discarded = Store.discard, []

    def counted(store, error):
        assert len(discarded) < 2, "tried for ever"
        discarded.append(discard(store, error))
        return discarded[-1]

    monkeypatch.setattr(Store, "discard", counted)
    with pytest.raises(StageError, match=f"^{name}: .* run longmix build, which needs no base"):
        build(built[0], root, base=base)
    assert discarded == [name, name]
    assert build(built[0], root, verify=True).mended == (name,)
    assert build(built[0], root, base=base).version == built[2].version


# -- what is refused


def test_a_root_that_another_process_holds_is_refused(built, root):
    before = contents(root)
    with locked(root, "gc", "--root"), pytest.raises(BusyError, match=r"gc holds it since .*; wait for it or choose"):
        build(built[0], root)
    assert {k: v for k, v in contents(root).items() if k != FILE} == {k: v for k, v in before.items() if k != FILE}


def test_the_build_holds_its_root_by_its_name(built, root):
    def stage(run):
        def refused(*arguments):
            with pytest.raises(BusyError, match="a build of 'micro' holds it"), locked(root, "gc", "--root"):
                pytest.fail("locked twice")
            return run(*arguments)

        return refused

    build(built[0], root, stage=stage)
    with locked(root, "gc", "--root"):
        pass


def test_an_error_in_a_stage_comes_out_and_frees_the_root(built, root):
    def stage(run):
        def broken(*_):
            raise StageError(run.__module__)

        return broken if run.__module__ == "pipelines.plan" else run

    with pytest.raises(StageError, match=r"^pipelines\.plan$"):
        build(built[0], root, stage=stage)
    assert build(built[0], root).version == built[2].version


def test_a_model_that_does_not_fit_is_refused_before_the_root_is_touched(tmp_path):
    recipe = scored.recipe(tmp_path)
    too_long = recipe.score.model_copy(update={"chunk_tokens": 10**6})
    with pytest.raises(RecipeError):
        build(recipe.model_copy(update={"score": too_long}), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_relative_root_is_one_below_the_working_folder(built, root, monkeypatch):
    monkeypatch.chdir(root.parent)
    assert build(built[0], Path("root")).folder == root / "datasets" / "micro" / built[2].version


def test_a_corpus_without_a_document_is_an_error_of_one_line(tmp_path):
    recipe = load(micro.write(tmp_path))
    for path in (tmp_path / "corpus").rglob("*.*"):
        path.write_text("\n")
    with pytest.raises(RecipeError) as error:
        build(recipe, tmp_path / "root")
    assert "\n" not in str(error.value)


def test_a_packer_that_ignores_the_path_is_noted_once(tmp_path):
    """Stages are replaced by ones that make nothing."""
    recipe = load("mixes/tiny.toml")
    engine = Engine.looking(tmp_path)

    def nothing(run):
        return lambda *_: {} if run is order.run else ([], [])

    for packer, n_notes in (("in_order", 0), ("best_fit", 1), ("best_fit", 1)):
        of_packer = recipe.model_copy(update={"pack": recipe.pack.model_copy(update={"packer": packer})})
        ordered(of_packer, defaultdict(list), engine, {}, nothing)
        assert len(engine.notes) == n_notes
