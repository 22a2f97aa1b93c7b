"""Documents and tokens in and out between two versions, counted one by one; and which two versions are compared."""

import json
import random
from collections import Counter

import duckdb
import pytest

from pipelines.diff import changes, two_versions
from schemas.errors import RecipeError
from schemas.manifest import Manifest

SEEDS = range(40)


def version(seed):
    """(id, domain, verdict, tokens) of documents, and (id, domain, epoch, tokens) of draws."""
    rng = random.Random(seed)
    documents, draws = [], []
    for k in range(12):
        if rng.random() < 0.8:
            domain, n = "ab"[k % 2], rng.choice([3, 5, 9])
            verdict = rng.choice(["kept", "kept", "exact", "near"])
            is_refused = rng.random() < 0.1
            documents.append((f"d{k}", domain, verdict, n if verdict == "kept" and not is_refused else None))
            if documents[-1][3]:
                draws += [(f"d{k}", domain, epoch, rng.choice([n, n - 1])) for epoch in range(rng.randint(0, 2))]
    return documents, draws


def written(folder, documents, draws):
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "catalog.duckdb")) as con:
        con.execute("CREATE TABLE documents (document_id VARCHAR, domain VARCHAR, verdict VARCHAR, n_tokens INTEGER)")
        con.execute("CREATE TABLE draws (document_id VARCHAR, domain VARCHAR, epoch INTEGER, drawn_tokens INTEGER)")
        for name, rows in (("documents", documents), ("draws", draws)):
            if rows:
                con.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?)", rows)
    return folder


def copies(what, documents, draws):
    """(document, epoch) -> domain and tokens."""
    if what == "mix":
        return {(d, epoch): (domain, n) for d, domain, epoch, n in draws}
    return {(d, 0): (domain, n) for d, domain, _, n in documents if n}


def slow_changes(before, after):
    """(what, domain) -> documents in and out, tokens in and out; one document or copy at a time."""
    counts = {}
    for what in ("corpus", "mix"):
        old, new = (copies(what, *side) for side in (before, after))
        for key in old | new:
            domain = (old.get(key) or new[key])[0]
            n_old, n_new = (side[key][1] if key in side else 0 for side in (old, new))
            count = counts.setdefault((what, domain), Counter())
            count["documents_in"] += key not in old
            count["documents_out"] += key not in new
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
    assert min(seen[name] for name in ("documents_in", "documents_out", "tokens_in", "tokens_out")) > 20


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
