"""What is published: the folder, its manifest, and nothing when the version is there already."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines import publish
from pipelines.publish import LIBRARIES, file_names
from pipelines.recipe import load
from pipelines.store import Store, files
from pipelines.versions import tables_of, tokenizer_of
from schemas.errors import DamagedError, LawError, RecipeError
from schemas.manifest import KEPT, Manifest
from tests.conftest import TINY


@pytest.fixture
def root(tiny, tmp_path):
    shutil.copytree(tiny.folder.parents[2], tmp_path / "root", symlinks=True)
    return tmp_path / "root"


@pytest.fixture
def folder(root, tiny) -> Path:
    return root / "datasets" / "tiny" / tiny.version


def published(root, tables=None):
    """Publish the tables of the version once more."""
    own = tables_of(root / "datasets" / "tiny" / "latest") if tables is None else tables
    return publish.run(load(TINY), None, own, Store(root), ())


def test_the_folder_holds_what_the_card_says(folder):
    manifest = Manifest.of(folder)
    pages = {"README.md", "catalog.duckdb", "manifest.json", "report.html", "tokenizer.json"}
    assert {path.name for path in folder.iterdir()} == pages | set(manifest.files)
    assert (folder.parent / "latest").readlink() == Path(folder.name)
    assert manifest.marks == {"eos_id": 0, "bos_id": None}
    assert set(manifest.built) == {"at", "python", *LIBRARIES}
    assert set(manifest.kept) <= set(KEPT)
    assert not set(manifest.kept) & set(manifest.tables)


def test_each_published_file_is_its_shard_of_sequences(root, folder):
    manifest = Manifest.of(folder)
    shards = tables_of(folder)["SEQUENCES"]
    for (name, content_hash), shard, listed in zip(
        manifest.files.items(), shards, manifest.tables["SEQUENCES"], strict=True
    ):
        assert content_hash == shard.content_hash
        assert files.seal(folder / name) == files.seal(Store(root).path(shard))
        assert files.seal(folder / name) == {"n_bytes": listed.n_bytes, "xxh3_128": listed.xxh3_128}


def test_the_files_are_numbered_in_their_order(folder):
    shards = tables_of(folder)["SEQUENCES"] * 3
    names = [f"sequences-{i:05d}-of-{len(shards):05d}.parquet" for i in range(len(shards))]
    assert file_names({"SEQUENCES": shards}) == list(zip(names, shards, strict=True))
    messages = [("messages-00000-of-00001.parquet", shards[0])]
    assert file_names({"MESSAGES": shards[:1], "SFT_SEQUENCES": shards}) == [
        *zip(names, shards, strict=True),
        *messages,
    ]


def test_a_version_that_is_there_is_left_as_it_is(root, folder):
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    version = published(root)
    assert (version.folder, version.is_new) == (folder, False)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_version_that_lacks_a_file_is_published_again(root, folder):
    (folder / "report.html").unlink()
    version = published(root)
    assert (version.folder, version.is_new) == (folder, True)
    assert (folder / "report.html").stat().st_size > 1_000
    assert [path.name for path in folder.parent.iterdir() if path.name.endswith(".part")] == []


def test_the_tokenizer_of_the_recipe_is_published(folder):
    assert (folder / "tokenizer.json").read_bytes() == Path(load(TINY).encode.tokenizer.path).read_bytes()
    assert tokenizer_of(folder, Manifest.of(folder)).hash == load(TINY).encode.tokenizer.hash


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes() + b" ")])
def test_another_tokenizer_or_none_is_an_error_until_the_version_is_published_again(root, folder, damage):
    damage(folder / "tokenizer.json")
    with pytest.raises(RecipeError, match=r"tokenizer.json: (not the tokenizer of the version's recipe|can't be read)"):
        tokenizer_of(folder, Manifest.of(folder))
    assert published(root).is_new
    assert tokenizer_of(folder, Manifest.of(folder)).hash == load(TINY).encode.tokenizer.hash


def test_what_only_a_refresh_needs_is_no_part_of_the_version(root, folder):
    tables = tables_of(folder)
    version = published(root, {**tables, "NEAR": tables["DUPLICATES"][:1]})
    assert (version.folder, version.is_new) == (folder, False)


def test_tables_that_break_a_law_are_not_published(root, folder):
    tables = tables_of(folder)
    with pytest.raises(LawError, match="nothing was published"):
        published(root, {**tables, "TOKENS": tables["TOKENS"][::-1]})
    assert json.loads((folder / "manifest.json").read_bytes())["version"] == folder.name
    assert {path.name for path in folder.parent.iterdir() if path.name[0] != "."} == {folder.name, "latest"}


def test_a_damaged_shard_is_not_published(root, folder):
    tables = tables_of(folder)
    path = Store(root).path(tables["TOKENS"][0])
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    (folder / "report.html").unlink()
    with pytest.raises(DamagedError, match=f"TOKENS/{path.stem}"):
        published(root)
