"""The cheap tier over tables: domains with little to be known by, and a background that a refresh keeps or renews."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest

from pipelines import screen
from pipelines.screen import ScreenParams
from pipelines.stage import Runner
from pipelines.store import Store
from schemas.tables import DOCUMENTS, DUPLICATES
from tests.scorers.cheap.test_words import real_documents

ONE = Runner(workers=1)


def tables(store, texts):
    """A shard of DOCUMENTS and of DUPLICATES. texts: (domain, text)."""
    names = [blake2b(f"{domain}{text}".encode(), digest_size=16).hexdigest() for domain, text in texts]
    rows = [
        {
            "document_id": name, "content_hash": name, "source": domain, "origin": None, "domain": domain,
            "license": None, "file": "f", "record": k, "n_bytes": len(text.encode()), "text": text,
        }
        for k, (name, (domain, text)) in enumerate(zip(names, texts, strict=True))
    ]  # fmt: skip
    verdicts = [{"document_id": name, "verdict": "kept", "kept_id": None, "similarity": None} for name in names]
    return (
        [store.write("DOCUMENTS", pa.Table.from_pylist(rows, schema=DOCUMENTS))],
        [store.write("DUPLICATES", pa.Table.from_pylist(verdicts, schema=DUPLICATES))],
    )


@pytest.fixture
def store(tmp_path):
    (tmp_path / "scratch").mkdir()
    return Store(tmp_path)


def run(store, texts, before=None, **changes):
    documents, duplicates = tables(store, texts)
    return screen.run(documents, duplicates, ScreenParams(**changes), before or {}, store, ONE)


def test_a_domain_of_short_documents_alone_is_screened(store):
    """None of them is long enough to know a domain by."""
    texts = [("tiny", "one short answer"), ("tiny", "w " * 40), ("book", real_documents()["book"][0])]
    found = run(store, texts)
    rows = store.read(found["SCORES_CHEAP"][0]).to_pylist()
    assert [row["status"] for row in rows] == ["scored"] * 3
    assert rows[1]["repeat_share"] > 0
    assert [row["recurrence"] for row in rows[:2]] == [None, None]
    assert store.read(found["BACKGROUND"][0])["documents"].to_pylist()[1] == []


def test_a_shuffled_text_is_flagged(store):
    own = [text for text in real_documents()["github"] if len(text) > 5_000]
    text = max(own, key=len)[:40_000]
    pieces = [text[at : at + 60] for at in range(0, len(text), 60)]
    shuffled = "".join(pieces[k] for k in np.random.default_rng(0).permutation(len(pieces)))
    found = run(store, [("github", t) for t in [*own, text, shuffled, "too short"]])
    rows = store.read(found["SCORES_CHEAP"][0]).to_pylist()
    assert [row["shuffled"] for row in rows[-3:]] == [False, True, None]


def background(store, found):
    return dict(
        zip(*(store.read(found["BACKGROUND"][0])[name].to_pylist() for name in ("domain", "documents")), strict=True)
    )


def test_a_refresh_keeps_the_background_until_the_recipe_renews_it(store, monkeypatch):
    monkeypatch.setattr(screen, "MAX_DOCUMENTS", 5)
    own = [("github", text) for text in real_documents()["github"] if len(text) > 5_000]
    few, more = own[: len(own) // 2], [*own, ("book", real_documents()["book"][0])]
    assert len(few) > 10
    first = run(store, few)
    kept = background(store, run(store, more, before=first))
    assert kept["github"] == background(store, first)["github"]
    assert len(kept["book"]) == 1  # a domain that the base doesn't know
    assert background(store, run(store, more))["github"] != kept["github"]  # from scratch: other documents
    renewed = run(store, more, before=first, background_seed=1)
    assert background(store, renewed) == background(store, run(store, more, background_seed=1))
    assert background(store, renewed)["github"] != kept["github"]
