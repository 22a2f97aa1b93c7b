"""gc removes what no version lists and keeps what a reader or the next refresh needs."""

import json
import shutil

import pytest

from pipelines.build import build
from pipelines.garbage import collect, leads_to, listed_hashes
from pipelines.recipe import load
from pipelines.store import Store
from pipelines.store.lock import locked
from schemas.errors import BusyError, RecipeError, SchemaError
from schemas.manifest import Manifest
from tests.conftest import TINY
from tests.kills import contents


@pytest.fixture
def root(tiny, tmp_path):
    return shutil.copytree(tiny.folder.parents[2], tmp_path / "root", symlinks=True)


def stray(root) -> int:
    """Put a shard with its seal and two actions there that no version lists. Returns how many bytes they are."""
    store = Store(root)
    (listed,) = Manifest.of(root / "datasets" / "tiny" / "latest").tables["SEQUENCES"]
    shard = store.find("encode", next((root / "actions" / "encode").rglob("*.json")).stem)[0]
    first = store.read(shard).slice(0, 1)
    extra = store.write("TOKENS", first)
    store.commit("encode", "ab" * 16, [extra])
    store.commit("encode", "cd" * 16, [extra, shard])  # one of its shards is listed
    assert listed.content_hash != extra.content_hash
    paths = [store.path(extra), store.seal_path(extra), *(store.action_path("encode", c * 16) for c in ("ab", "cd"))]
    return sum(path.stat().st_size for path in paths)


def test_what_no_version_lists_is_removed_and_nothing_else(root):
    before = contents(root)
    n_bytes = stray(root)
    with_stray = contents(root)
    assert collect(root, dry_run=True) == (4, n_bytes)
    assert contents(root) | {"lock": ""} == with_stray | {"lock": ""}
    assert collect(root, dry_run=False) == (4, n_bytes)
    assert contents(root) | {"lock": ""} == before | {"lock": ""}
    assert collect(root, dry_run=False) == (0, 0)


def test_every_shard_that_stays_is_listed_and_every_action_leads_to_such(root):
    stray(root)
    collect(root, dry_run=False)
    manifest = Manifest.of(root / "datasets" / "tiny" / "latest")
    tables = [*manifest.tables.values(), *manifest.kept.values()]
    listed = {shard.content_hash for shards in tables for shard in shards}
    assert listed == listed_hashes(root)
    assert {p.stem for p in root.glob("shards/*/*/*")} == listed
    assert {p.suffix for p in root.glob("shards/*/*/*")} == {".parquet", ".seal"}
    actions = list(root.glob("actions/**/*.json"))
    assert all(leads_to(action, listed) for action in actions)
    assert len({action.parts[-3] for action in actions}) >= 7


def test_after_gc_a_build_and_a_refresh_make_nothing_again(root, tiny):
    """The verdicts on near duplicates are kept for it, though no reader needs them."""
    assert "NEAR" in Manifest.of(tiny.folder).kept
    collect(root, dry_run=False)
    for base in (None, root / "datasets" / "tiny" / tiny.version):
        assert not build(load(TINY), root, base=base).is_new
        events = [json.loads(line) for line in (root / "progress.jsonl").read_text().splitlines()]
        assert {event["stage"] for event in events if event["event"] == "made"} <= (
            {"dedup", "order"} if base else set()
        )


def test_all_versions_count(root, tiny):
    """Not the newest alone."""
    other = root / "datasets" / "other" / tiny.version
    shutil.copytree(tiny.folder, other)
    shutil.rmtree(root / "datasets" / "tiny")
    assert collect(root, dry_run=False) == (0, 0)


@pytest.mark.parametrize("damage", ["no manifest", "half a manifest", "no version"])
def test_a_version_that_cannot_be_read_stops_gc_and_nothing_is_removed(root, tiny, damage):
    """Without its manifest its shards are listed nowhere."""
    stray(root)
    folder = root / "datasets" / "tiny" / tiny.version
    manifest = folder / "manifest.json"
    if damage == "no manifest":
        manifest.unlink()
    elif damage == "half a manifest":
        manifest.write_bytes(manifest.read_bytes()[:1000])
    else:
        shutil.rmtree(root / "datasets")
    before = contents(root)
    with pytest.raises((RecipeError, SchemaError), match=str(root)):
        collect(root, dry_run=False)
    assert contents(root) | {"lock": ""} == before | {"lock": ""}


def test_the_folder_of_a_publication_that_was_killed_goes_with_the_next_build(root, tiny):
    part = root / "datasets" / "other" / ".0123456789ab.part"
    part.mkdir(parents=True)
    (part / "sequences-00000-of-00001.parquet").write_bytes(b"PAR1")
    assert collect(root, dry_run=True) == (0, 0)  # it is no version
    build(load(TINY), root)
    assert not part.exists()
    assert (root / "datasets" / "tiny" / tiny.version).is_dir()


def test_an_end_in_the_middle_leaves_no_action_without_its_shards(root, monkeypatch):
    """Actions go first."""
    stray(root)
    unlink, removed = type(root).unlink, []

    def failing(path, **options):
        if len(removed) == 3:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path, **options)

    monkeypatch.setattr(type(root), "unlink", failing)
    with pytest.raises(KeyboardInterrupt):
        collect(root, dry_run=False)
    assert [path.suffix for path in removed[:2]] == [".json", ".json"]
    store = Store(root)
    for action in root.glob("actions/**/*.json"):
        assert store.find(action.parts[-3], action.stem) is not None


def test_a_root_without_a_build_or_with_one_that_runs_is_refused(root, tmp_path):
    with pytest.raises(RecipeError, match=rf"^{tmp_path}/none: no mix was built there; name the --root of a build$"):
        collect(tmp_path / "none", dry_run=False)
    assert not (tmp_path / "none").exists()
    before = contents(root)
    with (
        locked(root, "a build of 'tiny'", "--root"),
        pytest.raises(BusyError, match="a build of 'tiny' holds it since"),
    ):
        collect(root, dry_run=False)
    assert contents(root) | {"lock": ""} == before | {"lock": ""}
