"""EMBEDDINGS: drawn documents alone, once each; the same bytes for any workers and after a crash."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest

from pipelines import embed
from pipelines.embed import heads, run, works
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from schemas.errors import NotMade, StageError
from schemas.tables import DOCUMENTS, DRAWS
from scorers.embedding import EncoderParams, load
from scorers.weights import Weights
from tests.encoders import saved_bert, saved_table

KINDS = ("bert", "table")


def text_of(k):
    return "" if k % 11 == 5 else f"The {['king', 'river', 'server'][k % 3]} number {k} of the list. " * (k % 9 + 1)


def hashed(text):
    return blake2b(text.encode(), digest_size=16).hexdigest()


def documents(store, numbers, rows=20):
    """Shards of DOCUMENTS with these texts."""
    made = []
    for start in range(0, len(numbers), rows):
        table = [
            {
                "document_id": hashed(f"id {k}"), "content_hash": hashed(text_of(k)), "source": "s", "domain": "web",
                "file": "f", "record": k, "n_bytes": len(text_of(k)), "text": text_of(k),
            }
            for k in numbers[start : start + rows]
        ]  # fmt: skip
        made.append(store.write("DOCUMENTS", pa.Table.from_pylist(table, schema=DOCUMENTS)))
    return made


def draws(store, numbers):
    """Two shards of DRAWS: some documents in two epochs."""
    shards = []
    for part in (numbers[::2], numbers[1::2]):
        rows = [
            {
                "document_id": hashed(f"id {k}"), "content_hash": hashed(text_of(k)), "domain": "web", "n_tokens": 9,
                "epoch": epoch, "document_start": 0, "document_stop": 9, "why": "short",
            }
            for k in part for epoch in range(1 + k % 2)
        ]  # fmt: skip
        shards.append(store.write("DRAWS", pa.Table.from_pylist(rows, schema=DRAWS)))
    return shards


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    folders = {"bert": saved_bert(folder / "bert"), "table": saved_table(folder / "table")}
    return {name: EncoderParams(weights=Weights.of(path), window_tokens=16) for name, path in folders.items()}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def engine(store, workers=1):
    return Engine(store, Runner(workers=workers))


def counted(monkeypatch):
    """The documents that encoders embed from here on."""
    texts = []
    real = embed.load

    class Counting:
        def __init__(self, params):
            self.encoder = real(params)
            self.n_chars = self.encoder.n_chars

        def vectors(self, heads):
            texts.extend(heads.to_pylist())
            return self.encoder.vectors(heads)

    monkeypatch.setattr(embed, "load", Counting)
    return texts


def rows_of(store, shards):
    return [row for shard in shards for row in store.read(shard).to_pylist()]


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_documents_have_the_encoders_vectors(store, encoders, kind):
    numbers, drawn = list(range(50)), [k for k in range(50) if k % 3 != 1]
    shards = run(documents(store, numbers), draws(store, drawn), encoders[kind], engine(store))
    rows = rows_of(store, shards)
    assert [shard.n_rows for shard in shards] == [20, 20, 10]
    assert [row["document_id"] for row in rows] == [hashed(f"id {k}") for k in numbers]
    expected = ["not_drawn" if k % 3 == 1 else "empty" if not text_of(k) else "embedded" for k in numbers]
    assert [row["status"] for row in rows] == expected
    assert {"not_drawn", "empty", "embedded"} == set(expected)
    encoder = load(encoders[kind])
    for k, row in zip(numbers, rows, strict=True):
        vector = encoder.vectors(pa.array([text_of(k)], pa.large_string()))[0]
        assert row["vector"] == (vector.tolist() if row["status"] == "embedded" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_workers_and_items_do_not_change_the_shards(tmp_path, encoders, kind, monkeypatch):
    made = []
    for workers, n_chars in ((1, 1 << 20), (2, 1 << 20), (2, 1), (1, 500)):
        monkeypatch.setattr(embed, "ITEM_CHARS", n_chars)
        monkeypatch.setattr(embed, "STATIC_ITEM_CHARS", n_chars)
        store = Store(tmp_path / f"{workers} {n_chars}")
        shards = run(documents(store, range(50)), draws(store, range(0, 50, 2)), encoders[kind], engine(store, workers))
        made.append([(shard, store.path(shard).read_bytes()) for shard in shards])
    assert all(each == made[0] for each in made)


@pytest.mark.slow
def test_workers_in_another_process_give_the_same_shards(tmp_path, encoders, cluster):
    made = []
    for name, runner in (("here", Runner(workers=1)), ("there", cluster)):
        store = Store(tmp_path / name)
        inputs = documents(store, range(50)), draws(store, range(0, 50, 2))
        made.append([run(*inputs, encoders[kind], Engine(store, runner)) for kind in KINDS])
    assert made[0] == made[1]


def test_a_second_run_makes_nothing_and_looking_says_what_is_missing(store, encoders, monkeypatch):
    inputs = documents(store, range(30)), draws(store, range(0, 30, 2)), encoders["table"]
    looking = engine(store).look()
    with pytest.raises(NotMade, match="embed"):
        run(*inputs, looking)
    first = run(*inputs, engine(store))
    texts = counted(monkeypatch)
    assert run(*inputs, looking) == run(*inputs, engine(store)) == first
    assert texts == []


def test_a_refresh_embeds_new_documents_and_newly_drawn_ones_alone(store, encoders, monkeypatch):
    params = encoders["bert"]
    before, drawn = list(range(100, 140)), list(range(100, 140, 2))
    run(documents(store, before), draws(store, drawn), params, engine(store))
    texts = counted(monkeypatch)
    run(documents(store, [*before, 200, 202]), draws(store, [*drawn, 200, 202]), params, engine(store))
    assert sorted(texts) == sorted(text_of(k)[:128] for k in (200, 202))
    texts.clear()
    later = engine(store)
    shards = run(documents(store, before), draws(store, [*drawn, 101]), params, later)
    assert texts == [text_of(101)[:128]]
    n_kept, n_drawn = later.reused["embed"]
    assert n_kept == n_drawn - 1 > 0
    assert rows_of(store, shards)[1]["status"] == "embedded"
    texts.clear()
    shards = run(documents(store, before), draws(store, drawn[1:]), params, engine(store))
    assert texts == []
    assert rows_of(store, shards)[0]["status"] == "not_drawn"


def test_a_shard_whose_documents_are_drawn_as_before_keeps_its_action(store):
    shards = documents(store, range(60))
    before = works(shards, draws(store, range(0, 60, 3)), ["e"], store)
    after = works(shards, draws(store, [*range(0, 60, 3), 1]), ["e"], store)
    assert [a.name == b.name for a, b in zip(before, after, strict=True)] == [False, True, True]
    assert [w.name for w in works(shards, draws(store, range(0, 60, 3)), ["f"], store)] != [w.name for w in before]


def test_equal_texts_are_embedded_once(store, encoders, monkeypatch):
    shards = documents(store, [1, 2, 3, 1, 2], rows=3)  # ids repeat too
    texts = counted(monkeypatch)
    made = run(shards, draws(store, [1, 2]), encoders["table"], engine(store))
    assert sorted(texts) == sorted(text_of(k)[:128] for k in (1, 2))
    rows = rows_of(store, made)
    assert (rows[0]["vector"], rows[1]["vector"]) == (rows[3]["vector"], rows[4]["vector"])


def test_a_crash_loses_blocks_that_were_not_written_and_ends_in_the_same_bytes(tmp_path, encoders, monkeypatch):
    params = encoders["bert"]
    monkeypatch.setattr(embed, "ITEM_CHARS", 128 * 4)  # four documents a block
    clean, store = Store(tmp_path / "clean"), Store(tmp_path / "crashed")
    expected = run(documents(clean, range(40)), draws(clean, range(40)), params, engine(clean))
    inputs = documents(store, range(40)), draws(store, range(40))
    real, n_written = embed.KeptVectors.add, 0

    def failing(self, keys, vectors, part_folder):
        nonlocal n_written
        if n_written == 3:
            raise OSError("No space left on device")
        n_written += 1
        return real(self, keys, vectors, part_folder)

    with monkeypatch.context() as patch:
        patch.setattr(embed.KeptVectors, "add", failing)
        with pytest.raises(StageError, match="No space left"):
            run(*inputs, params, engine(store))
    texts = counted(monkeypatch)
    assert run(*inputs, params, engine(store)) == expected
    n_distinct = len({text_of(k) for k in range(40)})
    assert 0 < len(texts) <= n_distinct - 3 * 3  # the last block of a shard may have fewer than four


def test_a_damaged_block_is_embedded_again(store, encoders, monkeypatch):
    inputs = documents(store, range(20)), draws(store, range(20)), encoders["table"]
    shards = run(*inputs, engine(store))
    raw = store.path(shards[0]).read_bytes()
    block = next(store.root.glob("measured/embedding/*/*/*.vectors"))
    block.write_bytes(block.read_bytes()[:-1])
    store.path(shards[0]).unlink()
    texts = counted(monkeypatch)
    assert run(*inputs, engine(store)) == shards
    assert store.path(shards[0]).read_bytes() == raw
    assert len(texts) == len({text_of(k) for k in range(20)})


def test_other_params_have_vectors_of_their_own(store, encoders):
    inputs = documents(store, range(20)), draws(store, range(20))
    one, other = (
        run(*inputs, encoders["bert"].model_copy(update={"window_tokens": n}), engine(store)) for n in (16, 8)
    )
    assert one != other


@pytest.mark.parametrize(("n_documents", "n_drawn"), [(0, 0), (1, 0), (1, 1), (11, 0)])
def test_the_smallest_corpora(store, encoders, n_documents, n_drawn):
    shards = run(documents(store, range(n_documents)), draws(store, range(n_drawn)), encoders["bert"], engine(store))
    assert [row["status"] for row in rows_of(store, shards)] == ["embedded"] * n_drawn + ["not_drawn"] * (
        n_documents - n_drawn
    )


def test_heads_are_characters_of_the_chosen_rows(store):
    texts = [f"é{k} " * (k % 5) + "猫" * (k % 3) for k in range(300)]
    rows = [
        {
            "document_id": f"{k:032x}", "content_hash": f"{k:032x}", "source": "s", "domain": "d", "file": "f",
            "record": k, "n_bytes": 1, "text": text,
        }
        for k, text in enumerate(texts)
    ]  # fmt: skip
    pieces = [pa.Table.from_pylist(rows[k : k + 37], schema=DOCUMENTS) for k in range(0, 300, 37)]
    shard = store.write("DOCUMENTS", pieces)  # a row group of each
    for chosen in ([], [0], [36, 37, 299], list(range(5, 300, 7))):
        made = heads(shard, np.array(chosen, np.int64), 4, store)
        assert made.to_pylist() == [texts[k][:4] for k in chosen]
        assert made.type == pa.large_string()
