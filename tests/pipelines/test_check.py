"""longmix check: it sees every kind of damage, names the file and the repair, and the repair works."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from flows.cli import app
from pipelines.build import build
from pipelines.check import check
from pipelines.recipe import load
from schemas.errors import RecipeError
from tests.conftest import TINY
from tests.rot import flip


@pytest.fixture
def root(tiny, tmp_path):
    shutil.copytree(tiny.folder.parents[2], tmp_path / "root", symlinks=True)
    return tmp_path / "root"


def faults(root):
    return [result.fault for result in check(root) if result.fault]


def one(root, pattern):
    return min(root.glob(pattern))


def test_an_undamaged_root_has_no_faults_and_every_byte_is_read(root):
    results = list(check(root))
    assert [result.fault for result in results if result.fault] == []
    n_bytes = sum(path.stat().st_size for path in root.glob("shards/*/*/*.parquet"))
    assert sum(result.n_bytes for result in results) > n_bytes


DAMAGE = {
    "a flipped byte of a shard": (lambda root: flip(one(root, "shards/TOKENS/*/*.parquet")), "differs from its seal"),
    "a missing shard": (lambda root: one(root, "shards/DOCUMENTS/*/*.parquet").unlink(), "missing"),
    "a shard kept for the next refresh": (lambda root: flip(one(root, "shards/NEAR/*/*.parquet")), "differs"),
    "a missing seal": (lambda root: one(root, "shards/DRAWS/*/*.seal").unlink(), "its seal is missing or unreadable"),
    "a torn seal": (lambda root: one(root, "shards/DRAWS/*/*.seal").write_text('{"n_b'), "its seal is missing"),
    "a torn action": (lambda root: one(root, "actions/encode/*/*.json").write_text("{"), "not a readable record"),
    "a flipped bit of an action": (lambda root: flip(one(root, "actions/encode/*/*.json")), "not a readable record"),
    "a flipped bit of a page": (lambda root: flip(one(root, "datasets/tiny/[0-9a-f]*/README.md")), "differs from its"),
    "a flipped bit of the catalog": (lambda root: flip(one(root, "datasets/tiny/[0-9a-f]*/catalog.duckdb")), "differs"),
    "a missing page": (lambda root: one(root, "datasets/tiny/[0-9a-f]*/report.html").unlink(), "missing"),
    "another tokenizer": (
        lambda root: one(root, "datasets/tiny/[0-9a-f]*/tokenizer.json").write_text("{}"),
        "differs from its checksum",
    ),
    "a published file": (lambda root: flip(one(root, "datasets/tiny/[0-9a-f]*/sequences-*")), "differs from its"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_the_repair_works(root, damage, tiny):
    harm, finding = DAMAGE[damage]
    harm(root)
    seen = faults(root)
    assert any(fault.finding.startswith(finding) for fault in seen), seen
    assert all("longmix build RECIPE --root" in f.remedy or "a build that needs it" in f.remedy for f in seen), seen
    version = build(load(TINY), root, verify=True)
    assert version.version == tiny.version
    assert faults(root) == []


def test_a_damaged_manifest_is_found(root, tiny):
    path = root / "datasets" / "tiny" / tiny.version / "manifest.json"
    path.write_text(path.read_text()[:-100])
    (fault,) = faults(root)
    assert (fault.path, fault.finding) == (f"datasets/tiny/{tiny.version}/manifest.json", "not a readable manifest")


def test_a_shard_that_no_version_lists_is_for_gc(root):
    source = one(root, "shards/DRAWS/*/*.parquet")
    path = source.with_name("0" * 32 + ".parquet")
    shutil.copyfile(source, path)
    path.with_suffix(".seal").write_text(json.dumps({"n_bytes": 1, "xxh3_128": "0"}))
    (fault,) = faults(root)
    assert fault.remedy == f"no version lists it: longmix gc --root {root}"


def test_the_command_prints_a_line_a_fault_and_fails(root):
    assert CliRunner().invoke(app, ["check", str(root)]).exit_code == 0
    flip(one(root, "shards/TOKENS/*/*.parquet"))
    result = CliRunner().invoke(app, ["check", str(root)])
    assert result.exit_code == 1
    *lines, total = result.stdout.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("shards/TOKENS/")
    assert "1 damaged or missing" in total


def test_a_folder_without_a_build_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="no mix was built there"):
        list(check(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_reads_a_damaged_shard_makes_it_again(root, tiny):
    """Without --verify: encode must run again and reads DOCUMENTS, one of which is damaged."""
    shutil.rmtree(root / "actions" / "encode")
    path = one(root, "shards/DOCUMENTS/*/*.parquet")
    flip(path)
    version = build(load(TINY), root)
    assert version.version == tiny.version
    assert version.mended == (f"DOCUMENTS/{path.stem}",)
    assert faults(root) == []


def test_a_build_that_lists_a_shard_of_another_length_makes_it_again(root, tiny):
    path = one(root, "shards/SIGNATURES/*/*.parquet")
    path.write_bytes(path.read_bytes()[:-1])
    version = build(load(TINY), root)
    assert (version.version, version.mended) == (tiny.version, (f"SIGNATURES/{path.stem}",))


def test_a_build_that_only_lists_does_not_read(root, tiny):
    flip(one(root, "shards/TOKENS/*/*.parquet"))
    version = build(load(TINY), root)
    assert (version.version, version.mended) == (tiny.version, ())
    assert len(faults(root)) == 1
