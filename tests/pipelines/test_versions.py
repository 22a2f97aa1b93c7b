"""Published versions are found by mix and name, and one that lacks a byte is not whole."""

import json
import shutil

import pytest

from pipelines.versions import (
    Version,
    damaged_files,
    earlier_tables,
    find_version,
    latest,
    point_latest,
    possible_bases,
    published,
    remove,
    remove_parts,
    shards_of,
    tables_of,
)
from schemas.errors import RecipeError, SchemaError
from schemas.manifest import Manifest
from tests.rot import flip


@pytest.fixture
def root(tiny, tmp_path):
    """A root with one version, to be changed; without its shards."""
    folder = tmp_path / "root" / "datasets"
    shutil.copytree(tiny.folder.parents[1], folder, symlinks=True)
    return tmp_path / "root"


def version_in(root, mix, version, base=None):
    """A version of which there is a manifest alone; `latest` leads to it."""
    folder = root / "datasets" / mix / version
    folder.mkdir(parents=True)
    manifest = Manifest(mix=mix, version=version, base=base, recipe={}, tables={}, files={}, built={})
    (folder / "manifest.json").write_text(json.dumps(manifest.record()))
    point_latest(folder)
    return folder


def test_a_version_is_found_by_its_root_its_mix_or_its_own_folder(tiny, root):
    folder = root / "datasets" / "tiny" / tiny.version
    assert find_version(root) == find_version(root, "tiny") == find_version(root, None, tiny.version) == folder
    assert find_version(folder) == folder
    version_in(root, "other", "b" * 12)
    with pytest.raises(RecipeError, match=rf"^{root}: holds other, tiny; choose with --mix$"):
        find_version(root)
    assert find_version(root, "tiny") == folder
    assert find_version(root, "other").name == "b" * 12


def test_what_is_not_there_is_named(root, tmp_path):
    with pytest.raises(
        RecipeError, match=rf"^{tmp_path}: holds no dataset; build one first, or name the --root of a build$"
    ):
        find_version(tmp_path)
    with pytest.raises(RecipeError, match=r"root: 0{12}: no such version; the root holds tiny [0-9a-f]{12}$"):
        find_version(root, "tiny", "0" * 12)
    with pytest.raises(RecipeError, match=r"root: none: no such mix; the root holds tiny$"):
        find_version(root, "none")


def test_the_tables_of_a_version_are_its_shards(tiny):
    manifest, tables = Manifest.of(tiny.folder), tables_of(tiny.folder)
    assert tables == shards_of(manifest)
    assert tables.keys() == manifest.tables.keys() >= {"DOCUMENTS", "TOKENS", "SEQUENCES"}
    for name, shards in tables.items():
        assert [(s.table, s.content_hash, s.n_rows, s.came_from) for s in shards] == [
            (name, s.content_hash, s.n_rows, s.came_from) for s in manifest.tables[name]
        ]
    assert tables_of(None) == {}


@pytest.mark.parametrize("name", ["sequences-00000-of-00001.parquet", "catalog.duckdb", "README.md", "report.html"])
@pytest.mark.parametrize("verify", [False, True])
def test_a_version_without_one_of_its_files_is_not_whole(tiny, root, name, verify):
    folder = root / "datasets" / "tiny" / tiny.version
    assert damaged_files(folder, verify=verify) == []
    (folder / name).unlink()
    assert damaged_files(folder, verify=verify) == [name]


@pytest.mark.parametrize("name", ["catalog.duckdb", "README.md", "report.html", "tokenizer.json"])
@pytest.mark.parametrize("verify", [False, True])
def test_a_changed_byte_of_a_page_is_always_seen(tiny, root, name, verify):
    folder = root / "datasets" / "tiny" / tiny.version
    flip(folder / name)
    assert damaged_files(folder, verify=verify) == [name]


def test_a_changed_byte_is_seen_with_verify_and_a_missing_one_always(tiny, root):
    folder = root / "datasets" / "tiny" / tiny.version
    path = folder / "sequences-00000-of-00001.parquet"
    raw = path.read_bytes()
    path.unlink()  # it is a hard link
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert damaged_files(folder, verify=False) == []
    assert damaged_files(folder, verify=True) == [path.name]
    for other_length in (raw[:-1], raw + b"x"):
        path.write_bytes(other_length)
        assert damaged_files(folder, verify=False) == [path.name]


@pytest.mark.parametrize("text", ["", "{", "{}", '{"mix": "tiny"}'])
def test_a_version_whose_manifest_is_damaged_is_not_whole(tiny, root, text):
    folder = root / "datasets" / "tiny" / tiny.version
    (folder / "manifest.json").write_text(text)
    assert damaged_files(folder, verify=False) == ["manifest.json"]
    with pytest.raises(SchemaError, match=r"manifest\.json: not a readable manifest .*; build the mix again"):
        tables_of(folder)


def test_a_manifest_that_lists_other_files_than_its_table_is_not_whole(tiny, root):
    path = root / "datasets" / "tiny" / tiny.version / "manifest.json"
    manifest = Manifest.of(path.parent).model_copy(update={"files": {}})
    path.write_text(json.dumps(manifest.record()))
    assert damaged_files(path.parent, verify=False) == ["manifest.json"]


def test_latest_leads_to_the_newest_version(root):
    assert latest(root, "other") is None
    for version in ("b" * 12, "a" * 12):
        folder = version_in(root, "other", version)
        assert latest(root, "other") == folder
    assert (root / "datasets" / "other" / "latest").readlink().as_posix() == "a" * 12  # relative: a root can be moved
    (root / "datasets" / "other" / ("a" * 12) / "manifest.json").unlink()
    assert latest(root, "other") is None


def test_the_bases_that_a_build_may_have_had(root):
    assert possible_bases(root, "other") == [None]
    first = version_in(root, "other", "a" * 12)
    assert possible_bases(root, "other") == [None, first]
    second = version_in(root, "other", "b" * 12, base="a" * 12)
    assert possible_bases(root, "other") == [None, first, second]
    (first / "manifest.json").unlink()  # removed by hand: its tables are unknown
    assert possible_bases(root, "other") == [None, second]


def test_the_tables_whose_rows_a_build_may_copy(tiny, root):
    """The base's, else the newest version's; an unreadable one has none, and stops no build."""
    assert earlier_tables(root, "none", None) == {}
    assert earlier_tables(root, "tiny", None) == tables_of(tiny.folder)
    assert earlier_tables(root, "none", tiny.folder) == tables_of(tiny.folder)
    newest = version_in(root, "tiny", "b" * 12)
    assert earlier_tables(root, "tiny", None) == tables_of(newest) != tables_of(tiny.folder)
    assert earlier_tables(root, "tiny", tiny.folder) == tables_of(tiny.folder)
    (newest / "manifest.json").write_text("{")
    assert earlier_tables(root, "tiny", None) == {}


def test_a_version_prints_as_its_folder(tiny):
    version = Version(tiny.folder, "tiny", tiny.version, is_new=False)
    assert str(version) == str(tiny.folder)
    assert version.mended == ()
    assert version.reused == {}


def test_a_version_is_found_by_the_beginning_of_its_name(root):
    for mix, version in (("other", "abc1" + "0" * 8), ("other", "abd2" + "0" * 8), ("third", "abc3" + "0" * 8)):
        version_in(root, mix, version)
    assert find_version(root, "other", "abc").name == "abc1" + "0" * 8
    assert find_version(root, None, "abd").name == "abd2" + "0" * 8  # no --mix needed
    with pytest.raises(RecipeError, match=r"'abc' begins several versions: other abc10{8}, third abc30{8}; write more"):
        find_version(root, None, "abc")
    with pytest.raises(RecipeError, match=r"'ab' begins several versions: other abc10{8}, other abd20{8}; write more"):
        find_version(root, "other", "ab")
    for version in ("", "bd", ".", "*"):
        with pytest.raises(RecipeError, match=r": no such version; the root holds other abc10{8}, other abd20{8}$"):
            find_version(root, "other", version)
    version_in(root, "other", "abc")
    assert find_version(root, "other", "abc").name == "abc"  # its own name goes before a beginning


def built(root, version, at):
    folder = version_in(root, "other", version)
    manifest = Manifest.of(folder).model_copy(update={"built": {"at": at}})
    (folder / "manifest.json").write_text(json.dumps(manifest.record()))
    return folder


def test_latest_leads_to_the_newest_that_remains(root):
    first, third, second = (built(root, v * 12, f"2026-01-0{day}") for v, day in (("b", 1), ("a", 3), ("c", 2)))
    point_latest(third)
    assert remove(third) == second
    assert latest(root, "other") == second
    assert not third.exists()
    assert remove(first) == second  # an older one leaves `latest` as it is
    assert latest(root, "other") == second
    assert remove(second) is None
    assert not (root / "datasets" / "other").exists()
    assert [folder.parent.name for folder in published(root)] == ["tiny"]


def test_a_removal_that_is_killed_leaves_no_half_of_a_version(root, monkeypatch):
    folder = built(root, "a" * 12, "2026-01-01")
    built(root, "b" * 12, "2026-01-02")
    monkeypatch.setattr("pipelines.versions.shutil.rmtree", lambda *_, **__: None)
    remove(folder)
    assert [folder.name for folder in published(root) if folder.parent.name == "other"] == ["b" * 12]
    monkeypatch.undo()
    remove_parts(root)
    assert sorted(path.name for path in (root / "datasets" / "other").iterdir()) == ["b" * 12, "latest"]
