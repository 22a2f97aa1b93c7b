"""A refresh computes what is new or changed, drops what is gone, keeps the choices of its base, and says what changed."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import duckdb
import pytest

from flows.text import difference
from pipelines import build as module
from pipelines.build import build
from pipelines.diff import changes
from pipelines.recipe import load
from pipelines.versions import latest
from schemas.manifest import Manifest
from tests import micro
from tests.conftest import TINY
from tests.kills import KINDS, fingerprint, run, run_killed_at

ROOT = TINY.parents[1]


def root_in(folder, tiny):
    """A copy of the root in which the small mix was built."""
    return shutil.copytree(tiny.folder.parents[2], folder, symlinks=True)


@pytest.fixture
def own(tmp_path, tiny):
    """A recipe and a corpus of one's own, and its first version."""
    shutil.copytree(ROOT / "examples" / "corpus", tmp_path / "examples" / "corpus")
    (tmp_path / "mixes").mkdir()
    text = TINY.read_text()
    for name in ("tokenizer", "encoder"):  # where they are, a process has loaded them before
        text = text.replace(f'"../examples/{name}', f'"{ROOT}/examples/{name}')
    (tmp_path / "mixes" / "tiny.toml").write_text(text)
    root = root_in(tmp_path / "root", tiny)
    return tmp_path, replace(tiny, folder=root / "datasets" / "tiny" / tiny.version)


def refresh(folder):
    return build(load(folder / "mixes" / "tiny.toml"), folder / "root", base=latest(folder / "root", "tiny"))


def made(folder):
    """Actions of each stage that the last build did."""
    events = [json.loads(line) for line in (folder / "root" / "progress.jsonl").read_text().splitlines()]
    return Counter(event["stage"] for event in events if event["event"] == "made")


def rows(version, sql):
    with duckdb.connect(str(version.folder / "catalog.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def lines_of(folder):
    path = folder / "examples" / "corpus" / "c4.jsonl"
    return path, path.read_text().splitlines(keepends=True)


def test_nothing_new_writes_nothing(own):
    folder, first = own
    again = refresh(folder)
    assert (again.folder, again.is_new) == (first.folder.resolve(), False)
    assert set(made(folder)) <= {"dedup", "order"}  # decided once with the base; small columns, and no text is read
    assert refresh(folder).is_new is False
    assert made(folder) == Counter()
    assert sorted(p.name for p in first.folder.parent.iterdir()) == sorted([first.version, "latest"])


def test_only_the_changed_source_is_computed(own):
    folder, first = own
    path, lines = lines_of(folder)
    gone, changed = json.loads(lines[3]), json.loads(lines[7])
    new = {**changed, "id": "c4/new", "text": "A page that nobody saw before. " * 40}
    changed["text"] += "\nA line more than before, and then another one.\n"
    path.write_text("".join([*lines[:3], *lines[4:7], json.dumps(changed) + "\n", *lines[8:], json.dumps(new) + "\n"]))
    second = refresh(folder)
    assert second.is_new
    assert first.folder.is_dir()
    assert latest(folder / "root", "tiny") == second.folder
    done = made(folder)
    assert (done["ingest"], done["signatures"], done["encode"]) == (1, 1, 1)  # one of seven shards
    found = {(row["domain"], row["what"]): row for row in changes(first.folder, second.folder)}
    c4 = found["c4", "corpus"]
    assert (c4["documents_in"], c4["documents_out"]) == (2, 2)  # a changed text is another document
    assert gone["id"] != changed["id"]
    assert all(
        not row["documents_in"] + row["documents_out"]
        for (domain, what), row in found.items()
        if what == "corpus" and domain != "c4"
    )
    assert "c4" in difference(list(found.values()), first.version, second.version)
    assert rows(second, "SELECT value FROM build WHERE key = 'base'") == [(first.version,)]


def test_what_stayed_keeps_its_draw(own):
    folder, first = own
    path, lines = lines_of(folder)
    path.write_text("".join(lines[:10] + lines[11:]))
    second = refresh(folder)
    drawn = [set(rows(v, "SELECT document_id, epoch FROM draws")) for v in (first, second)]
    still = {d for (d,) in rows(second, "SELECT document_id FROM documents WHERE verdict = 'kept'")}
    left = {(d, e) for d, e in drawn[0] - drawn[1] if d in still}
    assert len(left) <= 14  # at most the last of each cell, where its budget moved
    assert len(drawn[0] & drawn[1]) > 0.8 * len(drawn[0])


def test_the_base_decides_which_copy_stays(own, tiny):
    """A longer copy that comes later would be kept by a build from scratch; a refresh keeps what it had."""
    folder, first = own
    path, lines = lines_of(folder)
    kept = next(json.loads(line) for line in lines if len(json.loads(line)["text"]) > 8_000)
    longer = {**kept, "id": "c4/longer", "text": kept["text"] + "\nAnd a few more words at the very end of it.\n"}
    path.write_text("".join([json.dumps(longer) + "\n", *lines]))
    second = refresh(folder)
    verdicts = dict(rows(second, "SELECT n_bytes, verdict FROM documents WHERE domain = 'c4'"))
    assert verdicts[len(kept["text"].encode())] == "kept"
    assert verdicts[len(longer["text"].encode())] == "near"
    scratch = build(load(folder / "mixes" / "tiny.toml"), root_in(folder / "other root", tiny))  # without a base
    verdicts = dict(rows(scratch, "SELECT n_bytes, verdict FROM documents WHERE domain = 'c4'"))
    assert verdicts[len(kept["text"].encode())] == "near"
    assert first.version != second.version


def test_a_source_that_is_gone_takes_its_documents_along(own):
    folder, first = own
    recipe = folder / "mixes" / "tiny.toml"
    head, *sources = recipe.read_text().split("[[sources]]")
    recipe.write_text("[[sources]]".join([head, *(s for s in sources if '"wikipedia"' not in s)]))
    second = refresh(folder)
    found = {(row["domain"], row["what"]): row for row in changes(first.folder, second.folder)}
    assert found["wikipedia", "corpus"]["documents_out"] == 12
    assert rows(second, "SELECT count(*) FROM documents WHERE domain = 'wikipedia'") == [(0,)]
    assert made(folder)["encode"] == 0


# -- rows of unchanged documents


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A recipe whose first version was built, and whose sources then got more documents among those they had.

    Also its root, and the fingerprint of the next version, built without a base and without earlier shards.
    """
    folder = tmp_path_factory.mktemp("grown")
    recipe, root = micro.write(folder), folder / "root"
    build(load(recipe), root)
    pages = folder / "corpus" / "pages.jsonl"
    more = [json.dumps({"id": f"new {k}", "text": f"Another page, number {k}. " * 30}) + "\n" for k in range(2)]
    lines = pages.read_text().splitlines(keepends=True)
    pages.write_text("".join([*lines[:4], more[0], *lines[4:9], *lines[10:], more[1]]))
    (folder / "corpus" / "speeches" / "2.txt").write_text("A speech that nobody gave. " * 50)
    alone = shutil.copytree(root, folder / "alone", symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "earlier_tables", lambda *_: {})
        version = build(load(recipe), alone)
    assert all(not reused.n_reused for reused in version.reused.values())
    return recipe, root, fingerprint(alone)


def test_copied_rows_leave_the_bytes_of_a_build_that_made_them(grown, tmp_path):
    recipe, root, expected = grown
    root = shutil.copytree(root, tmp_path / "root", symlinks=True)
    version = build(load(recipe), root)
    assert version.reused["signatures"] == (11 + 2, 13 + 3)
    assert version.reused["encode"].n_reused > 8
    assert fingerprint(root) == expected


def test_a_refresh_copies_cheap_scores_too(grown, tmp_path, monkeypatch):
    """It keeps the background, with which they were made."""
    recipe, root, _ = grown
    copying, alone = (shutil.copytree(root, tmp_path / name, symlinks=True) for name in ("copying", "alone"))
    version = build(load(recipe), copying, base=latest(copying, "micro"))
    assert version.reused["screen"].n_reused > 8
    monkeypatch.setattr(module, "earlier_tables", lambda *_: {})
    build(load(recipe), alone, base=latest(alone, "micro"))
    assert fingerprint(copying) == fingerprint(alone)


@pytest.mark.parametrize(
    ("when", "kind"), [("before", "a shard of TOKENS"), ("after", "a shard of SIGNATURES")]
)  # fmt: skip
def test_a_build_killed_while_rows_are_copied_resumes_to_the_same_bytes(grown, tmp_path, when, kind):
    recipe, root, expected = grown
    root = shutil.copytree(root, tmp_path / "root", symlinks=True)
    run_killed_at(recipe, root, 2, when, KINDS[kind])
    run(recipe, root, workers=1)
    assert fingerprint(root) == expected


@pytest.mark.parametrize("table", ["DOCUMENTS", "TOKENS", "SIGNATURES"])
def test_rows_of_a_damaged_earlier_shard_are_made(grown, tmp_path, table):
    recipe, root, expected = grown
    root = shutil.copytree(root, tmp_path / "root", symlinks=True)
    before = fingerprint(root)
    shards = Manifest.of(latest(root, "micro")).tables[table]
    damaged = []
    for shard in shards:
        path = root / "shards" / table / shard.content_hash[:2] / f"{shard.content_hash}.parquet"
        path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
        damaged.append(path.relative_to(root).as_posix())
    version = build(load(recipe), root)
    assert version.reused[{"TOKENS": "encode"}.get(table, "signatures")].n_reused == 0
    after = fingerprint(root)
    assert {name: after[name] for name in expected if name not in before} == {
        name: expected[name] for name in expected if name not in before
    }
    assert all(after.get(name) in (None, expected[name]) for name in damaged)


def test_an_unreadable_earlier_version_stops_no_build(grown, tmp_path):
    recipe, root, expected = grown
    root = shutil.copytree(root, tmp_path / "root", symlinks=True)
    manifest = latest(root, "micro") / "manifest.json"
    manifest.write_text("{")
    version = build(load(recipe), root)
    assert version.version in str(sorted(expected))
    assert all(not reused.n_reused for reused in version.reused.values())
