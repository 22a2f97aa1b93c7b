"""Documents and tokens in and out between two versions, counted one by one; and which two versions are compared."""

import json
import random
from collections import Counter

import duckdb
import pytest

from pipelines.diff import changes, documents_changed, two_versions
from schemas.errors import RecipeError
from schemas.manifest import Manifest

SEEDS = range(40)


def version(seed):
    """(id, text, domain, tokens or None) of documents, and (id, domain, epoch, tokens) of draws. Some texts change ids."""
    rng = random.Random(seed)
    documents, draws = [], []
    for k in range(12):
        if rng.random() < 0.8:
            name, domain, n = f"d{k}{rng.choice(['', '', 'x'])}", "ab"[k % 2], rng.choice([3, 5, 9])
            is_encoded = rng.random() < 0.6
            documents.append((name, f"text {k}", domain, n if is_encoded else None))
            if is_encoded:
                draws += [(name, domain, epoch, rng.choice([n, n - 1])) for epoch in range(rng.randint(0, 2))]
    return documents, draws


def written(folder, documents, draws):
    folder.mkdir(parents=True)
    columns = (
        "document_id VARCHAR, content_hash VARCHAR, domain VARCHAR, n_tokens INTEGER, source VARCHAR, file VARCHAR, "
        "record BIGINT"
    )
    with duckdb.connect(str(folder / "catalog.duckdb")) as con:
        con.execute(f"CREATE TABLE documents ({columns})")
        con.execute("CREATE TABLE draws (document_id VARCHAR, domain VARCHAR, epoch INTEGER, drawn_tokens INTEGER)")
        for i, row in enumerate(documents):
            con.execute("INSERT INTO documents VALUES (?, ?, ?, ?, 's', ?, ?)", [*row, f"{row[0]}.txt", i])
        for row in draws:
            con.execute("INSERT INTO draws VALUES (?, ?, ?, ?)", row)
    return folder


def copies(what, documents, draws):
    """(text, epoch) -> id, domain and tokens. No two documents have the same text."""
    texts = {name: text for name, text, *_ in documents}
    if what == "mix":
        return {(texts[d], epoch): (d, domain, n) for d, domain, epoch, n in draws}
    return {(text, 0): (d, domain, n) for d, text, domain, n in documents if n}


def slow_changes(before, after):
    """(what, domain) -> documents in, out and renamed, tokens in and out; one document or copy at a time."""
    counts = {}
    for what in ("corpus", "mix"):
        old, new = (copies(what, *side) for side in (before, after))
        for key in old | new:
            domain = (old.get(key) or new[key])[1]
            n_old, n_new = (side[key][2] if key in side else 0 for side in (old, new))
            count = counts.setdefault((what, domain), Counter())
            count["documents_in"] += key not in old
            count["documents_out"] += key not in new
            count["renamed"] += key in old and key in new and old[key][0] != new[key][0]
            count["tokens_in"] += max(0, n_new - n_old)
            count["tokens_out"] += max(0, n_old - n_new)
    return counts


def test_changes_are_the_slow_ones(tmp_path):
    seen = Counter()
    for seed in SEEDS:
        before, after = version(seed), version(seed + 1_000)
        folders = [written(tmp_path / f"{seed} {name}", *v) for name, v in (("before", before), ("after", after))]
        rows = changes(*folders)
        assert [(row["what"], row["domain"]) for row in rows] == sorted((row["what"], row["domain"]) for row in rows)
        figures = {(row.pop("what"), row.pop("domain")): row for row in rows}
        assert figures == {key: dict(count) for key, count in slow_changes(before, after).items()}, f"{seed=}"
        for row in rows:
            seen.update(name for name, n in row.items() if n)
    assert min(seen[name] for name in ("documents_in", "documents_out", "renamed", "tokens_in", "tokens_out")) > 20


def slow_documents(before, after):
    """(change, id, file, earlier file) of each document that came in, went out or was renamed."""
    old, new = ({text: d for d, text, _, n in documents if n} for documents, _ in (before, after))
    changed = []
    for text in old | new:
        if text not in old:
            changed.append(("in", new[text], f"{new[text]}.txt", None))
        elif text not in new:
            changed.append(("out", old[text], f"{old[text]}.txt", None))
        elif old[text] != new[text]:
            changed.append(("renamed", new[text], f"{new[text]}.txt", f"{old[text]}.txt"))
    return sorted(changed, key=str)


def test_the_documents_changed_are_the_slow_ones(tmp_path):
    for seed in SEEDS[:8]:
        before, after = version(seed), version(seed + 1_000)
        folders = [written(tmp_path / f"{seed} {name}", *v) for name, v in (("before", before), ("after", after))]
        slow = slow_documents(before, after)
        shown = documents_changed(*folders, limit=100)
        assert sorted([(r.change, r.document_id, r.file, r.earlier_file) for r in shown.rows], key=str) == slow
        totals = [sum(change == kind for change, *_ in slow) for kind in ("in", "out", "renamed")]
        assert [shown.n_in, shown.n_out, shown.n_renamed] == totals
        two = documents_changed(*folders, limit=2)
        assert [two.n_in, two.n_out, two.n_renamed] == totals
        assert len(two.rows) == sum(min(2, n) for n in totals)


def test_copies_of_a_text_are_compared_one_by_one(tmp_path):
    """Without dedup, documents may have the same text."""
    before = [("a", "t", "x", 3), ("b", "t", "x", 3), ("c", "t", "x", 3)]
    after = [("b", "t", "x", 3), ("d", "t", "x", 3)]
    folders = [written(tmp_path / name, rows, []) for name, rows in (("before", before), ("after", after))]
    (row,) = changes(*folders)
    assert (row["documents_in"], row["documents_out"], row["renamed"]) == (0, 1, 1)
    assert (row["tokens_in"], row["tokens_out"]) == (0, 3)
    shown = documents_changed(*folders, limit=9)
    assert [(r.change, r.document_id, r.earlier_file) for r in shown.rows] == [
        ("out", "c", None), ("renamed", "d", "a.txt"),
    ]  # fmt: skip


def publish(root, name, base, mix="m"):
    folder = root / "datasets" / mix / name
    folder.mkdir(parents=True)
    manifest = Manifest(mix=mix, version=name, base=base, recipe={}, tables={}, files={}, built={})
    (folder / "manifest.json").write_text(json.dumps(manifest.record()))
    latest = folder.with_name("latest")
    latest.unlink(missing_ok=True)
    latest.symlink_to(name)
    return folder.resolve()


def test_the_newest_version_is_compared_with_its_base(tmp_path):
    first, second, third = publish(tmp_path, "v1", None), publish(tmp_path, "v2", "v1"), publish(tmp_path, "v3", "v1")
    assert two_versions(tmp_path, None, None, None) == (first, third)
    assert two_versions(tmp_path, "v2", None, None) == (second, third)
    assert two_versions(tmp_path, "v3", "v2", "m") == (third, second)
    assert two_versions(tmp_path, None, "v2", None) == (first, second)
    assert two_versions(second, None, None, None) == (first, second), "the folder of a version"
    assert two_versions(second, "v3", None, None) == (third, second)


def test_versions_that_cannot_be_compared(tmp_path):
    publish(tmp_path, "v1", None)
    with pytest.raises(RecipeError, match=r"v1: built without a base; name the version to compare with"):
        two_versions(tmp_path, None, None, None)
    with pytest.raises(RecipeError, match="v9: no such version"):
        two_versions(tmp_path, "v9", None, None)
    publish(tmp_path, "w1", None, mix="other")
    with pytest.raises(RecipeError, match="holds m, other; choose with --mix"):
        two_versions(tmp_path, None, None, None)


def test_a_base_that_was_removed_is_named(tmp_path):
    publish(tmp_path, "v2", "v1")
    with pytest.raises(RecipeError, match=r"v2: its base v1 was removed; name the version to compare with"):
        two_versions(tmp_path, None, None, None)


def test_versions_of_two_mixes_are_compared_where_both_are_named(tmp_path):
    v1, v2, w1 = (
        publish(tmp_path, "v1", None),
        publish(tmp_path, "v2", None),
        publish(tmp_path, "w1", None, mix="other"),
    )
    assert two_versions(tmp_path, "v1", "w1", None) == (v1, w1)
    assert two_versions(tmp_path, "w1", "v1", None) == (w1, v1)
    assert two_versions(tmp_path, "v1", None, None) == (v1, v2), "the newest is of the same mix"
    with pytest.raises(RecipeError, match="w1: no such version; the root holds m v1, m v2"):
        two_versions(tmp_path, "v1", "w1", "m")
    with pytest.raises(RecipeError, match="w1: no such version"):
        two_versions(v1, "v1", "w1", None)
