"""Rows that are copied from earlier shards are those that the stage would make, whatever lies where.

The oracle is the stage without earlier shards. It counts what it makes, so that a test sees that rows were copied.
"""

import json
import random
from collections import Counter
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import BaseModel

from pipelines import reuse
from pipelines.actions import Read, ReadColumns, ShardStage
from pipelines.reuse import Copy, Index, Origin
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from schemas.errors import DamagedError, NotMade
from schemas.tables import DOCUMENTS, DUPLICATES, TABLES

SEEDS = range(12)
DOMAINS = ("web", "book")
MADE: list[str] = []  # the texts that a stage made a row of, in this process


class Params(BaseModel):
    salt: int = 0


def tokens(documents: pa.Table, duplicates: pa.Table, params: Params) -> pa.Table:
    """TOKENS with an id for each character, and the documents that get no token at all."""
    kept = pc.equal(duplicates["verdict"], "kept").to_pylist()
    texts = documents["text"].to_pylist()
    MADE.extend(text for text, k in zip(texts, kept, strict=True) if k)
    ids = [[ord(c) + params.salt for c in text] if k else None for text, k in zip(texts, kept, strict=True)]
    return pa.table(
        {
            "document_id": duplicates["document_id"],
            "status": ["encoded" if k else "dropped" for k in kept],
            "reason": pa.nulls(len(kept), pa.string()),
            "fell_back": pa.nulls(len(kept), pa.string()),
            "decodes": pa.nulls(len(kept), pa.bool_()),
            "n_tokens": pa.array([row and len(row) for row in ids], pa.int32()),
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
        }
    )


def first_text(tokens: pa.Table, read: ReadColumns, _: Params) -> pa.Table:
    """Marks the kept text that is first in the alphabet, which depends on all rows of a shard; it reads that row alone."""
    table = read(("text", "verdict"))
    kept = [
        text
        for text, verdict in zip(*(table[n].to_pylist() for n in ("text", "verdict")), strict=True)
        if verdict == "kept"
    ]
    decodes = [text in sorted(kept)[:1] for text in table["text"].to_pylist()]
    rows = np.flatnonzero(decodes)
    assert set(read(("text",), rows)["text"].to_pylist()) == set(sorted(kept)[:1])
    return tokens.set_column(tokens.column_names.index("decodes"), "decodes", pa.array(decodes, pa.bool_()))


def cheap(documents: pa.Table, duplicates: pa.Table, words: pa.Table, _: Params) -> pa.Table:
    """SCORES_CHEAP whose n_words depends on the text, the domain and the background."""
    factor = dict(zip(words["domain"].to_pylist(), words["unseen_idf"].to_pylist(), strict=True))
    kept = pc.equal(duplicates["verdict"], "kept").to_pylist()
    texts, domains = documents["text"].to_pylist(), documents["domain"].to_pylist()
    MADE.extend(text for text, k in zip(texts, kept, strict=True) if k)
    n_words = [len(t) * factor[d] if k else None for t, d, k in zip(texts, domains, kept, strict=True)]
    columns = {
        name: pa.nulls(len(kept), TABLES["SCORES_CHEAP"].field(name).type) for name in TABLES["SCORES_CHEAP"].names
    }
    columns |= {
        "document_id": duplicates["document_id"],
        "status": pa.array(["scored" if k else "dropped" for k in kept], pa.string()),
    }
    columns |= {
        "reason": pa.array([None if k else "dropped" for k in kept], pa.string()),
        "n_words": pa.array(n_words, pa.float64()),
    }
    return pa.table(columns)


def signatures(documents: pa.Table, params: Params) -> pa.Table:
    """SIGNATURES: no column of ids, a fixed and a variable list, and a row for every document."""
    texts = documents["text"].to_pylist()
    MADE.extend(texts)
    sketches = [sorted({ord(c) for c in text}) for text in texts]
    return pa.table(
        {
            "n_shingles": pa.array([len(t) + params.salt for t in texts], pa.int32()),
            "signature": pa.array([[len(t)] * 128 for t in texts], pa.list_(pa.uint32(), 128)),
            "sketch": pa.array(sketches, pa.list_(pa.uint64())),
        }
    )  # fmt: skip


TOKENS_STAGE = ShardStage("encode", 1, "TOKENS", tokens, same=("content_hash",), finish=first_text)
CHEAP_STAGE = ShardStage("screen", 1, "SCORES_CHEAP", cheap, same=("content_hash", "domain"))
SIGN_STAGE = ShardStage("signatures", 1, "SIGNATURES", signatures, same=("content_hash",))
STAGES = (TOKENS_STAGE, CHEAP_STAGE, SIGN_STAGE)


def digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def layout(rng: random.Random, n_texts: int) -> list[list[tuple[str, str, bool]]]:
    """Shards of (text, domain, is kept): texts of a pool, some several times, of which one at most is kept."""
    pool = [f"text {k} " * rng.randrange(1, 30) for k in range(n_texts)]
    rows = rng.choices(pool, k=n_texts + 5)
    kept = set()
    shards = [[]]
    for text in rows:
        keep = text not in kept and rng.random() < 0.8
        kept |= {text} if keep else set()
        if rng.random() < 0.15:
            shards.append([])
        shards[-1].append((text, rng.choice(DOMAINS), keep))
    return [shard for shard in shards if shard]


def write(layout, store, place="a"):
    """The tables of a layout. document_id depends on the place too: it changes where a text moves."""
    tables = {"DOCUMENTS": [], "DUPLICATES": []}
    for k, shard in enumerate(layout):
        names = [digest(f"{place}{k}{i}{text}") for i, (text, _, _) in enumerate(shard)]
        documents = [
            {
                "document_id": name, "content_hash": digest(text), "source": "s", "record_id": None, "origin": None, "domain": domain,
                "license": None, "file": "f", "record": i, "n_bytes": len(text), "text": text,
            }
            for i, (name, (text, domain, _)) in enumerate(zip(names, shard, strict=True))
        ]  # fmt: skip
        verdicts = [
            {"document_id": name, "verdict": "kept" if keep else "near", "kept_id": None, "similarity": None}
            for name, (_, _, keep) in zip(names, shard, strict=True)
        ]
        tables["DOCUMENTS"].append(store.write("DOCUMENTS", pa.Table.from_pylist(documents, schema=DOCUMENTS)))
        tables["DUPLICATES"].append(store.write("DUPLICATES", pa.Table.from_pylist(verdicts, schema=DUPLICATES)))
    return tables


def words(store, factor=2.0):
    row = {
        "made_by": "x", "documents": [], "keys": [], "idf": [], "shares": [], "unseen_share": 0.0, "min_recurrence": None,
    }  # fmt: skip
    rows = [{"domain": d, "unseen_idf": factor + k, **row} for k, d in enumerate(DOMAINS)]
    return store.write("BACKGROUND", pa.Table.from_pylist(rows, schema=TABLES["BACKGROUND"]))


def reads(stage, tables, store, factor=2.0):
    columns = {"SIGNATURES": ("text",), "TOKENS": ("text",), "SCORES_CHEAP": ("text", "domain")}[stage.table]
    for text, verdict in zip(tables["DOCUMENTS"], tables["DUPLICATES"], strict=True):
        read = (Read(text, columns), Read(verdict, ("document_id", "verdict")))
        yield {"SIGNATURES": read[:1], "TOKENS": read}.get(stage.table) or (
            *read,
            Read(words(store, factor), ("domain", "unseen_idf")),
        )


def run(stage, tables, store, earlier=None, *, factor=2.0, params=Params()):  # noqa: B008 frozen in effect
    """The stage's shards, the texts that it made a row of, and the number of copied rows; without Beam."""
    engine = Engine(store, Runner(workers=1), earlier=earlier or {})
    MADE.clear()
    actions = stage.actions(params, reads(stage, tables, store, factor))
    todo = {action.name: action for action in actions if store.find(stage.stage, action.name) is None}
    making = stage.with_copies(list(todo.values()), engine.replaced(stage, params, actions), store)
    for action in making:
        stage.make(action, params, store)
    shards = [shard for action in actions for shard in store.find(stage.stage, action.name)]
    return shards, Counter(MADE), sum(action.n_reused for action in making)


def run_by_engine(stage, tables, store, earlier, runner=Runner(workers=1)):  # noqa: B008 frozen
    MADE.clear()
    engine = Engine(store, runner, earlier=earlier)
    return engine.shards(stage, Params(), reads(stage, tables, store)), Counter(MADE), engine


def files(store, shards):
    return [store.path(shard).read_bytes() for shard in shards]


def both(tmp_path, stage, before, after, **changes):
    """`after` made from `before`, and alone: (shards, texts made, engine) of both."""
    copying, alone = Store(tmp_path / "copying"), Store(tmp_path / "alone")
    earlier = write(before, copying)
    run(stage, earlier, copying)
    with_copies = run(stage, write(after, copying, "b"), copying, earlier, **changes)
    without = run(stage, write(after, alone, "b"), alone, **changes)
    assert with_copies[0] == without[0]
    assert files(copying, with_copies[0]) == files(alone, without[0])
    return with_copies, without


def changed(rng, before):
    """Documents removed, inserted and moved, verdicts and domains changed, and shards divided anew; a new one in each."""
    rows = [row for shard in before for row in shard if rng.random() > 0.1]
    rows = [(t, rng.choice(DOMAINS) if rng.random() < 0.1 else d, k != (rng.random() < 0.1)) for t, d, k in rows]
    if rng.random() < 0.3:
        rng.shuffle(rows)
    cuts = sorted(rng.sample(range(len(rows)), min(len(rows), rng.randrange(0, 4))))
    after = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    for shard in after:
        for _ in range(rng.randrange(1, 4)):
            shard.insert(rng.randrange(len(shard) + 1), (f"new {rng.random()}", "web", True))
    return after


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.table)
def test_copied_rows_are_those_that_the_stage_makes(tmp_path, monkeypatch, stage):
    """Also where a row group holds few rows, and in byte-identical files."""
    reached = Counter()
    for seed in SEEDS:
        rng = random.Random(seed)
        monkeypatch.setattr(reuse, "MIN_SHARE", 0)
        monkeypatch.setattr("pipelines.store.ROW_GROUP_BYTES", rng.choice([500, 5_000, 8 << 20]))
        before = layout(rng, rng.randrange(1, 60))
        after = changed(rng, before)
        (shards, made, n_reused), (_, all_made, _) = both(tmp_path / str(seed), stage, before, after)
        assert not made - all_made, f"{seed=}"
        assert n_reused == (all_made - made).total(), f"{seed=}"
        reached["copied"] += n_reused
        reached["made"] += made.total()
        reached["shards"] += len(shards) > 1
    assert reached["copied"] > reached["made"] > 0, reached
    assert reached["shards"] > len(SEEDS) // 2


def one(*texts, domain="web", kept=True):
    return [(text, domain, kept) for text in texts]


def test_only_new_rows_are_made(tmp_path):
    before = [one("a" * 9, "b" * 9, "c" * 9), one("d" * 9, "e" * 9)]
    after = [one("a" * 9, "new", "c" * 9, "d" * 9), one("e" * 9)]
    store = Store(tmp_path)
    earlier = write(before, store)
    _, _, engine = run_by_engine(TOKENS_STAGE, earlier, store, {})
    assert engine.reused == {"encode": (0, 5)}
    _, made, engine = run_by_engine(TOKENS_STAGE, write(after, store, "b"), store, earlier)
    assert made == Counter(["new"])
    assert engine.reused == {"encode": (4, 5)}
    events = map(json.loads, (tmp_path / "progress.jsonl").read_text().splitlines())
    counts = sorted((e["documents"], e.get("reused", 0)) for e in events if e["event"] == "made")
    assert counts == [(1, 1), (2, 0), (3, 0), (4, 3)]
    run_by_engine(TOKENS_STAGE, write(after, store, "b"), store, earlier)
    assert not MADE


def test_a_score_of_another_domain_is_not_copied(tmp_path):
    before, after = [one("aaaa", "bbbb")], [[("aaaa", "book", True), ("bbbb", "web", True)]]
    assert both(tmp_path / "cheap", CHEAP_STAGE, before, after)[0][1] == Counter(["aaaa"])
    assert both(tmp_path / "tokens", TOKENS_STAGE, before, after)[0][1] == Counter()


def test_a_dropped_document_has_no_row_to_copy(tmp_path):
    before = [[("aaaa", "web", False), ("bbbb", "web", True)]]
    after = [[("aaaa", "web", True), ("bbbb", "web", False), ("bbbb", "web", True)]]
    assert both(tmp_path / "tokens", TOKENS_STAGE, before, after)[0][1] == Counter(["aaaa"])
    assert both(tmp_path / "signatures", SIGN_STAGE, before, after)[0][1] == Counter()


def test_rows_of_other_params_version_or_background_are_not_copied(tmp_path):
    before, after = [one("aaaa", "bbbb")], [one("aaaa", "bbbb", "cccc")]
    for name, changes in (("params", {"params": Params(salt=1)}), ("background", {"factor": 3.0})):
        assert both(tmp_path / name, CHEAP_STAGE, before, after, **changes)[0][1].total() == 3
    store = Store(tmp_path)
    earlier = write(before, store)
    run(TOKENS_STAGE, earlier, store)
    raised = ShardStage("encode", 2, "TOKENS", tokens, same=("content_hash",), finish=first_text)
    assert run(raised, write(after, store, "b"), store, earlier)[1].total() == 3
    alike = ShardStage("encode", 1, "TOKENS", tokens)  # rows of its table may depend on other documents
    assert run(alike, write(after, store, "c"), store, earlier)[1].total() == 3


def test_what_the_version_still_contains_is_not_read(tmp_path):
    """Where one shard of many changed, the others are neither read nor sorted."""
    store = Store(tmp_path)
    earlier = write([one(f"{k}" * 9, f"{k}x") for k in range(5)], store)
    run(TOKENS_STAGE, earlier, store)
    for shard in [*earlier["DOCUMENTS"][1:], *earlier["DUPLICATES"][1:]]:
        raw = store.path(shard).read_bytes()
        store.path(shard).write_bytes(raw[:-9] + b"x" * 9)  # reading it would raise
    new = write([one("0" * 9, "0x", "new")], store, "b")
    tables = {name: [*new[name], *earlier[name][1:]] for name in earlier}
    assert run(TOKENS_STAGE, tables, store, earlier)[1] == Counter(["new"])


def test_few_rows_of_a_large_shard_are_made(tmp_path):
    """Reading it would cost more. At MIN_SHARE they are copied."""
    many = [f"text {k}" for k in range(100)]
    for n, n_made in ((4, 4), (5, 0)):
        (_, made, _), _ = both(tmp_path / str(n), TOKENS_STAGE, [one(*many)], [one(*many[:n])])
        assert made.total() == n_made


def test_a_shard_that_has_more_of_the_rows_is_preferred(tmp_path):
    """One shard is read in place of three. SIGNATURES have a row of each copy of a text."""
    store = Store(tmp_path)
    tables = write([one("a", "x"), one("a", "b", "y"), one("b", "c")], store)
    made, _, _ = run(SIGN_STAGE, tables, store)
    index = Index(
        [Origin(d, None, m) for d, m in zip(tables["DOCUMENTS"], made, strict=True)], ("content_hash",), store
    )
    new = write([one("b", "a", "a", "new")], store, "b")["DOCUMENTS"][0]
    (copy,) = index.copies(Origin(new, None))
    assert copy.shard == made[1]
    assert (copy.rows.tolist(), copy.to.tolist()) == ([0, 0, 1], [1, 2, 0])


def test_a_text_that_fills_shards_is_matched_once(tmp_path):
    """Pairs of equal rows would be a million here, and more than memory holds for a template of a web site."""
    store = Store(tmp_path)
    tables = write([one("same", "x"), one(*["same"] * 1_000), one(*["same"] * 1_000)], store)
    made = run(SIGN_STAGE, tables, store)[0]
    index = Index(
        [Origin(d, None, m) for d, m in zip(tables["DOCUMENTS"], made, strict=True)], ("content_hash",), store
    )
    assert len(index.keys) == 4
    (copy,) = index.copies(Origin(write([one(*["same"] * 999, "y")], store, "b")["DOCUMENTS"][0], None))
    assert copy.shard == made[0]
    assert (set(copy.rows.tolist()), copy.to.tolist()) == ({0}, list(range(999)))


def test_a_damaged_shard_names_itself_and_then_its_rows_are_made(tmp_path):
    """What an earlier build made may be lost; the rows are not."""
    before, after = [one("aaaa", "bbbb")], [one("aaaa", "bbbb", "cccc")]
    for table in ("DOCUMENTS", "DUPLICATES", "TOKENS"):
        store = Store(tmp_path / table)
        earlier = write(before, store)
        shards = {**earlier, "TOKENS": run(TOKENS_STAGE, earlier, store)[0]}
        path = store.path(shards[table][0])
        path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
        store = Store(tmp_path / table, run="another")
        new = write(after, store, "b")
        with pytest.raises(DamagedError, match=f"^{table}/{shards[table][0].content_hash}") as error:
            run_by_engine(TOKENS_STAGE, new, store, earlier)
        store.discard(error.value)
        made, texts, engine = run_by_engine(TOKENS_STAGE, new, store, earlier)
        assert texts.total() == 3
        assert engine.damaged == []
        assert [len(row) for row in store.read(made[0])["input_ids"].to_pylist()] == [4, 4, 4]


def test_looking_copies_nothing(tmp_path):
    store = Store(tmp_path)
    earlier = write([one("aaaa")], store)
    run(TOKENS_STAGE, earlier, store)
    engine = Engine(store, Runner(workers=1), earlier=earlier, looks_only=True)
    with pytest.raises(NotMade):
        engine.shards(TOKENS_STAGE, Params(), reads(TOKENS_STAGE, write([one("aaaa", "b")], store), store))


def test_an_earlier_version_without_a_column_is_passed_over(tmp_path):
    store = Store(tmp_path)
    earlier = write([one("aaaa")], store)
    run(TOKENS_STAGE, earlier, store)
    shard = earlier["DUPLICATES"][0]
    older = type(shard)(shard.table, shard.content_hash, shard.n_rows, {"document_id": "0"})
    tables = {"DOCUMENTS": earlier["DOCUMENTS"], "DUPLICATES": [older]}
    assert run(TOKENS_STAGE, write([one("aaaa", "b")], store, "b"), store, tables)[1].total() == 2


def test_workers_in_another_process_copy_the_same(tmp_path, cluster):
    store = Store(tmp_path)
    earlier = write([one("aaaa", "bbbb")], store)
    run(TOKENS_STAGE, earlier, store)
    new = write([one("bbbb", "new", "aaaa")], store, "b")
    made, _, engine = run_by_engine(TOKENS_STAGE, new, store, earlier, cluster)
    assert engine.reused == {"encode": (2, 3)}
    alone = Store(tmp_path / "alone")
    assert made == run(TOKENS_STAGE, write([one("bbbb", "new", "aaaa")], alone, "b"), alone)[0]


# -- the parts


def test_row_groups_without_a_row_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.store.ROW_GROUP_BYTES", 400)
    store = Store(tmp_path)
    shard = write([one(*(f"text {k}" for k in range(30)))], store)["DOCUMENTS"][0]
    groups = []

    class Watched:
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def read_row_group(self, number, columns):
            groups.append(number)
            return self.file.read_row_group(number, columns)

    real = Store.open
    monkeypatch.setattr(Store, "open", lambda self, shard: Watched(real(self, shard)))
    table = reuse.read_rows(shard, ["n_bytes", "text"], np.array([0, 13, 14, 29]), store)
    assert table["text"].to_pylist() == ["text 0", "text 13", "text 14", "text 29"]
    assert table.schema.names == ["n_bytes", "text"]
    with real(store, shard) as file:
        assert 1 < len(groups) < file.num_row_groups
    assert groups == sorted(set(groups))
    assert reuse.read_rows(shard, ["text"], np.array([], np.int64), store).num_rows == 0


def test_missing_rows_are_those_that_no_copy_has():
    copies = [Copy(None, np.array([0, 1]), np.array([4, 2])), Copy(None, np.array([7]), np.array([0]))]
    assert reuse.missing(6, copies).tolist() == [1, 3, 5]
    assert reuse.missing(2, []).tolist() == [0, 1]


def test_slices_in_order_are_a_take():
    table = pa.concat_tables([pa.table({"a": range(k, k + 5)}) for k in (0, 5)])
    for order in ([], [3], [0, 1, 2], [4, 5, 6, 1, 2, 9], [9, 8, 7], [2, 2, 3]):
        assert reuse.in_order(table, np.array(order, np.int64)).equals(table.take(pa.array(order, pa.int64()))), order


def test_compacting_leaves_rows_and_drops_bitmaps_that_mark_nothing():
    ids = pa.ListArray.from_arrays([0, 1, 3], pa.array([1, 2, 3], pa.int32()), mask=pa.array([False, False]))
    table = pa.table({"a": pa.chunked_array([["x"], ["y"]]), "ids": ids, "n": pa.array([None, 1])})
    compact = reuse.compact(table)
    assert compact.equals(table)
    assert [column.num_chunks for column in compact.columns] == [1, 1, 1]
    assert ids.buffers()[0] is not None
    assert compact["ids"].chunk(0).buffers()[0] is None
    assert compact["n"].chunk(0).buffers()[0] is not None
