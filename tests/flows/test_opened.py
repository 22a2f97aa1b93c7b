"""What `longmix query` and `longmix show` say of damaged files, and what they leave behind: nothing."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import duckdb
import pytest

from flows.opened import Query, longest_list, opened
from flows.query import ask, show_sequence
from pipelines import catalog
from pipelines.build import build
from pipelines.store import Store
from pipelines.versions import shards_of
from schemas.errors import DamagedError, RecipeError
from schemas.manifest import Manifest
from tests import micro
from tests.interrupted import hears_interrupts

REMEDY = r"damaged or missing; `longmix build RECIPE --verify` makes it again$"


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opened")
    return build(micro.recipe(folder), folder / "root")


@pytest.fixture
def root(version, tmp_path):
    return shutil.copytree(version.folder.parents[2], tmp_path / "root", symlinks=True)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's folder of temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def path_of(root, table):
    """The first shard of a table of the version, relative to the root."""
    folder = next(root.glob("datasets/micro/latest")).resolve()
    store = Store(root)
    return store.path(shards_of(Manifest.of(folder))[table][0]).relative_to(root)


def footer(path):
    """Overwrite how the footer begins: DuckDB meets it when it opens the file."""
    with open(path, "r+b") as stream:
        stream.seek(-8, os.SEEK_END)
        n_bytes = int.from_bytes(stream.read(4), "little")
        stream.seek(-8 - n_bytes, os.SEEK_END)
        stream.write(b"\xff" * 60)


def first_page(path):
    """Overwrite the first page: DuckDB meets it when it reads the column."""
    with open(path, "r+b") as stream:
        stream.seek(4)
        stream.write(b"\xff" * 60)


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "footer": footer,
    "page": first_page,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("table", ["TOKENS", "DOCUMENTS"])
def test_a_query_names_the_damaged_shard(root, table, damage):
    path = path_of(root, table)
    damage(root / path)
    with pytest.raises(DamagedError, match=rf"^{root}: {path}: {REMEDY}"):
        ask(root, Query(f"SELECT * FROM tables.{table}"), "csv")


def test_show_names_the_damaged_shard(root):
    path = path_of(root, "SEQUENCES")
    first_page(root / path)
    with pytest.raises(DamagedError, match=rf"^{root}: {path}: {REMEDY}"):
        show_sequence(root, "0", None, "latest", 0)


@pytest.mark.parametrize("name", ["missing", "empty", "cut"])
def test_a_damaged_catalog_is_named(root, name):
    path = next(root.glob("datasets/micro/latest")).resolve() / "catalog.duckdb"
    DAMAGES[name](path)
    with pytest.raises(DamagedError, match=rf"^{path}: {REMEDY}"):
        ask(root, Query("FROM lengths"), "csv")


def test_several_damaged_shards_are_counted(root):
    paths = [path_of(root, name) for name in ("DOCUMENTS", "DUPLICATES", "TOKENS", "DRAWS", "SEQUENCES")]
    for path in paths:
        (root / path).unlink()
    with pytest.raises(DamagedError, match=rf"shards/\S+, shards/\S+, shards/\S+ and \d+ more: {REMEDY}"):
        ask(root, Query("FROM tables.documents"), "csv")


@pytest.mark.parametrize(
    "sql", ["FROM nothing", "SELEKT 1", "SELECT 'a'::INT", "SELECT strptime('a', '%d')", "SELECT error('no')"]
)
def test_a_mistake_of_a_query_reads_no_shard(root, sql, monkeypatch):
    monkeypatch.setattr(Store, "is_whole", lambda *_: pytest.fail("compares all shards with their seals"))
    with pytest.raises(RecipeError, match=r"^query: "):
        ask(root, Query(sql), "csv")


def test_the_longest_list_is_that_of_the_version(root):
    with opened(root, None, "latest") as (con, _, folder):
        longest = longest_list(folder)
        query = "SELECT max(len(input_ids)) FROM tables.{}"
        lengths = [con.execute(query.format(name)).fetchall()[0][0] for name in ("tokens", "sequences")]
        assert longest == max(lengths) > min(lengths)


def state(folder):
    """Every name below a folder with its time of change: a file that came and went changes that of its folder."""
    return {path: path.lstat().st_mtime_ns for path in sorted([folder, *folder.rglob("*")])}


@pytest.mark.parametrize("error", [None, RecipeError, KeyboardInterrupt])
def test_what_is_spilled_is_outside_the_root_and_removed(root, temporary, monkeypatch, error):
    monkeypatch.setattr(catalog, "LIMIT_BYTES", 20_000_000)
    monkeypatch.setattr(catalog, "ROW_GROUP_BYTES", 1)
    before = state(root)
    seen = []
    try:
        with opened(root, None, "latest") as (con, _, _):
            con.execute("SET memory_limit = '20MB'")
            con.execute("CREATE TEMP TABLE t AS SELECT hash(range) AS x FROM range(6_000_000)")
            seen = [path for path in temporary.rglob("*") if path.is_file()]
            if error:
                raise error
    except (RecipeError, KeyboardInterrupt) as raised:
        assert type(raised) is error  # noqa: PT017 of both kinds
    assert seen
    assert list(temporary.iterdir()) == []
    assert state(root) == before


def test_an_error_of_duckdb_removes_it_too(root, temporary):
    before = state(root)
    with pytest.raises(RecipeError), opened(root, None, "latest") as (con, _, _):
        con.execute("FROM nothing")
    assert list(temporary.iterdir()) == []
    assert state(root) == before


def test_ctrl_c_leaves_nothing(root, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    before = state(root)
    sql = "SELECT count(*) FROM range(10_000_000) a, range(10_000_000) b WHERE hash(a.range) = hash(b.range + 1)"
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "query", str(root), sql],
        env={**os.environ, "TMPDIR": str(folder)}, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        preexec_fn=hears_interrupts,  # noqa: PLW1509 it starts no thread
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not list(folder.glob("longmix-query-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(folder.glob("longmix-query-*"))
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert list(folder.iterdir()) == []
    assert state(root) == before


def test_a_catalog_opened_for_reading_is_not_changed(root):
    path = next(root.glob("datasets/micro/latest")).resolve() / "catalog.duckdb"
    before = state(path.parent)
    longest_list(path.parent)
    assert state(path.parent) == before
    with duckdb.connect(str(path), read_only=True) as con, pytest.raises(duckdb.Error):
        con.execute("CREATE TABLE t (a INT)")
