"""The cheap tier over tables: domains with little to be known by, and a background that a refresh keeps or renews."""

import random
from hashlib import blake2b
from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from pipelines import screen
from pipelines.screen import ScreenParams
from pipelines.stage import Engine, Read, Runner
from pipelines.store import Store
from schemas.tables import DOCUMENTS, TOKENS
from scorers.cheap.background import MIN_BYTES, Background, Domain, choose
from tests.scorers.cheap.test_words import real_documents
from tests.tokens import refused_row, token_row

ONE = Runner(workers=1)


def tables(store, texts, dropped=(), refused=()):
    """A shard of DOCUMENTS and of TOKENS. texts: (domain, text); dropped, refused: places of those without tokens."""
    names = [blake2b(f"{domain}{text}".encode(), digest_size=16).hexdigest() for domain, text in texts]
    rows = [
        {
            "document_id": name, "content_hash": name, "source": domain, "record_id": None, "origin": None, "domain": domain,
            "license": None, "file": "f", "record": k, "n_bytes": len(text.encode()), "text": text,
        }
        for k, (name, (domain, text)) in enumerate(zip(names, texts, strict=True))
    ]  # fmt: skip
    ids = [token_row(name, [0]) for name in names]
    for k in dropped:
        ids[k] = token_row(names[k], None)
    for k in refused:
        ids[k] = refused_row(names[k])
    return (
        [store.write("DOCUMENTS", pa.Table.from_pylist(rows, schema=DOCUMENTS))],
        [store.write("TOKENS", pa.Table.from_pylist(ids, schema=TOKENS))],
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def run(store, texts, before=None, **changes):
    documents, tokens = tables(store, texts)
    return screen.run(documents, tokens, ScreenParams(**changes), before or {}, Engine(store, ONE))


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


# -- which documents describe a domain


def shards(seed, store):
    """DOCUMENTS and TOKENS of a few shards, some documents dropped or refused, some short, some contents twice."""
    rng = random.Random(seed)
    documents, tokens = [], []
    for shard in range(3):
        texts = []
        for row in range(rng.randint(0, 9)):
            text = f"{shard} {row} " if rng.random() < 0.8 else "the same everywhere "
            n_bytes = rng.choice([10, MIN_BYTES - 1, MIN_BYTES, MIN_BYTES + 1, 9_000])
            texts.append((rng.choice("abc"), text + "x" * (n_bytes - len(text))))
        dropped = [row for row in range(len(texts)) if rng.random() < 0.3]
        refused = [row for row in range(len(texts)) if row % 4 == shard and row not in dropped]
        for into, made in zip((documents, tokens), tables(store, texts, dropped, refused), strict=True):
            into.extend(made)
    return documents, tokens


def slow_choice(documents, tokens, params, store):
    """Document by document."""
    by_domain = {}
    for shard, (own, verdict) in enumerate(zip(documents, tokens, strict=True)):
        pairs = zip(store.read(own).to_pylist(), store.read(verdict).to_pylist(), strict=True)
        for row, (document, judged) in enumerate(pairs):
            if judged["status"] == "encoded":
                one = (document["content_hash"], shard, row, document["n_bytes"])
                by_domain.setdefault(document["domain"], []).append(one)
    chosen = {}
    for domain, rows in by_domain.items():
        best = choose([row[0] for row in rows], np.array([row[3] for row in rows]), screen.salt_of(params), 3)
        chosen[domain] = [rows[k][:3] for k in best]
    return chosen


def test_the_documents_that_describe_a_domain_are_the_slow_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(screen, "MAX_DOCUMENTS", 3)
    full, empty = 0, 0
    for seed in range(60):
        store, params = Store(tmp_path / str(seed)), ScreenParams(background_seed=seed % 3)
        documents, tokens = shards(seed, store)
        reads = [
            (Read(own, ("content_hash", "n_bytes", "domain")), Read(ids, ("status",)))
            for own, ids in zip(documents, tokens, strict=True)
        ]
        found = screen.choice(reads, params, store)
        assert found == slow_choice(documents, tokens, params, store), f"{seed=}"
        assert list(found) == sorted(found)
        full += any(len(rows) == 3 for rows in found.values())
        empty += any(not rows for rows in found.values())
        for rows in found.values():
            texts = screen.texts_of(documents, rows, store).to_pylist()
            for (content_hash, shard, row), text in zip(rows, texts, strict=True):
                own = store.read(documents[shard]).to_pylist()[row]
                assert (own["content_hash"], own["text"]) == (content_hash, text)
    assert full > 10
    assert empty > 10


def test_only_the_middle_of_a_long_text_describes_its_domain(store, monkeypatch):
    monkeypatch.setattr(screen, "MAX_BYTES", 100)
    monkeypatch.setattr("scorers.cheap.background.MAX_BYTES", 100)
    documents, _ = tables(store, [("a", "b" * 50 + "m" * 100 + "e" * 50), ("a", "s" * 100)])
    texts = screen.texts_of(documents, [("", 0, 1), ("", 0, 0)], store)
    assert texts.to_pylist() == ["s" * 100, "m" * 100]


# -- why no model needs to read a document

NOTHING = np.empty(0)
GATES = Background(
    {
        name: Domain((), NOTHING, NOTHING, NOTHING, NOTHING, gate)
        for name, gate in (("a", 0.5), ("b", 0.1), ("none", None))
    }
)
PARAMS = ScreenParams(max_repeat_share=0.3, max_list_share=0.6)


def slow_reason(domain, repeat_share, list_share, recurrence, params):
    if repeat_share is not None and repeat_share > params.max_repeat_share:
        return "repeats"
    if list_share is not None and list_share > params.max_list_share:
        return "list"
    gate = GATES.domains[domain].min_recurrence
    return "stitched" if params.gate and None not in (gate, recurrence) and recurrence < gate else None


@pytest.mark.parametrize("params", [PARAMS, PARAMS.model_copy(update={"gate": False})])
def test_a_reason_is_the_first_that_holds(params):
    """Every combination of values below, at and above each bound, and of values that are NULL."""
    cases = list(
        product(("a", "b", "none"), (None, 0.29, 0.3, 0.31), (None, 0.6, 0.61), (None, 0.09, 0.1, 0.4, 0.5, 0.51))
    )
    domains, *values = zip(*cases, strict=True)
    scores = pa.table(
        {
            name: pa.array(column, pa.float64())
            for name, column in zip(("repeat_share", "list_share", "recurrence"), values, strict=True)
        }
    )
    own = pa.chunked_array([pa.array(domains[:7]), pa.array(domains[7:])])
    found = screen.refusals(scores, own, GATES, params).to_pylist()
    assert found == [slow_reason(*case, params) for case in cases]
    assert set(found) == {"repeats", "list", None} | ({"stitched"} if params.gate else set())


def test_no_documents_have_no_reasons():
    scores = pa.table({name: pa.array([], pa.float64()) for name in ("repeat_share", "list_share", "recurrence")})
    assert screen.refusals(scores, pa.chunked_array([], pa.string()), GATES, PARAMS).to_pylist() == []


def test_a_document_without_tokens_keeps_its_row_and_has_no_scores(store):
    texts = [("c", f"text {k} " + "w " * 60) for k in range(6)]
    documents, tokens = tables(store, texts, dropped=(0, 5), refused=(3,))
    found = screen.run(documents, tokens, ScreenParams(), {}, Engine(store, ONE))
    rows = store.read(found["SCORES_CHEAP"][0]).to_pylist()
    names = store.read(documents[0])["document_id"].to_pylist()
    assert [row["document_id"] for row in rows] == names
    assert [row["status"] for row in rows] == ["dropped", "scored", "scored", "not_scored", "scored", "dropped"]
    assert [row["reason"] for row in rows] == ["dropped", None, None, "refused", None, "dropped"]
    alone = screen.run(*tables(store, texts), ScreenParams(), {}, Engine(store, ONE))
    whole = store.read(alone["SCORES_CHEAP"][0]).to_pylist()
    for k, row in enumerate(rows):
        own = {name: row[name] for name in ("n_words", "repeat_share", "list_share", "refused")}
        assert own == (dict.fromkeys(own) if k in (0, 3, 5) else {name: whole[k][name] for name in own})
