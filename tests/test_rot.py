"""A flipped bit in any file of a root is seen: the next build or refresh makes the same version, or says what is damaged."""

import json
import shutil

import pytest

from pipelines.build import build
from pipelines.check import check
from pipelines.recipe import load
from pipelines.versions import latest
from schemas.errors import LongmixError, StageError
from schemas.manifest import Manifest
from tests import micro
from tests.kills import fingerprint
from tests.rot import flip

KINDS = [
    "shards/*/*/*.parquet",
    "shards/*/*/*.seal",
    "actions/*/*/*.json",
    "datasets/micro/[0-9a-f]*/manifest.json",
    "datasets/micro/[0-9a-f]*/README.md",
    "datasets/micro/[0-9a-f]*/report.html",
    "datasets/micro/[0-9a-f]*/catalog.duckdb",
    "datasets/micro/[0-9a-f]*/tokenizer.json",
    "datasets/micro/[0-9a-f]*/sequences-*.parquet",
]


TRIED = {"shards": ("BACKGROUND", "DOCUMENTS", "TOKENS", "SEQUENCES"), "actions": ("ingest", "encode", "pack")}
READ_OF_A_BASE = ["BACKGROUND", "CENTROIDS", "DUPLICATES", "NEAR", "SIGNATURES", "TOKENS"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with a recipe, its corpus, and a root with a version of it and one of a refresh with one document more."""
    folder = tmp_path_factory.mktemp("rot")
    recipe = micro.recipe(folder, order=micro.ORDERED["order"], **{"order.encoder": micro.ORDERED["order.encoder"]})
    build(recipe, folder / "root")
    add(folder, 1)
    build(load(folder / "micro.toml"), folder / "root", base=latest(folder / "root", "micro"))
    return folder


def add(folder, n):
    path = folder / "corpus" / "articles.jsonl"
    rows = micro.lines(4 + n, micro.CORPUS / "wikipedia.jsonl.gz")
    path.write_text("".join(json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in rows))


def copy_of(built, tmp_path):
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    return shutil.copytree(built, tmp_path / "copy", symlinks=True)


@pytest.mark.parametrize("pattern", KINDS)
def test_check_sees_it_and_a_build_that_verifies_mends_it_and_says_so(built, tmp_path, pattern):
    folder = copy_of(built, tmp_path)
    root = folder / "root"
    newest = latest(root, "micro")
    base = newest.with_name(Manifest.of(newest).base)
    before = fingerprint(root)
    listed = {s.content_hash for shards in Manifest.of(newest).tables.values() for s in shards}
    paths = [path.relative_to(root) for path in sorted(root.glob(pattern)) if path.parent.name != base.name]
    by_kind = {path.parts[1]: path for path in paths}
    tried = [by_kind[kind] for kind in TRIED.get(pattern.partition("/")[0], by_kind)]
    assert tried
    for path in tried:
        damaged = copy_of(built, tmp_path) / "root"
        flip(damaged / path, 0.7)
        seen = {result.fault.path for result in check(damaged) if result.fault}
        assert path.with_suffix(".parquet" if path.suffix == ".seal" else path.suffix).as_posix() in seen
        try:
            version = build(load(folder / "micro.toml"), damaged, base=damaged / base.relative_to(root), verify=True)
        except StageError as error:
            assert f"{path.parts[1]}/{path.stem}: damaged or missing still" in str(error)  # noqa: PT017 not always raised
            assert path.stem in {shard.content_hash for shard in Manifest.of(base).tables[path.parts[1]]}
            continue
        assert version.folder.name == newest.name, path
        after, name = fingerprint(damaged), path.as_posix()
        assert {**after, name: ""} == {**before, name: ""}
        is_mended = after[name] == before[name]
        assert bool(version.mended) == is_mended, f"{path}: {version.mended}"
        assert is_mended or path.parts[0] == "actions" or path.stem not in listed, "what this build does not need stays"


def test_a_refresh_of_a_damaged_base_makes_what_an_undamaged_one_makes_or_stops(built, tmp_path):
    folder = copy_of(built, tmp_path)
    add(folder, 2)
    shutil.copytree(folder, tmp_path / "sound", symlinks=True)
    newest = latest(tmp_path / "sound" / "root", "micro")
    sound = build(load(tmp_path / "sound" / "micro.toml"), tmp_path / "sound" / "root", base=newest)
    listed = Manifest.of(newest)
    stopped = 0
    for table in READ_OF_A_BASE:
        for shard in (*listed.tables.get(table, ()), *listed.kept.get(table, ()))[:1]:
            damaged = copy_of(built, tmp_path)
            add(damaged, 2)
            root = damaged / "root"
            flip(root / "shards" / table / shard.content_hash[:2] / f"{shard.content_hash}.parquet", 0.4)
            try:
                version = build(load(damaged / "micro.toml"), root, base=latest(root, "micro"))
            except LongmixError as error:
                assert f"{table}/{shard.content_hash}" in str(error)  # noqa: PT017 it is not always raised
                stopped += 1
                continue
            assert version.version == sound.version, f"{table}: another version, and not a word"
    assert 0 < stopped < len(READ_OF_A_BASE)


def test_a_version_that_a_refresh_mends_keeps_its_own_base(built, tmp_path):
    root = copy_of(built, tmp_path) / "root"
    newest = latest(root, "micro")
    before = Manifest.of(newest)
    flip(newest / "README.md")
    version = build(load(built / "micro.toml"), root, base=newest)
    assert (version.version, version.is_new) == (newest.name, True)
    assert version.mended == (f"datasets/micro/{newest.name}/README.md",)
    assert Manifest.of(newest).base == before.base != newest.name
