"""What the model reads of each shard, in work of about equal size; a pair is measured once, however often it is run."""

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipelines.documents import Chunking
from pipelines.score import measure
from pipelines.score.budget import cost
from pipelines.score.kept_pairs import Measured
from pipelines.score.measure import ITEM_TOKENS, Item, Reading, items, measure_item, readings_of
from pipelines.stage import Engine, Runner
from pipelines.store import Shard, Store
from schemas.errors import NotMade, SchemaError
from schemas.tables import TOKENS
from scorers import lm
from scorers.chunk_gain.pairs import first_pairs
from scorers.chunks import Chunks
from scorers.weights import Weights
from tests import scored
from tests.tokens import token_row, with_bos

C = 8
CHUNKING = Chunking(C, marks=1)
MODEL = lm.ModelParams(weights=Weights.of(scored.MODEL / "model_opt_trained"))
SEEDS = range(100)


def test_a_reading_for_each_document_with_pairs():
    names = [f"{k:032x}" for k in range(5)]
    columns = {
        "content_hash": pa.array(names), "n_tokens": pa.array([None, 10 * C, 10 * C + 1, 20 * C, 33 * C], pa.int32()),
        "n_pairs": pa.array([0, 2, 6, 0, 3], pa.int32()),
    }  # fmt: skip
    table = pa.table(columns)
    for pieces in (table, pa.concat_tables([table.slice(0, 2), table.slice(2)])):
        assert readings_of(pieces, CHUNKING) == [
            Reading(1, names[1], 9, 2, cost(9, names[1], 2, C)),
            Reading(2, names[2], 10, 6, cost(10, names[2], 6, C)),
            Reading(4, names[4], 32, 3, cost(32, names[4], 3, C)),
        ]
    assert readings_of(table.slice(3, 1), CHUNKING) == []
    assert [reading.n_chunks for reading in readings_of(table, Chunking(C, marks=2))] == [9, 9, 32]


def shards(seed):
    rng = random.Random(seed)
    work = []
    for k in range(rng.randint(0, 4)):
        prices = [rng.choice([1, 500, 7_000, 9_000, ITEM_TOKENS, 2 * ITEM_TOKENS]) for _ in range(rng.randint(0, 8))]
        work.append(
            (
                Shard("TOKENS", f"{k:032x}", 9, {}),
                [Reading(row, f"{k}-{row}", 9, 2, price) for row, price in enumerate(prices)],
            )
        )
    return work


def test_items_hold_every_reading_once_in_order_and_the_largest_comes_first():
    split = 0
    for seed in SEEDS:
        batches = items(shards(seed))
        assert [item.price for item in batches] == sorted((item.price for item in batches), reverse=True)
        assert all(item.price <= ITEM_TOKENS or len(item.readings) == 1 for item in batches), f"{seed=}"
        for shard, readings in shards(seed):
            own = [item.readings for item in batches if item.tokens == shard]
            in_order = sorted(own, key=lambda each: each[0].row)
            assert [reading for each in in_order for reading in each] == readings, f"{seed=}"
            for one, other in pairwise(in_order):  # none could have taken the next one too
                assert sum(r.price for r in one) + other[0].price > ITEM_TOKENS
            split += len(own) > 1
    assert split > 50


@pytest.fixture
def work(tmp_path):
    """A store with a shard of three documents, and where their values go."""
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ids = [[*rng.integers(3, 500, n).tolist(), 2] for n in (90, 100, 70)]
    rows = [token_row(str(k), each) for k, each in enumerate(ids)]
    store = Store(tmp_path)
    return store, store.write("TOKENS", pa.Table.from_pylist(rows, schema=TOKENS)), ids, Measured(tmp_path / "values")


def reading(row, n_pairs, s):
    return Reading(row, f"{row:032x}", s, n_pairs, cost(s, f"{row:032x}", n_pairs, C))


def test_a_document_is_read_without_its_eos_and_by_itself(work):
    store, shard, ids, measured = work
    store.parts()
    measure_item(Item(shard, (reading(0, 6, 11), reading(1, 3, 12))), MODEL, CHUNKING, measured, store)
    engine = lm.load(MODEL)
    for row, n in ((0, 6), (1, 3)):
        chunks = np.array(ids[row][:-1])[: len(ids[row][:-1]) // C * C].reshape(-1, C)
        one = Chunks(engine, chunks, engine.anchor)
        pairs = measured.of(f"{row:032x}")
        assert [(p.target, p.context) for p in pairs] == first_pairs(len(chunks), f"{row:032x}", n)
        assert [p.after for p in pairs] == pytest.approx(one.after([(p.target, p.context) for p in pairs]).tolist())
        assert [p.alone for p in pairs] == pytest.approx(one.alone([p.target for p in pairs]).tolist())
    assert measured.of(f"{2:032x}") == []


def test_a_document_is_read_without_its_bos(work):
    store, shard, _, measured = work
    other = store.write("TOKENS", with_bos(store.read(shard), bos=3))
    store.parts()
    values = []
    for number, (tokens, marks) in enumerate(((shard, 1), (other, 2))):
        own = Measured(measured.folder / str(number))
        measure_item(Item(tokens, (reading(0, 6, 11),)), MODEL, Chunking(C, marks), own, store)
        values.append(own.of(f"{0:032x}"))
    assert values[0] == values[1]
    assert len(values[0]) == 6


def test_the_price_of_a_reading_is_what_is_forwarded(work):
    store, shard, _, measured = work
    for n in (2, 6, 12):
        own = Measured(measured.folder / str(n))
        assert measure_item(Item(shard, (reading(0, n, 11),)), MODEL, CHUNKING, own, store) == reading(0, n, 11).price
    more = cost(11, "0" * 32, 12, C, 6)
    assert (
        measure_item(Item(shard, (reading(0, 12, 11),)), MODEL, CHUNKING, Measured(measured.folder / "6"), store)
        == more
    )


def test_only_what_is_missing_is_measured_and_a_look_measures_nothing(work, monkeypatch):
    store, shard, _, measured = work
    engine = Engine(store, Runner(workers=1))
    wanted = [(shard, [reading(0, 2, 11), reading(2, 2, 8)])]
    with pytest.raises(NotMade, match="score"):
        measure.run(wanted, MODEL, CHUNKING, measured, engine.look())
    assert not measured.folder.exists()
    measure.run(wanted, MODEL, CHUNKING, measured, engine)
    before = {path: path.read_bytes() for path in measured.folder.rglob("*.jsonl")}
    assert len(before) == 2
    measure.run(wanted, MODEL, CHUNKING, measured, engine.look())  # nothing is missing
    added = []
    add = Measured.add
    monkeypatch.setattr(Measured, "add", lambda self, name, pairs: (added.append(name), add(self, name, pairs)))
    measure.run([(shard, [reading(0, 2, 11), reading(2, 6, 8)])], MODEL, CHUNKING, measured, engine)
    assert set(added) == {f"{2:032x}"}
    after = {path: path.read_bytes() for path in measured.folder.rglob("*.jsonl")}
    assert all(after[path].startswith(lines) for path, lines in before.items())
    assert len(measured.of(f"{2:032x}")) == 6


def test_values_of_other_pairs_are_refused(work):
    store, shard, _, measured = work
    measure_item(Item(shard, (reading(0, 2, 11),)), MODEL, CHUNKING, measured, store)
    with pytest.raises(SchemaError, match="do not match the document's sequence"):
        measure_item(Item(shard, (Reading(0, "0" * 32, 5, 4, 1),)), MODEL, CHUNKING, measured, store)


def test_a_folder_of_values_depends_on_the_model_the_chunks_the_tokenizer_and_the_use(tmp_path):
    pytest.importorskip("torch")
    names = {
        measure.folder_of(Store(tmp_path), model, c, tokenizer, use).folder
        for model in (MODEL, MODEL.model_copy(update={"dtype": "bfloat16"}))
        for c in (32, 64)
        for tokenizer in ("a", "b")
        for use in ("chunk_gain", "calibration")
    }
    assert len(names) == 16
    assert {folder.parent for folder in names} == {tmp_path / "measured" / use for use in ("chunk_gain", "calibration")}


def test_a_folder_of_values_keeps_its_name(tmp_path, monkeypatch):
    """Values that were measured before must be found."""
    monkeypatch.setattr(lm, "fingerprint", lambda _: ("f", "g"))
    folder = measure.folder_of(Store(tmp_path), MODEL, 128, "t").folder
    assert folder == tmp_path / "measured" / "chunk_gain" / "cbac9b67aad883181cff2f54b311d0f6"
